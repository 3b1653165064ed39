"""Whole syncs into the fake Quo, in virtual time: everybody once, at the rate Quo allows, on bad days."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.events import Recorded
from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.quo.sink import BULK_PAGE_SIZE, PAGE_SIZE
from syncfsm.sources.attio.people import AttioPeople
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.quo_faults import FaultyQuo
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.stage.stage import Stage
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from tests.effort import tries
from tests.fakes import DictSink
from tests.quo import KEY, PARTNER_KEY, Quo

LATENCY_MS = (80, 400)


class MortalSink:
    """A sink whose memory dies with the engine, and at times that the seed says."""

    name = "quo:http://quo.simulated"

    def __init__(self, quo: Quo, seed: int, *, is_bulk: bool) -> None:
        self._quo = quo
        self._is_bulk = is_bulk
        self._rng = random.Random(seed)
        self._born()

    def _born(self) -> None:
        self._inner = self._quo.sink(is_bulk=self._is_bulk)

    async def check(self) -> dict[str, str] | Failure:
        return await self._alive(self._inner.check())

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        if self._rng.random() < 0.1:
            self._born()
        return await self._alive(self._inner.upsert(items))

    async def _alive(self, work: Any) -> Any:
        try:
            return await work
        except BaseException:
            self._born()
            raise

    async def finish(self) -> Failure | None:
        return await self._inner.finish()

    async def aclose(self) -> None:
        await self._inner.aclose()


async def synced(scenario: Scenario, log: EventLog, sink: Any, during: Any = None) -> Stage[Contact]:
    stage: Stage[Contact] = Stage(scenario, log, sink, AttioPeople, [during] if during else [])
    process = await stage.until_over()
    assert stage.surprise is None, stage.surprise
    assert process.state is State.COMPLETED, process
    return stage


async def as_they_should_be(scenario: Scenario) -> dict[str, Any]:
    """Return what the same people become in a sink that keeps what it is given."""
    sink = DictSink()
    with open_log(":memory:") as log:
        await synced(scenario, log, sink)
    assert len(sink.items) == scenario.people
    return dict(sink.items)


def last(log: EventLog) -> Process:
    return log.load(log.ids()[-1])


def most_in_a_second(arrivals: list[datetime]) -> int:
    return max(
        sum(at <= other < at + timedelta(seconds=1) for other in arrivals[place : place + 30])
        for place, at in enumerate(arrivals)
    )


ONE_BY_ONE = tries(1000, 5000)  # a request each; tests/acceptance/test_criteria.py always has 5,000 so


@pytest.mark.parametrize(
    ("people", "is_bulk", "page_size", "requests_max", "seconds_max"),
    [
        (5000, True, BULK_PAGE_SIZE, 370, 60.0),
        (ONE_BY_ONE, False, PAGE_SIZE, ONE_BY_ONE + 10, (ONE_BY_ONE + 10) / 10 * 1.1),
    ],
)
def test_all_come_at_the_rate_that_quo_allows_and_a_second_run_writes_nothing(
    people: int, is_bulk: bool, page_size: int, requests_max: int, seconds_max: float
) -> None:
    async def main(log: EventLog) -> None:
        quo = Quo(VirtualClock(), latency_ms=LATENCY_MS)
        scenario = Scenario(people=people, page_size=page_size, faults=FaultRates(), changes=ChangeRates())
        began = quo.clock.now()
        stage = await synced(scenario, log, quo.sink(is_bulk=is_bulk))
        seconds = (quo.clock.now() - began).total_seconds()
        statuses = Counter(status for (_, _, status), n in quo.fake.requests.items() for _ in range(n))
        assert (last(log).progress.created, len(quo.stored())) == (people, people)
        assert {contact.external_id for contact in quo.stored()} == set(stage.world.entities("people"))
        assert statuses[429] == 0
        assert len(quo.fake.arrivals) <= requests_max
        assert seconds <= seconds_max
        assert most_in_a_second(quo.fake.arrivals) == 10
        writes = quo.fake.contacts.writes
        await synced(scenario, log, quo.sink(is_bulk=is_bulk))
        assert last(log).progress.unchanged == people
        assert quo.fake.contacts.writes == writes == people

    with open_log(":memory:") as log:
        run_virtual(main(log))


@settings(max_examples=tries(8, 100), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    is_bulk=st.booleans(),
    page_size=st.integers(5, 60),
    quirks=st.fixed_dictionaries(
        {
            "patch_arrays": st.sampled_from(["append", "replace"]),
            "seen_after_s": st.sampled_from([0.0, 0.5, 10.0]),
            "bulk_after_s": st.sampled_from([0.1, 2.0, 45.0]),
            "bulk_loses": st.sampled_from([0.0, 0.1]),
        }
    ),
)
def test_whatever_goes_wrong_everybody_is_in_quo_once_and_a_further_run_writes_nothing(
    seed: int, rate: float, is_bulk: bool, page_size: int, quirks: dict[str, Any]
) -> None:
    faults = FaultRates(rate_limited=0.02, network=0.02, crash=0.01, rival=0.01, disk=0.01)
    changes = ChangeRates(created=0.5, updated=2.0, deleted=0.5)
    scenario = Scenario(
        seed=seed, people=120, page_size=page_size, faults=faults, changes=changes, faulty_s=900.0
    )

    async def main(log: EventLog) -> None:
        quo = Quo(VirtualClock(), latency_ms=LATENCY_MS, **quirks)
        door = FaultyQuo(quo.transport, quo.clock, seed=seed, rate=rate)
        quo.transport = door

        def calm(_process: Process, recorded: Recorded) -> None:
            if recorded.at > EPOCH + timedelta(seconds=900):
                door.calm()

        sink = MortalSink(quo, seed, is_bulk=is_bulk)
        await synced(scenario, log, sink, calm)
        door.calm()
        still = Scenario(
            people=120, seed=seed, page_size=page_size, faults=FaultRates(), changes=ChangeRates()
        )
        await quo.clock.sleep(60)  # until the last bulk is applied
        await synced(still, log, sink)
        there = {contact.external_id: contact for contact in quo.stored()}  # nobody twice
        assert there.items() >= (await as_they_should_be(still)).items()
        assert last(log).progress.rejected == 0
        writes = quo.fake.contacts.writes
        await quo.clock.sleep(60)
        await synced(still, log, sink)
        assert last(log).progress.unchanged == 120
        assert quo.fake.contacts.writes == writes
        assert verify(log)[1] == []
        assert not any(key in str(list(log.read(id_))) for id_ in log.ids() for key in (KEY, PARTNER_KEY))

    with open_log(":memory:") as log:
        run_virtual(main(log))

"""Pages with numbers and pages by cursors on the simulator's stage: everything goes wrong while rows move.

What must hold is what must hold with Attio, and pages are read ahead, as the command does. AxisCare's clients
have other ids than the people of the world, and fewer fields, so whether one is lost is seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import httpx
import msgspec
import pytest

from syncfsm.core.events import RecordRejected
from syncfsm.core.options import Order
from syncfsm.engine.engine import Engine
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.axiscare import AxisCareClients, AxisCareSource
from syncfsm.sources.numbered import NumberedSource
from syncfsm.sources.protocol import Record, Source, Transform, Transformed
from syncfsm_simulator.fakes.asgi import App
from syncfsm_simulator.fakes.axiscare import FakeAxisCare, number_of
from syncfsm_simulator.fakes.numbered import API, FakeNumbered
from syncfsm_simulator.runs.invariants import INVARIANTS, Run, nothing_lost, sink_is_world, violations
from syncfsm_simulator.runs.run import run_of
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates, Faults
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.stage.set_up import KEY
from syncfsm_simulator.stage.stage import Stage
from syncfsm_simulator.world.clock import VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

NUMBERED_URL = "http://numbered.simulated"
AXISCARE_URL = "http://axiscare.simulated"
OTHERS_EVERY = 5
SEEDS = range(1, 9)

WORST = Scenario(
    people=400,
    page_size=20,
    faulty_s=3600.0,
    faults=FaultRates(
        rate_limited=0.05,
        unavailable=0.04,
        network=0.04,
        body=0.03,
        slow=0.04,
        denied=0.01,
        sink=0.04,
        disk=0.02,
        clock=0.02,
        crash=0.02,
        rival=0.04,
        cancel=0.002,
    ),
    changes=ChangeRates(created=0.5, updated=1.0, deleted=1.0, imported=0.01, page_deleted=0.01),
)


class Person(msgspec.Struct):
    first_name: str | None
    last_name: str | None
    job_title: str | None
    phones: tuple[str, ...]
    emails: tuple[str, ...]


async def people(records: Sequence[Record]) -> Transformed[Contact]:
    return Transformed(items=tuple(map(_person, records)))


def _person(record: Record) -> Contact:
    person = msgspec.json.decode(record.raw, type=Person)
    return Contact(
        external_id=record.id,
        source="numbered",
        first_name=person.first_name,
        last_name=person.last_name,
        role=person.job_title,
        phone_numbers=person.phones,
        emails=person.emails,
    )


class Api(NamedTuple):
    """An API to put on the stage: its fake, and what opens a source for it."""

    name: str
    object: str
    fake: Callable[[World], App]
    opened: Callable[[httpx.AsyncBaseTransport, Clock], tuple[Source, Transform[Contact]]]


def numbered(transport: httpx.AsyncBaseTransport, clock: Clock) -> tuple[Source, Transform[Contact]]:
    return NumberedSource(API, KEY, base_url=NUMBERED_URL, clock=clock, transport=transport), people


def axiscare(transport: httpx.AsyncBaseTransport, clock: Clock) -> tuple[Source, Transform[Contact]]:
    source = AxisCareSource(KEY, base_url=AXISCARE_URL, clock=clock, transport=transport)
    return source, AxisCareClients(source)


NUMBERED = Api(f"numbered:{NUMBERED_URL}", "people", FakeNumbered, numbered)
AXISCARE = Api(
    f"axiscare:{AXISCARE_URL}", "clients", partial(FakeAxisCare, others_every=OTHERS_EVERY), axiscare
)


class OtherStage(Stage[Contact]):
    """A stage on which another API than Attio is played."""

    def __init__(self, scenario: Scenario, log: EventLog, sink: SqliteSink, api: Api) -> None:
        super().__init__(scenario, log, sink, lambda _: people)
        self.source_name, self.object = api.name, api.object
        self._opened = api.opened
        self._fake = httpx.ASGITransport(api.fake(self.world))
        self.transport = self._network(self.faults)

    def _engine(
        self, transport: httpx.AsyncBaseTransport, sink: Sink[Contact], faults: Faults
    ) -> Engine[Contact]:
        source, transform = self._opened(transport, self.engine_clock)
        return Engine(
            self._recorded(faults),
            source,
            sink,
            transform,
            clock=self.engine_clock,
            rng=self._rng,
            hooks=self._hooks,
            read_ahead=4,
        )


def played(seed: int, api: Api, order: Order) -> Run:
    """Play one seed to its end; the log stays open."""
    log, contacts = open_log(":memory:"), SqliteSink(":memory:", clock=VirtualClock())
    stage = OtherStage(msgspec.structs.replace(WORST, seed=seed, order=order), log, contacts, api)

    async def play() -> Run:
        return run_of(stage, await stage.until_over(), log, contacts)

    run = run_virtual(play())
    assert stage.faults.counts().total() > 10, "much went wrong"
    return run


@pytest.mark.parametrize("order", ["newest", "oldest", "id"])
@pytest.mark.parametrize("seed", SEEDS)
def test_pages_with_numbers_hold_whatever_goes_wrong(seed: int, order: Order) -> None:
    run = played(seed, NUMBERED, order)
    assert violations(run) == []
    assert run.process.progress.total is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_by_cursors_hold_whatever_goes_wrong(seed: int) -> None:
    run = played(seed, AXISCARE, "id")
    checks = [check for check in INVARIANTS if check not in {nothing_lost, sink_is_world}]
    assert violations(run, checks) == []
    events = [recorded.event for recorded in run.log.read(run.process.id)]
    rejected = {event.record_id for event in events if isinstance(event, RecordRejected)}
    there = {row[0] for row in run.contacts.execute("SELECT external_id FROM contacts")}
    clients = {number for number in map(number_of, run.changes.survivors) if number % OTHERS_EVERY}
    assert clients
    assert {f"client-{number}" for number in clients} <= there | rejected

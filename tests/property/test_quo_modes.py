"""Who comes, changes, goes and is merged in Attio does so in Quo, on bad days too, in virtual time.

Requests to Quo are refused, lost or answered too late, look-ups show new contacts late, and the process dies
in between; Attio is calm, since what it does on its bad days is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.webhooks import WebhookWorker
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.port import Crash
from syncfsm_simulator.stage.quo_faults import KINDS, FaultyQuo
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.entity import Change
from syncfsm_simulator.world.world import World
from tests.effort import tries
from tests.fakes import DictSink
from tests.quo import Quo

BASE_URL = "http://attio.simulated"
STARTS_MAX = 300
ARRAYS = ("email_addresses", "phone_numbers")

QUIRKS = st.fixed_dictionaries(
    {
        "patch_arrays": st.sampled_from(["append", "replace"]),
        "seen_after_s": st.sampled_from([0.0, 0.5, 10.0]),
        "bulk_after_s": st.sampled_from([0.1, 2.0, 20.0]),
        "bulk_loses": st.sampled_from([0.0, 0.1]),
    }
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete", "merge"]), st.integers(0, 1000)), max_size=25
)


class Workspaces:
    """An Attio, a Quo behind a bad network, a log, and engines that die."""

    def __init__(self, seed: int, rate: float, kinds: tuple[str, ...] = KINDS, **quirks: Any) -> None:
        self.clock = VirtualClock()
        self.log = open_log(":memory:")
        self.world = World(seed, people=60, now=EPOCH)
        self.quo = Quo(self.clock, latency_ms=(80, 400), **quirks)
        self.quo.transport = self.door = FaultyQuo(
            self.quo.transport, self.clock, seed=seed, rate=rate, kinds=kinds
        )
        self.engines = 0
        self._attio = httpx.ASGITransport(FakeAttio(self.world, self.clock))

    def source(self) -> AttioSource:
        return AttioSource("any", base_url=BASE_URL, clock=self.clock, transport=self._attio)

    def engine(self, *, is_bulk: bool = False) -> Engine[Contact]:
        self.engines += 1
        source, sink = self.source(), self.quo.sink(is_bulk=is_bulk)
        return Engine(self.log, source, sink, AttioPeople(source), clock=self.clock)

    async def synced(self, *, is_bulk: bool, **asked: Any) -> Process:
        """Sync to the end, with a new engine after each death and each failure."""
        for _ in range(STARTS_MAX):
            async with self.engine(is_bulk=is_bulk) as engine:
                process = await unless_dead(engine.sync(page_size=20, **asked))
            if process is not None and process.state is State.COMPLETED:
                return process
            await self.clock.sleep(60 if process else 0.5)
        raise AssertionError("the sync never ends")

    async def webhooks_seen_to(self, *, is_bulk: bool) -> None:
        """Work until nothing waits, with a new worker after each death."""
        for _ in range(STARTS_MAX):
            await self.clock.sleep(3)
            worker = WebhookWorker(lambda: self.engine(is_bulk=is_bulk), page_size=7, clock=self.clock)
            await unless_dead(worker.turn())
            await worker.aclose()
            waits = self.log.waiting(self.source().name, "people").notices
            if not waits and not self.engine().active():
                return
        raise AssertionError("something waits for ever")

    def tell(self, change: Change) -> None:
        """Let a webhook tell of a change, as Attio does."""
        ids = dict.fromkeys((change.record_id, *change.merged))
        now = self.clock.now()
        name = self.source().name
        self.log.receive(
            Notice(source=name, object="people", key=None, record_ids=tuple(ids), received_at=now)
        )

    def happen(self, changes: list[tuple[str, int]]) -> None:
        for verb, number in changes:
            people = sorted(self.world.entities("people"))
            one, other = people[number % len(people)], people[(number + 1) % len(people)]
            match verb:
                case "create":
                    self.world.create_person(self.clock.now())
                case "update":
                    self.world.update_person(one, self.clock.now())
                case "delete":
                    self.world.delete_person(one)
                case _:
                    actor = {"type": "workspace-member", "id": self.world.member_id}
                    self.world.merge("people", one, other, self.clock.now(), actor)

    async def should_be(self) -> set[Contact]:
        """Return what the same people become in a sink that keeps what it is given."""
        sink, source = DictSink(), self.source()
        with open_log(":memory:") as log:
            async with Engine(log, source, sink, AttioPeople(source), clock=self.clock) as engine:
                await engine.sync()
        return set(sink.items.values())


async def unless_dead(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except Crash:
        return None


def in_virtual_time(main: Callable[[], Any], *workspaces: Workspaces) -> None:
    try:
        run_virtual(main())
    finally:
        for each in workspaces:
            each.log.close()


@settings(max_examples=tries(12, 100), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    is_bulk=st.booleans(),
    quirks=QUIRKS,
    changes=CHANGES,
    later=CHANGES,
)
def test_webhooks_leave_in_quo_what_is_in_attio_whatever_goes_wrong(
    *, seed: int, rate: float, is_bulk: bool, quirks: Any, changes: Any, later: Any
) -> None:
    here = Workspaces(seed, rate, **quirks)

    async def main() -> None:
        await here.synced(is_bulk=is_bulk)
        here.world.watch(here.tell)
        here.happen(changes)
        await here.clock.sleep(3)
        worker = WebhookWorker(lambda: here.engine(is_bulk=is_bulk), page_size=7, clock=here.clock)
        await unless_dead(worker.turn())  # some are seen to, and it may have died over them
        await worker.aclose()
        here.happen(later)
        await here.webhooks_seen_to(is_bulk=is_bulk)
        await here.clock.sleep(60)
        assert here.quo.stored() == await here.should_be()
        assert verify(here.log)[1] == []

    in_virtual_time(main, here)


@settings(max_examples=tries(12, 100), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    dies=st.booleans(),
    is_bulk=st.booleans(),
    quirks=QUIRKS,
    gone=st.integers(0, 25),
)
def test_who_is_missing_is_deleted_and_counted_over_all_tries(
    *, seed: int, rate: float, dies: bool, is_bulk: bool, quirks: Any, gone: int
) -> None:
    kinds = KINDS if dies else tuple(kind for kind in KINDS if "crash" not in kind)
    here = Workspaces(seed, rate, kinds, **quirks)

    async def main() -> None:
        await here.synced(is_bulk=is_bulk)
        await here.clock.sleep(60)
        here.happen([("delete", number) for number in range(gone)])
        before = here.engines
        process = await here.synced(is_bulk=is_bulk, deletes_missing=True)
        assert here.quo.stored() == await here.should_be()
        if here.engines == before + 1:
            assert process.progress.missing == gone
        else:
            assert process.progress.missing <= gone
        assert (await here.synced(is_bulk=is_bulk, deletes_missing=True)).progress.missing == 0

    in_virtual_time(main, here)


@pytest.mark.parametrize("patch_arrays", ["append", "replace"])
@pytest.mark.parametrize("is_bulk", [False, True])
def test_ten_syncs_in_a_row_neither_multiply_nor_lose_emails_and_phone_numbers(
    is_bulk: bool, patch_arrays: str
) -> None:
    here = Workspaces(1, 0.0, patch_arrays=patch_arrays)

    async def main() -> None:
        await here.synced(is_bulk=is_bulk)
        for turn in range(10):
            people = sorted(here.world.entities("people"))
            for one, other in zip(people[turn::3], people[turn + 1 :: 3], strict=False):
                held = {name: here.world.entities("people")[other].values[name] for name in ARRAYS}
                here.world.write("people", one, held, here.clock.now())  # some get more of them, some fewer
            process = await here.synced(is_bulk=is_bulk)
            assert process.progress.updated > 5
            assert here.quo.stored() == await here.should_be()
        writes = here.quo.fake.contacts.writes
        await here.synced(is_bulk=is_bulk)
        assert here.quo.fake.contacts.writes == writes

    in_virtual_time(main, here)

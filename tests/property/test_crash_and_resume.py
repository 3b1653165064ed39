"""A run, a run step by step, and a run that dies after any event: all end alike."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.process import Process, fold
from syncfsm.engine.engine import Engine
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.sqlite.store import SqliteLog
from tests.effort import tries
from tests.fakes import DOWN, DictSink, Item, ListSource, TestClock, to_items

LIMITED = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", status=429, retry_after_s=2.0)
FAILURES = st.lists(st.sampled_from([None, LIMITED, DOWN]), max_size=12)


class Died(BaseException):
    pass


class MortalLog(SqliteLog):
    """A log whose writer dies just before or just after chosen appends."""

    def __init__(self, deaths: set[tuple[int, str]]) -> None:
        super().__init__(":memory:")
        self.deaths = deaths
        self.appends = 0

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
        notices: Sequence[int] = (),
    ) -> None:
        self.appends += 1
        self._die("before")
        super().append(
            events, expected_version=expected_version, after=after, exchanges=exchanges, notices=notices
        )
        self._die("after")

    def _die(self, when: str) -> None:
        if (self.appends, when) in self.deaths:
            raise Died


class FlakySource(ListSource):
    """A source that fails by a script, one entry for each request; `None` lets it through."""

    def __init__(self, clock: TestClock, count: int, script: list[Failure | None]) -> None:
        super().__init__(clock, count)
        self.script = iter(script)

    async def fetch(self, request):
        return next(self.script, None) or await super().fetch(request)


class World:
    def __init__(self, log: SqliteLog, count: int, script: list[Failure | None]) -> None:
        self.log = log
        self.clock = TestClock()
        self.source = FlakySource(self.clock, count, script)
        self.sink = DictSink()
        self.rng = random.Random(1)

    def engine(self) -> Engine[Item]:
        return Engine(self.log, self.source, self.sink, to_items, clock=self.clock, rng=self.rng)


def run_to_the_end(world: World, page_size: int) -> Process:
    """Start engines until the sync is over, each knowing nothing but the log."""
    while True:
        try:
            process = asyncio.run(world.engine().sync(page_size=page_size))
        except Died:
            latest = world.log.latest("list", "people", "dict")
            if latest is None or latest.state is not State.COMPLETED:
                continue
            process = latest
        if not process.is_resumable:
            return process


def step_to_the_end(world: World, page_size: int) -> Process:
    process = world.engine().start(page_size=page_size)
    while process.is_active:
        if process.retry is not None:
            world.clock.at = max(world.clock.at, process.retry.retry_at)
        process = asyncio.run(world.engine().step(process.id))
        if process.is_resumable:
            process = world.engine().resume(process.id)
    return process


def totals(process: Process) -> tuple[object, ...]:
    return process.state, process.progress.totals, process.progress.ids_digest


@settings(max_examples=tries(50, 500), deadline=None)
@given(
    count=st.integers(0, 40),
    page_size=st.integers(1, 12),
    script=FAILURES,
    deaths=st.sets(st.tuples(st.integers(1, 30), st.sampled_from(["before", "after"])), max_size=8),
)
def test_run_steps_and_crashes_at_any_append_end_alike(
    count: int, page_size: int, script: list[Failure | None], deaths: set[tuple[int, str]]
) -> None:
    with open_log(":memory:") as one, open_log(":memory:") as two, MortalLog(deaths) as three:
        assert isinstance(one, SqliteLog)
        assert isinstance(two, SqliteLog)
        worlds = [World(log, count, script) for log in (one, two, three)]
        ran = run_to_the_end(worlds[0], page_size)
        stepped = step_to_the_end(worlds[1], page_size)
        crashed = run_to_the_end(worlds[2], page_size)
        assert totals(ran) == totals(stepped)
        assert ran.state is crashed.state is State.COMPLETED
        assert ran.progress.fetched == crashed.progress.fetched == count
        assert ran.progress.ids_digest == crashed.progress.ids_digest
        assert worlds[0].sink.items == worlds[1].sink.items == worlds[2].sink.items
        assert len(worlds[2].sink.items) == count
        assert verify(three)[1] == []
        assert three.load(crashed.id) == fold(None, three.read(crashed.id)) == crashed
        assert len(three.ids()) == 1


@settings(max_examples=tries(50, 500), deadline=None)
@given(count=st.integers(0, 60), page_size=st.integers(1, 12), script=FAILURES)
def test_rate_limits_anywhere_cost_waits_and_nothing_else(
    count: int, page_size: int, script: list[Failure | None]
) -> None:
    with open_log(":memory:") as log:
        assert isinstance(log, SqliteLog)
        world = World(log, count, script)
        process = run_to_the_end(world, page_size)
        struck = [failure for failure in script[: len(world.source.requests) + len(script)] if failure]
        assert (process.state, process.progress.created) == (State.COMPLETED, count)
        assert process.progress.retries <= len(struck)
        assert process.progress.rate_limited <= sum(failure is LIMITED for failure in struck)
        assert len(world.source.requests) == max(1, -(-count // page_size))

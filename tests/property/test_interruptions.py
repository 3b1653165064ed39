"""Failed and resumed, cancelled from outside, run by two at once: nobody is lost and nobody comes twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.events import PageDelivered, PageFetched
from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.commit import cancel
from syncfsm.engine.engine import Engine
from syncfsm.errors import VersionConflict
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.protocol import Page
from tests.effort import tries
from tests.fakes import WRONG_KEY, DictSink, Item, ListSource, TestClock, to_items


class CountingSink(DictSink):
    """A sink that counts how often it was given each item."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Counter[str] = Counter()

    async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
        self.given.update(item.external_id for item in items)
        return await super().upsert(items)


class World:
    """A source and a sink, and engines over them that know nothing but their log."""

    def __init__(self, count: int) -> None:
        self.clock = TestClock()
        self.source = ListSource(self.clock, count)
        self.sink = CountingSink()
        self.ids = {record.id for record in self.source.records}

    def engine(self, log: EventLog, seed: int = 1) -> Engine[Item]:
        rng = random.Random(seed)
        return Engine(log, self.source, self.sink, to_items, clock=self.clock, rng=rng)


def delivered(log: EventLog, process: Process) -> list[str]:
    """Return the ids that the log says were delivered, in order."""
    found: list[str] = []
    page: tuple[str, ...] = ()
    for recorded in log.read(process.id):
        if isinstance(recorded.event, PageFetched):
            page = recorded.event.record_ids
        elif isinstance(recorded.event, PageDelivered):
            found += page
    return found


@contextmanager
def two_connections() -> Iterator[tuple[EventLog, EventLog]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        with open_log(path) as one, open_log(path) as two:
            yield one, two


SIZES = st.integers(1, 15)


@settings(max_examples=tries(50, 500), deadline=None)
@given(
    count=st.integers(0, 40),
    page_size=SIZES,
    failures=st.lists(st.tuples(st.integers(0, 12), SIZES), max_size=4),
)
def test_a_sync_that_fails_after_any_event_is_resumed_with_any_page_size_and_delivers_everybody_once(
    count: int, page_size: int, failures: list[tuple[int, int]]
) -> None:
    """Each failure comes so many events after the last; then the sync is resumed with a size of its own."""
    world = World(count)
    with open_log(":memory:") as log:
        process = world.engine(log).start(page_size=page_size)
        for events, next_size in failures:
            process = fail_after(world, log, process, events)
            if process.state is State.FAILED:
                process = world.engine(log).resume(process.id, page_size=next_size)
        process = asyncio.run(world.engine(log).run(process.id))
        assert process.state is State.COMPLETED
        assert sorted(delivered(log, process)) == sorted(world.ids)
        assert world.sink.given == Counter(world.ids)
        assert process.progress.created == count
        assert verify(log)[1] == []


def fail_after(world: World, log: EventLog, process: Process, events: int) -> Process:
    """Step on for so many events, then find the key wrong."""
    last = process.version + events
    while process.is_active and process.version < last:
        process = asyncio.run(world.engine(log).step(process.id))
    world.source.check_failures, world.source.failures = [WRONG_KEY], [WRONG_KEY]
    if process.is_active:
        process = asyncio.run(world.engine(log).step(process.id))
    world.source.check_failures, world.source.failures = [], []
    return process


@settings(max_examples=tries(25, 200), deadline=None)
@given(count=st.integers(1, 40), page_size=SIZES, after=st.integers(1, 60))
def test_a_cancellation_from_another_connection_takes_effect_before_the_next_page_is_fetched(
    count: int, page_size: int, after: int
) -> None:
    """It comes right after any event of a running sync; from then on nothing is asked and nothing given."""
    world = World(count)
    with two_connections() as (one, two):
        asked: list[int] = []

        def cancel_it(process: Process, recorded: Any) -> None:
            if recorded.version == after and process.is_active:
                cancel(two, process.id, by="somebody", clock=world.clock)
                asked.extend((len(world.source.requests), world.sink.given.total()))

        engine = Engine(one, world.source, world.sink, to_items, clock=world.clock, hooks=[cancel_it])
        process = engine.start(page_size=page_size)
        process = asyncio.run(engine.run(process.id))
        if asked:
            assert process.state is State.CANCELLED
            assert asked == [len(world.source.requests), world.sink.given.total()]
        else:
            assert process.state is State.COMPLETED
        assert verify(one)[1] == []


class Pause:
    """An await that lets the other engine have its turn."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class PausingWorld(World):
    """Every answer of source and sink may be overtaken before it arrives, and before it is asked for."""

    def engine(self, log: EventLog, seed: int = 1) -> Engine[Item]:
        source, sink = self.source, self.sink

        class PausingSource(ListSource):
            async def fetch(self, request: PageRequest) -> Page | Failure:
                await Pause()
                page = await source.fetch(request)
                await Pause()
                return page

        class PausingSink(CountingSink):
            async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
                await Pause()
                result = await sink.upsert(items)
                await Pause()
                return result

        rng = random.Random(seed)
        return Engine(log, PausingSource(self.clock, 0), PausingSink(), to_items, clock=self.clock, rng=rng)


Outcome = Process | VersionConflict


def run_interleaved(runs: list[Coroutine[Any, Any, Process]], turns: list[int]) -> list[Outcome]:
    """Run coroutines in turns, by index; when the turns are used up, the first and then the second."""
    outcomes: dict[int, Outcome] = {}

    def turn(index: int) -> None:
        try:
            runs[index].send(None)
        except StopIteration as done:
            outcomes[index] = done.value
        except VersionConflict as conflict:
            outcomes[index] = conflict

    for index in turns:
        if index not in outcomes:
            turn(index)
    for index in range(len(runs)):
        while index not in outcomes:
            turn(index)
    return [outcomes[index] for index in range(len(runs))]


@settings(max_examples=tries(30, 300), deadline=None)
@given(
    count=st.integers(1, 30),
    page_size=SIZES,
    turns=st.lists(st.integers(0, 1), max_size=60),
)
def test_of_two_engines_on_one_process_one_goes_on_the_other_stops_and_nobody_is_lost_or_doubled(
    count: int, page_size: int, turns: list[int]
) -> None:
    world = PausingWorld(count)
    with two_connections() as logs:
        engines = [world.engine(log, seed) for seed, log in enumerate(logs)]
        process = engines[0].start(page_size=page_size)
        outcomes = run_interleaved([engine.run(process.id) for engine in engines], turns)
        last = logs[0].load(process.id)
        assert last in outcomes
        assert last.state is State.COMPLETED
        conflicts = [outcome for outcome in outcomes if isinstance(outcome, VersionConflict)]
        assert len(conflicts) <= 1
        assert all(outcome == last for outcome in outcomes if outcome not in conflicts)
        assert Counter(delivered(logs[0], last)) == Counter(world.ids)
        assert world.sink.items.keys() == world.ids
        assert last.progress.created + last.progress.unchanged == count
        assert verify(logs[1])[1] == []


def test_two_engines_that_take_turns_do_conflict() -> None:
    """The property above is not empty: here the second is refused, and the first ends the sync."""
    world = PausingWorld(10)
    with two_connections() as logs:
        engines = [world.engine(log, seed) for seed, log in enumerate(logs)]
        process = engines[0].start(page_size=3)
        first, second = run_interleaved([engine.run(process.id) for engine in engines], [0, 1, 0, 0, 1, 1])
        assert isinstance(second, VersionConflict)
        assert isinstance(first, Process)
        assert first.state is State.COMPLETED

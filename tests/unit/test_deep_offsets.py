"""Offsets that are refused or cost much, in virtual time; and what goes wrong with pages that came early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from syncfsm.core import events as e
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.width import BYTES_MAX, ReadAheadMax
from syncfsm.log import EventLog, open_log
from syncfsm.sources.protocol import Page, Record
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items

LATENCY_S = 0.1
AHEAD = pytest.mark.parametrize("read_ahead", [1, 4, "auto"])


class DeepSource(ListSource):
    """Newest first, with a largest offset, and without what lies before a key."""

    heeds_from_key: tuple[Order, ...] = ("newest", "oldest")
    reads_per_s = 90
    offset_max = 10**9

    def __init__(self, count: int, options: Options | None = None) -> None:
        super().__init__(TestClock(), count)
        self.options = options or Options()
        self.before: Callable[[PageRequest], None] = lambda _: None

    async def fetch(self, request: PageRequest) -> Page | Failure:
        self.requests.append(request)
        self.before(request)
        await VirtualClock().sleep(LATENCY_S)
        assert request.limit > 0
        if request.offset > self.offset_max:
            return Failure(kind=FailureKind.BAD_REQUEST, message="that is too deep.", status=400)
        from_key = request.from_key
        rows = [row for row in self.records if from_key is None or row.key <= from_key]
        return Page(records=tuple(rows[request.offset : request.offset + request.limit]), as_of=EPOCH)


def synced(
    source: ListSource,
    read_ahead: ReadAheadMax,
    *,
    log: EventLog | None = None,
    sink: DictSink | None = None,
    page_size: int = 50,
    order: Order | None = None,
) -> tuple[Process, DictSink, float]:
    """Return the last state of a sync, its sink, and how long it took."""
    sink = sink or DictSink()

    async def run() -> tuple[Process, float]:
        engine = Engine(
            log or open_log(":memory:"), source, sink, to_items, clock=VirtualClock(), read_ahead=read_ahead
        )
        process = await engine.sync(page_size=page_size, order=order)
        return process, asyncio.get_running_loop().time()

    process, took_s = run_virtual(run())
    return process, sink, took_s


@AHEAD
@pytest.mark.parametrize("offset_max", [0, 1, 60, 1000])
def test_everybody_comes_however_small_the_offsets_are_that_a_source_takes(
    read_ahead: ReadAheadMax, offset_max: int
) -> None:
    source = DeepSource(5000)
    source.offset_max = offset_max
    process, sink, _ = synced(source, read_ahead)
    assert (process.state, len(sink.items)) == (State.COMPLETED, 5000)
    assert sink.upserts <= 115, "pages that are nearly full"
    assert sum(request.offset > offset_max for request in source.requests) <= 20
    assert len(source.requests) <= 100 + 25


def test_offsets_that_are_refused_cost_little_time_where_pages_are_read_ahead() -> None:
    plain_s = synced(DeepSource(5000), "auto")[2]
    source = DeepSource(5000)
    source.offset_max = 2000
    assert synced(source, "auto")[2] < 2 * plain_s


@AHEAD
def test_an_import_that_is_undone_where_offsets_are_counted_anew_keeps_nobody_from_the_end(
    read_ahead: ReadAheadMax,
) -> None:
    """All who share the frontier's key are gone: nothing but the first row from there on is anchored."""
    source, alike = DeepSource(20_000), range(9000, 10_500)
    key = source.records[9000].key
    for place in alike:
        source.records[place] = Record(id=source.records[place].id, key=key, raw=b"good")

    def undo(request: PageRequest) -> None:
        if request.offset >= 9990:
            source.records[:] = [row for row in source.records if row.key != key]

    source.before, source.offset_max = undo, 10_000
    process, sink, _ = synced(source, read_ahead, page_size=499)
    assert process.state is State.COMPLETED
    assert {row.id for row in source.records} <= sink.items.keys()
    assert len(source.requests) < 80


@AHEAD
def test_who_dies_with_a_page_that_is_counted_from_a_key_goes_on_with_it(read_ahead: ReadAheadMax) -> None:
    class Died(BaseException):
        pass

    def die(_: Process, recorded: e.Recorded) -> None:
        if isinstance(recorded.event, e.PageFetched) and recorded.event.from_key:
            raise Died

    source, sink = DeepSource(5000), DictSink()
    source.offset_max = 1000
    with open_log(":memory:") as log:

        async def killed() -> None:
            engine = Engine(log, source, sink, to_items, clock=VirtualClock(), hooks=[die])
            await engine.sync(page_size=50)

        with pytest.raises(Died):
            run_virtual(killed())
        (unfinished,) = (log.load(id_) for id_ in log.ids())
        assert unfinished.pending is not None
        process, _, _ = synced(source, read_ahead, log=log, sink=sink)
    assert (process.state, len(sink.items), process.progress.retries) == (State.COMPLETED, 5000, 0)


def test_a_frontier_that_is_gone_where_offsets_are_counted_anew_costs_no_steps_back() -> None:
    source, gone = DeepSource(5000), set()

    def let_go(request: PageRequest) -> None:
        row = next((row for row in source.records if row.key == request.from_key), None)
        if row is not None and not gone:
            gone.add(row.id)
            source.records.remove(row)

    source.before, source.offset_max = let_go, 1000
    process, sink, _ = synced(source, 1)
    assert (process.state, process.progress.shifts, len(gone)) == (State.COMPLETED, 0, 1)
    assert {row.id for row in source.records} <= sink.items.keys()
    assert len(source.requests) <= 105


@pytest.mark.parametrize("page_size", [50, 99])
@AHEAD
def test_half_of_the_people_of_an_api_with_numbers_may_go_at_once(
    read_ahead: ReadAheadMax, page_size: int
) -> None:
    source = DeepSource(6000, Options(pagination="page", limit_max=100))

    def let_go(_: PageRequest) -> None:
        if len(source.requests) == 30:
            del source.records[::2]

    source.before = let_go
    process, sink, _ = synced(source, read_ahead, page_size=page_size)
    assert process.state is State.COMPLETED, process.failure
    assert {row.id for row in source.records} <= sink.items.keys()
    assert len(source.requests) < 3 * 6000 / page_size


def test_a_page_that_came_empty_by_mistake_does_not_end_reading_ahead() -> None:
    class Hiccups(DeepSource):
        async def fetch(self, request: PageRequest) -> Page | Failure:
            page = await super().fetch(request)
            is_first = sum(asked.offset == request.offset for asked in self.requests) == 1
            if request.offset == 1000 and is_first:
                return Page(records=(), as_of=EPOCH)
            return page

    plain_s = synced(DeepSource(5000), 16)[2]
    process, sink, took_s = synced(Hiccups(5000), 16)
    assert (process.state, len(sink.items)) == (State.COMPLETED, 5000)
    assert took_s < 2 * plain_s


@pytest.mark.parametrize("read_ahead", [64, "auto"])
def test_no_more_bytes_are_held_than_a_limit_says_though_rows_grow(read_ahead: ReadAheadMax) -> None:
    """The rows of later pages are a thousand times as large."""
    held, most = 0, 0

    class Heavy(DeepSource):
        async def fetch(self, request: PageRequest) -> Page | Failure:
            nonlocal held, most
            page = await super().fetch(request)
            assert isinstance(page, Page)
            size = 100_000 if request.offset > 1000 else 100
            rows = tuple(Record(id=row.id, key=row.key, raw=b"x" * size) for row in page.records)
            held += size * len(rows)
            most = max(most, held)
            return Page(records=rows, as_of=EPOCH)

    class Taking(DictSink):
        async def upsert(self, items):  # type: ignore[no-untyped-def]
            nonlocal held
            held -= sum(len(item.text) for item in items)
            return await super().upsert([Item(external_id=item.external_id, text="") for item in items])

    process, _, _ = synced(Heavy(3000), read_ahead, sink=Taking())
    assert process.state is State.COMPLETED
    assert most < 4 * BYTES_MAX, "what was under way when they grew is there as well"


def test_a_source_that_cancels_its_own_request_has_raised() -> None:
    class Odd(DeepSource):
        async def fetch(self, request: PageRequest) -> Page | Failure:
            if request.offset == 500:
                raise asyncio.CancelledError
            return await super().fetch(request)

    process, _, _ = synced(Odd(5000), 16)
    assert process.state is State.FAILED
    assert process.failure is not None
    assert process.failure.reason == "raised"

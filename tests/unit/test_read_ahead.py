"""Reading ahead in virtual time: as much at once as may be, in order, and nothing after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from syncfsm.core import events as e
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Pagination
from syncfsm.core.paging.lookahead import Lookahead
from syncfsm.core.paging.offsets import plan
from syncfsm.core.paging.pages import PageRequest, PageRule
from syncfsm.core.paging.place import Frontier, Paging
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.readahead import ReadAhead
from syncfsm.engine.slots import Answer
from syncfsm.engine.width import Width
from syncfsm.errors import ConfigurationError
from syncfsm.log import EventLog, open_log
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.numbered import NumberedSource
from syncfsm.sources.protocol import Page, Record, Transformed
from syncfsm_simulator.fakes.numbered import API
from syncfsm_simulator.world.clock import VirtualClock, run_virtual
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items

SLOW_S = 0.1
LIMITED = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", retry_after_s=5.0)


class SlowSource(ListSource):
    """A list whose answers take a while; keeps how many were under way at once, and when each was asked.

    A request waits `queue_s` before it is sent, as it does for a rate limit.
    """

    queue_s = 0.0

    def __init__(self, count: int, options: Options | None = None) -> None:
        super().__init__(TestClock(), count)
        self.options = options or Options()
        self.time = VirtualClock()
        self.under_way = self.under_way_max = self.cancelled = 0
        self.asked_at: list[float] = []
        self.fails: dict[int, Failure] = {}  # by the number of the request

    async def fetch(self, request: PageRequest) -> Page | Failure:
        await self.time.sleep(self.queue_s)
        self.asked_at.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        failure = self.fails.pop(len(self.asked_at), None)
        try:
            await self.time.sleep(SLOW_S)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        return failure or await super().fetch(request)


def sync(
    source: ListSource,
    read_ahead: int,
    log: EventLog | None = None,
    sink: DictSink | None = None,
    **more: Any,
) -> tuple[Process, float]:
    """Return the last state of a sync, and how long it took in its own time."""

    async def run() -> tuple[Process, float]:
        engine = Engine(
            log or open_log(":memory:"),
            source,
            sink or DictSink(),
            to_items,
            clock=VirtualClock(),
            read_ahead=read_ahead,
            **more,
        )
        process = await engine.sync(page_size=50)
        assert len(asyncio.all_tasks()) == 1, "nothing is left under way"
        return process, asyncio.get_running_loop().time()

    return run_virtual(run())


def said(log: EventLog) -> list[bytes]:
    """Return the events without ids of processes and times."""
    timeless = {"as_of": 0, "elapsed_ms": 0, "watermark": 0}
    events = [recorded.event for id_ in log.ids() for recorded in log.read(id_)]
    fields = [{**msgspec.to_builtins(event), "type": type(event).__name__} for event in events]
    return [
        msgspec.json.encode({name: timeless.get(name, value) for name, value in event.items()})
        for event in fields
    ]


@pytest.mark.parametrize("pagination", ["offset", "page"])
def test_the_log_says_the_same_whether_one_request_is_under_way_or_sixteen(pagination: Pagination) -> None:
    logs = []
    for read_ahead in (1, 16):
        source = SlowSource(1234, Options(pagination=pagination))
        with open_log(":memory:") as log:
            process, _ = sync(source, read_ahead, log)
            assert (process.state, process.progress.fetched) == (State.COMPLETED, 1234)
            logs.append(said(log))
        assert source.under_way_max == read_ahead
    assert logs[0] == logs[1]
    assert len(logs[0]) > 50


def test_eight_requests_at_once_take_about_an_eighth_of_the_time() -> None:
    _, alone_s = sync(SlowSource(10_000), 1)
    _, ahead_s = sync(SlowSource(10_000), 8)
    assert alone_s == pytest.approx(200 * SLOW_S, rel=0.01)
    assert ahead_s < alone_s / 6.5


def test_the_first_page_is_asked_for_alone_then_more_and_more() -> None:
    source = SlowSource(1000)
    sync(source, 8)
    at_once = [source.asked_at.count(at) for at in sorted(set(source.asked_at))]
    assert at_once[0] == 1
    assert at_once[1] == 2
    assert source.under_way_max == 8


def test_after_a_failure_nothing_is_asked_for_until_the_wait_is_over_and_then_less_at_once() -> None:
    source = SlowSource(5000)
    source.fails[30] = LIMITED
    with open_log(":memory:") as log:
        process, _ = sync(source, 8, log)
        scheduled = [r for r in log.read(process.id) if isinstance(r.event, e.RetryScheduled)]
    assert (process.state, process.progress.fetched, process.progress.retries) == (State.COMPLETED, 5000, 1)
    retry_at = (scheduled[0].event.retry_at - process.started_at).total_seconds()  # type: ignore[attr-defined]
    failed_at = (scheduled[0].at - process.started_at).total_seconds()
    assert [at for at in source.asked_at if failed_at < at < retry_at - 0.01] == []
    again = [at for at in source.asked_at if at >= retry_at - 0.01]
    assert again.count(again[0]) <= 5


def test_a_page_that_came_before_a_failure_is_used_and_one_after_it_is_kept() -> None:
    source = SlowSource(1000)
    source.fails[10] = LIMITED
    sink = DictSink()
    process, _ = sync(source, 4, sink=sink)
    assert (process.state, len(sink.items), sink.upserts) == (State.COMPLETED, 1000, 20)
    assert process.progress.retries == 1


def test_a_sync_that_stops_leaves_nothing_under_way() -> None:
    source, sink = SlowSource(5000), DictSink()
    refused = Failure(kind=FailureKind.UNWRITABLE, message="the disk is full.")

    async def full_after_ten(items: Sequence[Any]) -> Any:
        return refused if sink.upserts == 10 else await DictSink.upsert(sink, items)

    sink.upsert = full_after_ten  # type: ignore[method-assign]
    process, _ = sync(source, 8, sink=sink)
    assert process.state is State.FAILED
    assert source.under_way == 0
    assert len(source.asked_at) < 11 + 8


def test_while_the_sink_is_waited_for_nothing_is_asked_for() -> None:
    source, sink = SlowSource(5000), DictSink()
    source.queue_s = 0.05
    locked = Failure(kind=FailureKind.LOCKED, message="it is locked.", retry_after_s=5.0)

    async def locked_once(items: Sequence[Any]) -> Any:
        if sink.upserts == 10 and sink.finished == 0:
            sink.finished = 1
            return locked
        return await DictSink.upsert(sink, items)

    sink.upsert = locked_once  # type: ignore[method-assign]
    with open_log(":memory:") as log:
        process, _ = sync(source, 8, log, sink)
        (retry,) = (r for r in log.read(process.id) if isinstance(r.event, e.RetryScheduled))
    assert process.state is State.COMPLETED
    failed_at, calm_s = (retry.at - process.started_at).total_seconds(), retry.event.wait_s  # type: ignore[attr-defined]
    assert [at for at in source.asked_at if failed_at <= at < failed_at + calm_s] == []


def test_a_step_asks_for_its_own_page_only() -> None:
    source = SlowSource(500)

    async def steps() -> None:
        engine = Engine(open_log(":memory:"), source, DictSink(), to_items, read_ahead=8)
        process = engine.start()
        for _ in range(4):
            await engine.step(process.id)

    run_virtual(steps())
    assert source.under_way_max == 1
    assert len(source.requests) <= 4


@pytest.mark.parametrize("number", [0, 65])
def test_a_number_of_requests_that_cannot_work_is_refused(number: int) -> None:
    with pytest.raises(ConfigurationError, match=f"read_ahead={number} cannot work"):
        Engine(open_log(":memory:"), ListSource(TestClock(), 1), DictSink(), to_items, read_ahead=number)


# ── one by one ───────────────────────────────────────────────────────────────────────────────

RULE = PageRule(page_size=10, order="newest", limit_max=500, confirm_end=False)
PEOPLE = 1000


def key(place: int) -> str:
    return f"{PEOPLE - place:05}"


def at(place: int, *, offset: int | None = None, step_back: int = 0) -> Lookahead:
    """Return where a sync of a thousand stands that has taken the rows before a place, wherever that is."""
    last = Frontier(key=key(place - 1), ids=frozenset({f"r{place - 1:05}"})) if place else None
    paging = Paging(
        offset=place if offset is None else offset,
        frontier=last,
        peek=f"r{place:05}" if place else None,
        step_back=step_back,
    )
    return Lookahead(paging=paging, rule=RULE)


class Fetches(ReadAhead):
    """Fetches what is due at a place."""

    async def at(self, place: int, *, offset: int | None = None, step_back: int = 0) -> Answer:
        ahead = at(place, offset=offset, step_back=step_back)
        return await self.fetch(plan(ahead.paging, ahead.rule), ahead)


async def warmed_up(source: SlowSource, requests_max: int) -> Fetches:
    """Return one that may have all its requests under way, and has none."""
    width = Width(requests_max, None)
    for _ in range(requests_max):
        width.used(100)
    return Fetches(source, width, VirtualClock())


async def with_a_failure_ahead(source: SlowSource, failure: Failure) -> Fetches:
    """Return one that has a page for place 10 ahead, and a failure for the one for place 20."""
    ahead = await warmed_up(source, 3)
    source.fails[3] = failure
    await ahead.at(0)
    await asyncio.sleep(1)
    return ahead


def test_a_page_is_used_that_begins_before_the_place_and_the_next_are_asked_for_with_a_margin() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 4)
        await ahead.at(0)
        await asyncio.sleep(1)
        assert sorted(asked.offset for asked in source.requests) == [0, 10, 20, 30]
        answer = await ahead.at(13, offset=16)  # the page before was of another moment, with three rows more
        assert answer.request.offset == 10
        await asyncio.sleep(1)
        (following,) = source.requests[4:]
        assert 40 - 3 - 1 - 2 * 3 <= following.offset < 40 - 3

    run_virtual(run())


def test_where_a_page_begins_too_late_what_lies_before_it_is_asked_for_and_the_page_is_kept() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 4)
        await ahead.at(0)
        await asyncio.sleep(1)
        del source.records[:3]  # the pages that came are of before that
        asked = len(source.requests)
        answer = await ahead.at(7)
        assert answer.request.offset == 7
        assert source.requests[asked].offset == 7
        kept = await ahead.at(17)
        assert isinstance(kept.page, Page)
        assert (kept.request.offset, ahead.slots.unused) == (10, 0)

    run_virtual(run())


def test_a_page_with_nothing_new_is_dropped() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 3)
        await ahead.at(0)
        await asyncio.sleep(1)
        assert (await ahead.at(40)).request.offset == 40
        assert ahead.slots.unused == 2

    run_virtual(run())


def test_while_a_sync_steps_back_just_what_is_due_is_asked_for_and_what_came_is_kept() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 3)
        await ahead.at(0)
        await asyncio.sleep(1)
        answer = await ahead.at(10, step_back=7)
        assert (answer.request.offset, answer.request.limit) == (3, 18)
        assert len(source.requests) == 4
        assert (await ahead.at(10)).request.offset == 10
        assert ahead.slots.unused == 0

    run_virtual(run())


def test_nothing_is_asked_for_past_a_page_that_came_short() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        del source.records[25:]
        ahead = await warmed_up(source, 3)
        for place in (0, 10):
            await ahead.at(place)
            await asyncio.sleep(1)
        assert max(asked.offset for asked in source.requests) == 20

    run_virtual(run())


def test_a_failure_that_tells_how_the_source_is_is_handed_over_even_if_its_page_is_not_needed_any_more() -> (
    None
):
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await with_a_failure_ahead(source, LIMITED)
        asked = len(source.asked_at)
        assert (await ahead.at(10)).page == LIMITED
        assert len(source.asked_at) == asked, "a source that asked for patience is asked for nothing"
        assert isinstance((await ahead.at(10)).page, Page)

    run_virtual(run())


LOST = Failure(kind=FailureKind.NOT_FOUND, message="there is no such page.")


def test_a_failure_of_a_page_that_is_not_needed_any_more_is_forgotten_with_it() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await with_a_failure_ahead(source, LOST)
        assert isinstance((await ahead.at(10)).page, Page)
        source.fails.clear()
        page = (await ahead.at(25)).page
        assert isinstance(page, Page)
        assert page.records[0].id == "r00025"

    run_virtual(run())


def test_a_failure_of_one_page_does_not_answer_for_another() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await with_a_failure_ahead(source, LOST)
        assert isinstance((await ahead.at(10)).page, Page)
        assert (await ahead.at(20)).page == LOST

    run_virtual(run())


def test_how_long_a_request_took_does_not_depend_on_when_its_page_was_needed() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 3)
        for place, after_s in ((0, 0.0), (10, 0.05), (20, 1.0)):
            await asyncio.sleep(after_s)
            assert (await ahead.at(place)).elapsed_ms == 100

    run_virtual(run())


def test_after_a_429_nothing_that_waits_for_its_turn_still_goes_out() -> None:
    """Through the real client and its rate limiter: 16 requests are let through at three a second."""
    people = [{"id": number} for number in range(3000)]
    asked_at: list[float] = []

    async def respond(asked: httpx.Request) -> httpx.Response:
        asked_at.append(asyncio.get_running_loop().time())
        if len(asked_at) == 24:
            return httpx.Response(429, headers={"Retry-After": "60"})
        number, size = (int(asked.url.params[name]) for name in ("page", "per_page"))
        rows = people[(number - 1) * size : number * size]
        return httpx.Response(200, json={"people": rows, "total": len(people)})

    class SlowSink(DictSink):
        async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
            await VirtualClock().sleep(0.3 if len(asked_at) < 24 else 4)
            return await super().upsert(items)

    async def run() -> Process:
        source = NumberedSource(
            msgspec.structs.replace(API, reads_per_s=3),
            "key",
            base_url="http://numbered.test",
            clock=VirtualClock(),
            transport=httpx.MockTransport(respond),
        )
        engine = Engine(
            open_log(":memory:"), source, SlowSink(), to_items, clock=VirtualClock(), read_ahead=16
        )
        return await engine.sync(order="id")

    process = run_virtual(run())
    assert (process.state, process.progress.fetched) == (State.COMPLETED, 3000)
    assert process.progress.rate_limited == 1
    limited_at = asked_at[23]
    assert [at for at in asked_at if limited_at < at < limited_at + 60] == []


def test_no_more_pages_are_held_than_may_be_under_way() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 4)
        await ahead.at(0)
        await asyncio.sleep(1)
        assert len(source.requests) == 4

    run_virtual(run())


def test_whoever_is_cancelled_while_waiting_for_a_page_leaves_nothing_behind() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 4)
        waiting = asyncio.create_task(ahead.at(0))
        await asyncio.sleep(SLOW_S / 2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await ahead.drop()
        assert (source.under_way, source.cancelled) == (0, 4)
        assert len(asyncio.all_tasks()) == 1

    run_virtual(run())


def test_what_goes_wrong_in_a_source_ahead_of_time_comes_up_with_its_page() -> None:
    class Broken(SlowSource):
        async def fetch(self, request: PageRequest) -> Page | Failure:
            if request.offset == 10:
                raise ZeroDivisionError
            return await super().fetch(request)

    async def run() -> None:
        ahead = await warmed_up(Broken(PEOPLE), 3)
        await ahead.at(0)
        with pytest.raises(ZeroDivisionError):
            await ahead.at(10)
        assert isinstance((await ahead.at(20)).page, Page)

    run_virtual(run())


def test_what_is_needed_now_is_not_asked_for_once_another_request_was_refused() -> None:
    limited = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", status=429, retry_after_s=60.0)

    class Refusing(SlowSource):
        async def fetch(self, asked: PageRequest) -> Page | Failure:
            if asked.offset == 10:
                await asyncio.sleep(0.01)
                return limited
            return await super().fetch(asked)

    async def run() -> None:
        ahead = await warmed_up(Refusing(PEOPLE), 3)
        began_s = asyncio.get_running_loop().time()
        assert (await ahead.at(0)).page == limited
        assert asyncio.get_running_loop().time() - began_s < 0.05

    run_virtual(run())


def test_who_is_given_up_while_a_page_is_needed_gives_that_up_too() -> None:
    async def run() -> None:
        source = SlowSource(PEOPLE)
        ahead = await warmed_up(source, 3)
        waiting = asyncio.create_task(ahead.at(0))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await ahead.drop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(run())


# ── while a page is delivered ────────────────────────────────────────────────────────────────


class SlowSink(DictSink):
    """Takes its time for each page."""

    async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
        await VirtualClock().sleep(SLOW_S)
        return await super().upsert(items)


def test_the_second_page_is_on_its_way_while_the_first_is_delivered() -> None:
    source = SlowSource(150)
    _, took_s = sync(source, 8, sink=SlowSink())
    assert took_s == pytest.approx(4 * SLOW_S), "one for the first page, and three that are delivered"
    assert len(source.asked_at) == 3


def test_nothing_is_asked_for_behind_a_first_page_that_has_everything() -> None:
    source = SlowSource(50)
    sync(source, 8, sink=SlowSink())
    assert len(source.asked_at) == 1


class LooksUp:
    """A transform that looks something up for each page, and prepares for those that come early."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.prepared = 0
        self.fails = False

    async def prepare(self, records: Sequence[Record]) -> None:
        self.prepared += 1
        if self.fails:
            raise ZeroDivisionError
        await self._look_up(records)

    async def __call__(self, records: Sequence[Record]) -> Transformed[Item]:
        await self._look_up(records)
        return await to_items(records)

    async def _look_up(self, records: Sequence[Record]) -> None:
        if any(record.id not in self.known for record in records):
            await VirtualClock().sleep(SLOW_S)
        self.known |= {record.id for record in records}


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_transform_looks_up_is_looked_up_for_pages_that_came_early(fails: bool) -> None:
    async def run() -> float:
        source, transform = SlowSource(5000), LooksUp()
        transform.fails = fails
        engine = Engine(
            open_log(":memory:"), source, DictSink(), transform, clock=VirtualClock(), read_ahead=16
        )
        process = await engine.sync(page_size=50)
        assert (process.state, process.progress.fetched) == (State.COMPLETED, 5000)
        assert transform.prepared >= 98
        assert len(asyncio.all_tasks()) == 1, "nothing is left under way"
        return asyncio.get_running_loop().time()

    took_s = run_virtual(run())
    assert (took_s > 99 * SLOW_S) is fails, "or each page waits for its own"

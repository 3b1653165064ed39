"""The promise where pages were asked for before they were needed, and show an earlier moment."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Callable
from statistics import median

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.legality import refusal
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.core.rule_of_process import foresee
from syncfsm.engine.answers import fetched
from syncfsm.engine.engine import Engine
from syncfsm.engine.readahead import ReadAhead
from syncfsm.engine.width import Width
from syncfsm.log import open_log
from syncfsm.sources.numbered import NumberedSource
from syncfsm.sources.protocol import Page, Record
from syncfsm_simulator.fakes.numbered import API
from syncfsm_simulator.world.clock import VirtualClock, run_virtual
from tests.effort import tries
from tests.fakes import DictSink, ListSource, TestClock, to_items
from tests.property.test_moving_rows import KEYS, ORDERS, SCRIPT, THOROUGH, MovingWorld, assert_the_promise
from tests.property.test_price import Workspace, pages
from tests.pure import PureSync, Row, people, slice_of

SOURCE_RULES = {
    "offset": Options(limit_max=10**6),
    "offset, small limit": Options(limit_max=25),
    "offset, confirmed end": Options(limit_max=10**6, confirm_end=True),
    "page": Options(pagination="page", limit_max=50),
}


class AnySource(ListSource):
    """Answers from a function, in an order of its own."""

    offset_max = 10**9

    def __init__(self, answer: Callable[[PageRequest], Page], rng: random.Random) -> None:
        super().__init__(TestClock(), 0)
        self.answer = answer
        self.rng = rng
        self.heeds_from_key: tuple[Order, ...] = ()

    async def fetch(self, request: PageRequest) -> Page | Failure:
        """Return the rows as they are at some moment between the question and the answer."""
        await self._pass_by()
        self.requests.append(request)
        if request.offset > self.offset_max:
            return Failure(kind=FailureKind.BAD_REQUEST, message="that is too deep.")
        page = self.answer(request)
        await self._pass_by()
        return page

    async def _pass_by(self) -> None:
        for _ in range(self.rng.randrange(4)):
            await asyncio.sleep(0)


class AheadSync(PureSync):
    """Takes its pages by way of `ReadAhead`, so many at once from the beginning."""

    def __init__(
        self,
        answer: Callable[[PageRequest], list[Row]],
        *,
        count: int,
        seed: int,
        page_size: int,
        order: Order = "newest",
        options: Options | None = None,
        total_of: Callable[[], int | None] = lambda: None,
        offset_max: int | None = None,
        us_per_row: int = 0,
    ) -> None:
        def page_of(request: PageRequest) -> Page:
            records = (Record(id=row.id, key=row.key, raw=b"") for row in answer(request))
            took_ms = 10 + us_per_row * request.offset // 1000
            return Page(records=tuple(records), as_of=self.at, total=total_of(), took_ms=took_ms)

        self.loop = asyncio.new_event_loop()
        width = Width(count, None)
        for _ in range(count):
            width.used(1)
        self.source = AnySource(page_of, random.Random(seed))
        if offset_max is not None or us_per_row:
            self.source.heeds_from_key = ("newest", "oldest")
            self.source.offset_max = 10**9 if offset_max is None else offset_max
        self.pages = ReadAhead(self.source, width, TestClock())
        super().__init__(answer, page_size=page_size, order=order, options=options)

    def run(self, actions_max: int = 10_000) -> Process:
        try:
            process = super().run(actions_max)
            self.loop.run_until_complete(self.pages.drop())
            return process
        finally:
            self.loop.close()

    def _fetch(self, request: PageRequest) -> d.Outcome:
        answer = self.loop.run_until_complete(self.pages.fetch(request, foresee(self.process)))
        if isinstance(answer.page, Failure):
            return d.Failed(action="fetch", failure=answer.page, at=self.at, chance=0.5)
        asked = replace(answer.request, cursor=request.cursor)
        page = replace(answer.page, as_of=self.at)
        outcome = fetched(asked, page, answer.elapsed_ms, is_followed=answer.is_followed)
        (event, *_) = d.decide(self.process, outcome)
        assert refusal(self.process, event) is None, "the log says what `log check` understands"
        return outcome


@pytest.mark.parametrize("options", SOURCE_RULES.values(), ids=SOURCE_RULES)
@pytest.mark.parametrize("order", ORDERS)
@THOROUGH
@given(
    keys=st.lists(KEYS, max_size=60),
    script=SCRIPT,
    page_size=st.integers(1, 12),
    count=st.integers(1, 8),
    seed=st.integers(0, 2**16),
    has_total=st.booleans(),
)
def test_nothing_is_lost_and_nothing_comes_twice_while_rows_move_and_pages_are_read_ahead(
    *,
    options: Options,
    order: Order,
    keys: list[int],
    script: list[list[tuple[str, int]]],
    page_size: int,
    count: int,
    seed: int,
    has_total: bool,
) -> None:
    world = MovingWorld(keys, script, order)
    sync = AheadSync(
        world.answer,
        page_size=page_size,
        order=order,
        options=options,
        count=count,
        seed=seed,
        total_of=lambda: len(world.rows) if has_total else None,
    )
    assert_the_promise(world, sync)
    assert sync.process.progress.pages < 200, "it does not go round in circles"


@pytest.mark.parametrize("order", ["newest", "oldest"])
@THOROUGH
@given(
    keys=st.lists(KEYS, max_size=40),
    script=SCRIPT,
    page_size=st.integers(1, 12),
    count=st.integers(1, 8),
    seed=st.integers(0, 2**16),
    offset_max=st.integers(20, 40),
)
def test_nothing_is_lost_and_nothing_comes_twice_where_offsets_are_refused_from_some_on(
    *,
    order: Order,
    keys: list[int],
    script: list[list[tuple[str, int]]],
    page_size: int,
    count: int,
    seed: int,
    offset_max: int,
) -> None:
    """Of one key there may be more rows than fit a page, and filters take them for one with others."""
    world = MovingWorld(keys * 3, script, order)
    sync = AheadSync(
        world.answer, page_size=page_size, order=order, count=count, seed=seed, offset_max=offset_max
    )
    if sync.run().state is State.COMPLETED:
        assert world.untouched <= set(sync.delivered)
    else:  # nobody can get past them
        assert sync.process.failure is not None
        assert sync.process.failure.reason == "bad_request"
        assert world.most_alike > offset_max - page_size - 1
    assert len(sync.delivered) == len(set(sync.delivered))


@pytest.mark.parametrize("count", [1, 4, 16])
def test_offsets_stay_small_where_answers_take_longer_the_larger_they_are(count: int) -> None:
    sync = AheadSync(slice_of_keys(people(20_000)), page_size=50, count=count, seed=1, us_per_row=20)
    assert sync.run().state is State.COMPLETED
    assert len(sync.delivered) == len(set(sync.delivered)) == 20_000
    assert max(request.offset for request in sync.source.requests) < 4000
    assert len(sync.source.requests) < 1.05 * 400 + count


def test_offsets_are_counted_from_the_first_row_where_they_cost_nothing() -> None:
    sync = AheadSync(slice_of_keys(people(20_000)), page_size=50, count=4, seed=1, offset_max=10**9)
    assert sync.run().state is State.COMPLETED
    assert {request.from_key for request in sync.source.requests} == {None}


def slice_of_keys(rows: list[Row]) -> Callable[[PageRequest], list[Row]]:
    """Answer from rows that stay as they are, from a key on if one is given; newest first."""
    keys = [-int(row.key) for row in rows]

    def answer(request: PageRequest) -> list[Row]:
        first = 0 if request.from_key is None else bisect_left(keys, -int(request.from_key))
        return rows[first + request.offset : first + request.offset + request.limit]

    return answer


class Shrinking:
    """An API whose pages have numbers, with a total and a 404 past the end; people go while it is read."""

    def __init__(self, count: int, goes: dict[int, list[int]]) -> None:
        self.ids = list(range(1, count + 1))
        self.goes = goes
        self.asked = 0

    async def respond(self, request: httpx.Request) -> httpx.Response:
        """Let go whose turn it is, by their places, and answer after a while."""
        gone = {self.ids[place % len(self.ids)] for place in self.goes.get(self.asked, ()) if self.ids}
        self.ids = [id_ for id_ in self.ids if id_ not in gone]
        self.asked += 1
        number, size = (int(request.url.params[name]) for name in ("page", "per_page"))
        rows, total = self.ids[(number - 1) * size : number * size], len(self.ids)
        await VirtualClock().sleep(0.1)
        if number > 1 and not rows:
            return httpx.Response(404)
        return httpx.Response(200, json={"people": [{"id": id_} for id_ in rows], "total": total})

    def sync(self, read_ahead: int) -> tuple[Process, set[str]]:
        async def run() -> Process:
            clock, transport = VirtualClock(), httpx.MockTransport(self.respond)
            source = NumberedSource(API, "key", base_url="http://a.test", clock=clock, transport=transport)
            engine = Engine(open_log(":memory:"), source, sink, to_items, clock=clock, read_ahead=read_ahead)
            return await engine.sync(page_size=10, order="id")

        sink = DictSink()
        return run_virtual(run()), set(sink.items)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 250),
    goes=st.dictionaries(st.integers(2, 25), st.lists(st.integers(0, 250), max_size=80), max_size=6),
)
def test_a_sync_ends_well_with_one_request_or_sixteen_though_the_end_comes_nearer_and_past_it_is_a_404(
    count: int, goes: dict[int, list[int]]
) -> None:
    for read_ahead in (1, 16):
        api = Shrinking(count, goes)
        process, there = api.sync(read_ahead)
        assert process.state is State.COMPLETED, (read_ahead, process.failure)
        assert set(map(str, api.ids)) <= there


def test_nothing_is_foreseen_before_the_first_page_has_come_so_that_no_page_is_older_than_the_watermark() -> (
    None
):
    sync = PureSync(slice_of(people(500)))
    while sync.process.watermark is None:
        assert foresee(sync.process) is None
        sync.turn()
    assert foresee(sync.process) is not None


def test_nothing_is_foreseen_by_cursors_and_for_single_records() -> None:
    by_cursor = PureSync(lambda _: people(2), page_size=2, options=Options(pagination="cursor"))
    by_cursor.next_token = "a"
    listed = PureSync(
        lambda request: [Row(id=id_, key="") for id_ in request.record_ids], record_ids=("r1",) * 90
    )
    for sync in (by_cursor, listed):
        while sync.process.progress.pages < 1:
            sync.turn()
        assert foresee(sync.process) is None


@pytest.mark.parametrize("total", [250, None])
def test_nothing_is_asked_for_past_a_total(total: int | None) -> None:
    sync = AheadSync(slice_of(people(250)), page_size=10, count=16, seed=1, total_of=lambda: total)
    assert sync.run().state is State.COMPLETED
    assert (max(asked.offset for asked in sync.source.requests) < 250) is (total is not None)


def test_reading_ahead_costs_no_request_while_nothing_moves_but_those_past_the_end() -> None:
    sync = AheadSync(slice_of(people(1000)), page_size=50, count=7, seed=1)
    assert sync.run().state is State.COMPLETED
    assert len([request for request in sync.source.requests if request.offset < 1000]) == 20
    assert len(sync.source.requests) <= 20 + 7


@pytest.mark.parametrize(("count", "price_max"), [(4, 1.2), (16, 1.3)])
@pytest.mark.parametrize(("deleted", "created"), [(3, 1), (9, 0), (0, 5)])
def test_rows_that_move_cost_few_requests_more_though_pages_are_read_ahead(
    count: int, price_max: float, deleted: int, created: int
) -> None:
    prices = []
    for seed in range(tries(2, 20)):
        workspace = Workspace(seed, "newest", deleted=deleted, created=created, people=5000)
        sync = AheadSync(
            workspace.answer, page_size=50, count=count, seed=seed, options=Options(limit_max=500)
        )
        assert sync.run().state is State.COMPLETED
        assert workspace.stayed <= set(sync.delivered)
        assert len(sync.delivered) == len(set(sync.delivered))
        prices.append(len(sync.source.requests) / pages(len(sync.delivered)))
    assert median(prices) <= price_max

"""The promise where pages were asked for before they were needed, and show an earlier moment."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core import decide as d
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.core.rule_of_process import foresee
from syncfsm.engine.engine import Engine
from syncfsm.log import open_log
from syncfsm.sources.numbered import NumberedSource
from syncfsm_simulator.fakes.numbered import API
from syncfsm_simulator.world.clock import VirtualClock, run_virtual
from tests.fakes import DictSink, to_items
from tests.property.test_moving_rows import KEYS, ORDERS, SCRIPT, THOROUGH, MovingWorld, assert_the_promise
from tests.property.test_price import Workspace
from tests.pure import PureSync, Row, people, slice_of

SOURCE_RULES = (Options(limit_max=10**6), Options(limit_max=25), Options(pagination="page", limit_max=50))


class AheadSync(PureSync):
    """Asks ahead for some of what is foreseen, in any order, before or after what is due."""

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
    ) -> None:
        self.count = count
        self.rng = random.Random(seed)
        self.total_of = total_of
        self.ahead: dict[PageRequest, tuple[list[Row], int | None]] = {}
        self.rows_of = answer
        super().__init__(answer, page_size=page_size, order=order, options=options)

    def _fetch(self, request: PageRequest) -> d.Outcome:
        following = foresee(self.process, self.count)
        self.ahead = {asked: self.ahead[asked] for asked in (request, *following) if asked in self.ahead}
        wanted = [request, *(asked for asked in following if self.rng.random() < 0.7)]
        for asked in self.rng.sample(wanted, len(wanted)):
            if asked not in self.ahead:
                self.requests.append(asked)
                self.ahead[asked] = self.rows_of(asked), self.total_of()
        rows, total = self.ahead.pop(request)
        return d.Fetched(request=request, rows=rows, as_of=self.at, elapsed_ms=1, total=total)


@pytest.mark.parametrize("options", SOURCE_RULES, ids=["offset", "offset, small limit", "page"])
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


@pytest.mark.parametrize("options", SOURCE_RULES, ids=["offset", "offset, small limit", "page"])
def test_what_is_foreseen_is_what_is_asked_for_while_nothing_moves(options: Options) -> None:
    sync = PureSync(slice_of(people(500)), page_size=12, options=options)
    foreseen: tuple[PageRequest, ...] | None = None
    while sync.turn():
        if sync.process.pending is None and sync.process.progress.pages == 3 and foreseen is None:
            asked, foreseen = len(sync.requests), foresee(sync.process, 20)
    assert foreseen is not None
    assert sync.requests[asked + 1 : asked + 21] == list(foreseen)


def test_nothing_is_foreseen_before_the_first_page_has_come_so_that_no_page_is_older_than_the_watermark() -> (
    None
):
    sync = PureSync(slice_of(people(500)))
    while sync.process.watermark is None:
        assert foresee(sync.process, 8) == ()
        sync.turn()
    assert len(foresee(sync.process, 8)) == 8


def test_nothing_is_foreseen_by_cursors_for_single_records_and_past_a_total() -> None:
    by_cursor = PureSync(lambda _: people(2), page_size=2, options=Options(pagination="cursor"))
    by_cursor.next_token = "a"
    listed = PureSync(
        lambda request: [Row(id=id_, key="") for id_ in request.record_ids], record_ids=("r1",) * 9
    )
    with_total = PureSync(slice_of(people(25)), page_size=10)
    with_total.total = 25
    for sync, count in ((by_cursor, 0), (listed, 0), (with_total, 2)):
        while sync.process.progress.pages < 1 and sync.process.pending is None:
            sync.turn()
        assert len(foresee(sync.process, 8)) == count


def test_reading_ahead_costs_no_request_while_nothing_moves_but_those_past_the_end() -> None:
    sync = AheadSync(slice_of(people(1000)), page_size=50, count=7, seed=1)
    assert sync.run().state is State.COMPLETED
    assert len([request for request in sync.requests if request.offset < 1000]) == 20


def test_how_much_is_asked_for_nothing_while_rows_move_is_bounded_by_what_is_read_ahead() -> None:
    workspace = Workspace(1, "newest", deleted=1, created=1)
    sync = AheadSync(workspace.answer, page_size=50, count=3, seed=1)
    assert sync.run().state is State.COMPLETED
    assert workspace.stayed <= set(sync.delivered)
    assert len(sync.requests) <= 4 * len(sync.delivered) / 50

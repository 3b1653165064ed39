"""The promise where pages have numbers, or cursors of the source's own."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging import windows
from syncfsm.core.paging.pages import PageRequest, PageRule
from syncfsm.core.paging.windows import NUMBERED_LIMIT_MIN, window
from syncfsm.core.rule_of_process import foresee
from tests.property.test_moving_rows import KEYS, ORDERS, SCRIPT, THOROUGH, MovingWorld, assert_the_promise
from tests.property.test_price import PEOPLE, Workspace
from tests.property.test_shuffled_ties import ALWAYS, ShuffledWorld, worlds
from tests.pure import PureSync, Row, people, slice_of


def numbered(limit_max: int = 100) -> Options:
    return Options(pagination="page", limit_max=limit_max)


class NumberedWorld(MovingWorld):
    """A moving world that gives rows by page numbers and in no other way."""

    def answer(self, request: PageRequest) -> list[Row]:
        number, size = request.number, request.limit
        return super().answer(PageRequest(cursor=None, offset=(number - 1) * size, limit=size, order="id"))


@pytest.mark.parametrize("order", ORDERS)
@THOROUGH
@given(
    keys=st.lists(KEYS, max_size=60),
    script=SCRIPT,
    page_size=st.integers(1, 19),
    limit_max=st.integers(NUMBERED_LIMIT_MIN, 60),
)
def test_pages_with_numbers_lose_nobody_and_bring_nobody_twice_while_rows_move(
    order: Order, keys: list[int], script: list[list[tuple[str, int]]], page_size: int, limit_max: int
) -> None:
    world = NumberedWorld(keys, script, order)
    sync = PureSync(world.answer, page_size=page_size, order=order, options=numbered(limit_max))
    assert_the_promise(world, sync)
    assert all(request.limit <= limit_max for request in sync.requests)


@settings(max_examples=200, deadline=None)
@given(world=worlds(st.just(ALWAYS)), page_size=st.integers(1, 19))
def test_pages_with_numbers_lose_nobody_among_shuffled_ties_or_the_sync_fails(
    world: ShuffledWorld, page_size: int
) -> None:
    sync = world.sync(page_size=page_size, options=numbered(40))
    process = sync.run()
    assert len(sync.delivered) == len(set(sync.delivered))
    if process.failure is not None:
        assert (process.failure.reason, process.is_resumable) == ("ties", False)
    else:
        assert world.stayed <= set(sync.delivered)


@pytest.mark.parametrize(
    ("count", "page_size", "limit_max"), [(5000, 50, 100), (5000, 100, 500), (777, 5, 20)]
)
def test_while_nothing_moves_a_page_with_a_number_is_one_request(
    count: int, page_size: int, limit_max: int
) -> None:
    sync = PureSync(slice_of(people(count)), page_size=page_size, options=numbered(limit_max))
    assert sync.run().state is State.COMPLETED
    assert len(sync.delivered) == count
    assert len(sync.requests) == -(-count // page_size)


@pytest.mark.parametrize(("deleted", "created", "most"), [(3, 1, 1.5), (30, 0, 2.0)])
def test_while_rows_move_pages_with_numbers_cost_little_more(deleted: int, created: int, most: float) -> None:
    for seed in range(20):
        workspace = Workspace(seed, "newest", deleted, created)
        sync = PureSync(workspace.answer, page_size=50, options=numbered())
        assert sync.run().state is State.COMPLETED
        assert workspace.stayed <= set(sync.delivered)
        assert len(sync.requests) <= most * (len(sync.delivered) / 50 + 1), seed


@settings(max_examples=300, deadline=None)
@given(
    place=st.integers(0, 5000),
    back=st.integers(0, 60),
    page_size=st.integers(1, 99),
    limit_max=st.integers(NUMBERED_LIMIT_MIN, 300),
)
def test_the_page_asked_for_is_the_smallest_of_those_that_reach_farthest(
    place: int, back: int, page_size: int, limit_max: int
) -> None:
    rule = PageRule(
        page_size=page_size, order="id", limit_max=limit_max, confirm_end=False, pagination="page"
    )
    begin, end = place - min(back, place), place + page_size + 1
    every = [(begin // size * size, size) for size in range(1, limit_max + 1)]
    assert window(place, back, rule) == max(every, key=lambda page: (min(end, sum(page)), -page[1]))


def test_however_large_pages_may_be_few_sizes_are_tried_to_foresee_many_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = 0

    class Counting(int):
        def __rfloordiv__(self, place: int) -> int:
            nonlocal tried
            tried += 1
            return place // int(self)

    monkeypatch.setattr(windows, "range", lambda *ends: map(Counting, range(*ends)), raising=False)
    sync = PureSync(slice_of(people(20_000)), page_size=50, options=numbered(10_000))
    while sync.process.progress.pages < 3:
        sync.turn()
    ahead, place = foresee(sync.process), sync.process.paging.offset
    assert ahead is not None
    tried = 0
    for _ in range(63):
        place = int(ahead.offset_after(ahead.window(place, place), place))
    assert place == (3 + 63) * 50
    assert tried < 63 * 50


def test_one_page_size_alone_would_lose_people() -> None:
    """Why the size changes: at one size, no page tells that rows before it went away."""
    workspace = Workspace(1, "newest", deleted=3, created=1)
    taken: set[str] = set()
    for offset in range(0, PEOPLE, 50):
        rows = workspace.answer(PageRequest(cursor=None, offset=offset, limit=50, order="newest"))
        taken.update(row.id for row in rows)
    assert len(workspace.stayed - taken) > 10


# ── cursors ──────────────────────────────────────────────────────────────────────────────────


class CursorWorld(MovingWorld):
    """A moving world in the order of ids; a cursor is the id that the next page comes after.

    Some pages end early, some are empty though there are more.
    """

    def __init__(self, keys: list[int], script: list[list[tuple[str, int]]], seed: int) -> None:
        super().__init__(keys, script, "id")
        self.rng = random.Random(seed)

    def sync(self, page_size: int) -> PureSync:
        def answer(request: PageRequest) -> list[Row]:
            rows, sync.next_token = self.page(request)
            return rows

        options = Options(pagination="cursor")
        sync = PureSync(answer, page_size=page_size, order="id", options=options)
        return sync

    def page(self, request: PageRequest) -> tuple[list[Row], str | None]:
        super().answer(request)  # the world moves
        ids = [row.id for _, row in self.rows]
        after = bisect_left(ids, f"{int(request.token):05}") if request.token else 0
        size = self.rng.choice([request.limit, request.limit, self.rng.randrange(request.limit + 1)])
        rows = [row for _, row in self.rows[after : after + size]]
        if after + size >= len(ids):
            return rows, None
        return rows, str(int(rows[-1].id) + 1) if rows else f"0{request.token or 0}"


@THOROUGH
@given(
    keys=st.lists(KEYS, max_size=60), script=SCRIPT, page_size=st.integers(1, 12), seed=st.integers(0, 2**16)
)
def test_cursors_lose_nobody_and_bring_nobody_twice_while_rows_move(
    keys: list[int], script: list[list[tuple[str, int]]], page_size: int, seed: int
) -> None:
    world = CursorWorld(keys, script, seed)
    assert_the_promise(world, world.sync(page_size))


def row(number: int) -> Row:
    return Row(id=f"r{number}", key=f"{number:03}")


def cursor_sync(pages: dict[str | None, tuple[list[Row], str | None]], **options: int) -> PureSync:
    def answer(request: PageRequest) -> list[Row]:
        rows, sync.next_token = pages[request.token]
        return rows

    wanted = Options(pagination="cursor", **options)  # type: ignore[arg-type]
    sync = PureSync(answer, page_size=2, order="id", options=wanted)
    return sync


def test_a_page_by_a_cursor_may_be_empty_or_short_and_still_lead_on() -> None:
    sync = cursor_sync({None: ([], "a"), "a": ([row(1)], "b"), "b": ([], "c"), "c": ([row(2), row(3)], None)})
    process = sync.run()
    assert process.state is State.COMPLETED
    assert sync.delivered == ["r1", "r2", "r3"]
    assert [request.token for request in sync.requests] == [None, "a", "b", "c"]


def test_a_cursor_that_leads_to_its_own_page_fails_the_sync_at_once() -> None:
    process = cursor_sync({None: ([row(1)], "a"), "a": ([row(2)], "a")}).run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("cursor_repeats", False)
    assert process.progress.fetched == 1


def test_cursors_that_lead_back_fail_the_sync_and_bring_nobody_twice() -> None:
    sync = cursor_sync({None: ([row(1)], "a"), "a": ([row(2)], "b"), "b": ([row(1), row(2)], "a")})
    process = sync.run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("unordered", False)
    assert "returned r1 on a page behind" in process.failure.error
    assert "or its cursors lead back" in process.failure.error
    assert sync.delivered == ["r1", "r2"]


NAMELESS = Row(id="", key="", problem="has no id")


@pytest.mark.parametrize("rows", [[], [NAMELESS], [row(2)], [row(2), NAMELESS]], ids=len)
def test_cursors_that_lead_in_a_circle_with_nothing_new_end_by_a_limit_with_a_name(rows: list[Row]) -> None:
    pages = {None: ([row(1)], "a"), "a": ([row(2)], "b"), "b": (rows, "c"), "c": (rows, "b")}
    sync = cursor_sync(pages, stalled_pages_max=5, reject_min=1000)
    process = sync.run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("stalled_pages_max", True)
    assert "--set stalled_pages_max=10" in process.failure.error
    assert len(sync.requests) == 9
    assert sync.delivered == ["r1", "r2"]


def test_pages_by_cursors_that_are_not_in_order_among_each_other_fail_the_sync_and_lose_nobody() -> None:
    sync = cursor_sync({None: ([row(3), row(4)], "a"), "a": ([row(1), row(2)], None)})
    process = sync.run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("unordered", False)


@THOROUGH
@given(keys=st.lists(st.integers(0, 99), unique=True), size=st.integers(1, 5), data=st.data())
def test_rows_by_cursors_all_come_or_the_sync_fails_whatever_the_order_of_its_pages(
    keys: list[int], size: int, data: st.DataObject
) -> None:
    ordered = sorted(keys)
    pages = [ordered[at : at + size] for at in range(0, len(ordered), size)] or [[]]
    shuffled = data.draw(st.permutations(pages))
    tokens = [None, *map(str, range(1, len(shuffled))), None]
    sync = cursor_sync(
        {tokens[at]: (list(map(row, page)), tokens[at + 1]) for at, page in enumerate(shuffled)}
    )
    process = sync.run()
    is_complete = process.state is State.COMPLETED and len(sync.delivered) == len(keys)
    assert is_complete is (shuffled == pages)
    assert is_complete or process.failure is not None


def test_rows_behind_a_cursor_in_another_order_than_asked_for_fail_the_sync() -> None:
    process = cursor_sync({None: ([row(2), row(1)], None)}).run()
    assert process.failure is not None
    assert process.failure.reason == "unordered"


def test_an_empty_source_by_cursors_is_one_request() -> None:
    sync = cursor_sync({None: ([], None)})
    assert sync.run().state is State.COMPLETED
    assert len(sync.requests) == 1

"""The promise: what exists from start to end is delivered, and nothing is delivered twice by paging."""

from __future__ import annotations

from bisect import insort
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from tests.pure import PureSync, Row, people, slice_of

KEYS = st.integers(0, 30)  # few keys, so that many rows tie
THOROUGH = settings(max_examples=3 * settings().max_examples, deadline=None)
ORDERS: tuple[Order, ...] = ("newest", "oldest", "id")


class MovingWorld:
    """Rows kept in the order asked for; changed by a script, a few changes before each answer."""

    def __init__(self, keys: list[int], script: list[list[tuple[str, int]]], order: Order) -> None:
        self.order = order
        self.rows: list[tuple[tuple[int, str], Row]] = []
        self.script = iter(script)
        self.born = 0
        self.keys: list[int] = []  # of all rows that there ever were
        for key in keys:
            self._insert(key)
        self.untouched = {row.id for _, row in self.rows}

    def answer(self, request: PageRequest) -> list[Row]:
        for verb, number in next(self.script, ()):
            if verb == "insert":
                self._insert(number)
            elif self.rows:
                _, row = self.rows.pop(number % len(self.rows))
                self.untouched.discard(row.id)
        rows = [row for _, row in self.rows if self._is_from(row.key, request.from_key)]
        return rows[request.offset : request.offset + request.limit]

    @property
    def most_alike(self) -> int:
        """How many rows there have been at most that a filter by key takes for one key."""
        return max(Counter(key // 3 for key in self.keys).values(), default=0)

    def _is_from(self, key: str, from_key: str | None) -> bool:
        """Whether a row is not before a key, by a filter that knows keys by threes only."""
        if from_key is None:
            return True
        wanted, own = int(from_key) // 3, int(key) // 3
        return own <= wanted if self.order == "newest" else own >= wanted

    def _insert(self, key: int) -> None:
        self.keys.append(key)
        # Ids in no order of birth, as random UUIDs are.
        record_id = f"{(self.born * 7919) % 10007:05}"
        self.born += 1
        text = record_id if self.order == "id" else f"{key:03}"
        place = {"newest": -key, "oldest": key, "id": 0}[self.order]
        insort(self.rows, ((place, record_id), Row(id=record_id, key=text)))


def assert_the_promise(world: MovingWorld, sync: PureSync) -> None:
    assert sync.run().state is State.COMPLETED
    assert world.untouched <= set(sync.delivered)
    assert len(sync.delivered) == len(set(sync.delivered))


CHANGE = st.tuples(st.sampled_from(["insert", "delete", "delete"]), st.integers(0, 200))
SCRIPT = st.lists(st.lists(CHANGE, max_size=8), max_size=40)


@pytest.mark.parametrize("order", ORDERS)
@THOROUGH
@given(keys=st.lists(KEYS, max_size=60), script=SCRIPT, page_size=st.integers(1, 12))
def test_nothing_is_lost_and_nothing_comes_twice_while_rows_move(
    order: Order, keys: list[int], script: list[list[tuple[str, int]]], page_size: int
) -> None:
    world = MovingWorld(keys, script, order)
    assert_the_promise(world, PureSync(world.answer, page_size=page_size, order=order))


@THOROUGH
@given(
    keys=st.lists(KEYS, max_size=60),
    script=SCRIPT,
    page_size=st.integers(2, 12),
    limit_max=st.integers(4, 30),
)
def test_the_promise_holds_for_the_plain_rule_and_for_small_limits(
    keys: list[int], script: list[list[tuple[str, int]]], page_size: int, limit_max: int
) -> None:
    for options in (
        Options(termination="short_page", limit_max=10**6),
        Options(limit_max=max(limit_max, page_size + 1)),
    ):
        world = MovingWorld(keys, script, "newest")
        assert_the_promise(world, PureSync(world.answer, page_size=page_size, options=options))


@THOROUGH
@given(
    keys=st.lists(KEYS, max_size=60),
    script=SCRIPT,
    page_size=st.integers(1, 12),
    cap=st.integers(2, 15),
)
def test_a_source_that_caps_the_limit_silently_loses_nobody_when_the_end_is_confirmed(
    keys: list[int], script: list[list[tuple[str, int]]], page_size: int, cap: int
) -> None:
    world = MovingWorld(keys, script, "newest")
    options = Options(confirm_end=True, limit_max=10**6)
    sync = PureSync(lambda request: world.answer(request)[:cap], page_size=page_size, options=options)
    assert sync.run().state is State.COMPLETED
    assert world.untouched <= set(sync.delivered)
    assert len(sync.delivered) == len(set(sync.delivered))


def test_rows_that_have_no_place_cannot_keep_a_sync_for_ever() -> None:
    """More of them than a page, beside each other, hide what comes after them."""
    rows = [Row(id=f"n{index:02}", key="", problem="no key") for index in range(30)] + people(30)
    options = Options(limit_max=10**6, reject_ratio_max=1.0, stalled_rows_max=200)
    process = PureSync(slice_of(rows), page_size=10, options=options).run()
    assert process.state is State.FAILED
    assert process.failure is not None
    assert (process.failure.reason, process.failure.resumable) == ("stalled_rows_max", True)

"""The promise where rows that share a sort key come in another order at each request."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order, Termination
from syncfsm.core.paging.pages import PageRequest
from syncfsm.engine.engine import Engine
from syncfsm.log import open_log
from syncfsm.sources.attio.source import AttioSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.effort import tries
from tests.fakes import DictSink, TestClock, to_items
from tests.property.test_price import MovingTransport
from tests.pure import PureSync, Row

KEYS = st.lists(st.integers(0, 6), max_size=80)  # so few that every page cuts through a group of ties
CHANGE = st.tuples(st.sampled_from(["insert", "delete", "delete"]), st.integers(0, 200))
SCRIPT = st.lists(st.lists(CHANGE, max_size=8), max_size=40)
ALWAYS = range(1_000_000)
TIED_ORDERS: tuple[Order, ...] = ("newest", "oldest")


class ShuffledWorld:
    """Rows in the order of their keys alone; changed by a script before each answer.

    Ties are in the order of their ids, but in the answers that are named by `shuffled`, counted from 0.
    """

    def __init__(
        self,
        keys: list[int],
        script: list[list[tuple[str, int]]],
        order: Order,
        seed: int,
        shuffled: range = ALWAYS,
    ) -> None:
        self.rng = random.Random(seed)
        self.order = order
        self.script = iter(script)
        self.shuffled = shuffled
        self.answers = 0
        self.born = 0
        self.rows: list[Row] = []
        for key in keys:
            self._insert(key)
        self.stayed = {row.id for row in self.rows}

    def sync(self, **settings: int | Options) -> PureSync:
        """Return a sync of this world that is told of each answer whether its ties are in order."""

        def answer(request: PageRequest) -> list[Row]:
            sync.is_total = self.answers not in self.shuffled
            return self._answer(request)

        sync = PureSync(answer, order=self.order, **settings)  # type: ignore[arg-type]
        return sync

    def _answer(self, request: PageRequest) -> list[Row]:
        for verb, number in next(self.script, ()):
            if verb == "insert":
                self._insert(number % 7)
            elif self.rows:
                self.stayed.discard(self.rows.pop(number % len(self.rows)).id)
        self.rows.sort(key=lambda row: row.id)
        if self.answers in self.shuffled:
            self.rng.shuffle(self.rows)
        self.answers += 1
        self.rows.sort(key=lambda row: row.key, reverse=self.order == "newest")
        return self.rows[request.offset : request.offset + request.limit]

    def _insert(self, key: int) -> None:
        self.rows.append(Row(id=f"{(self.born * 7919) % 10007:05}", key=str(key)))
        self.born += 1


def worlds(shuffled: st.SearchStrategy[range]) -> st.SearchStrategy[ShuffledWorld]:
    orders, seeds = st.sampled_from(TIED_ORDERS), st.integers(0, 2**16)
    return st.builds(ShuffledWorld, KEYS, SCRIPT, order=orders, seed=seeds, shuffled=shuffled)


@settings(max_examples=tries(150, 1500), deadline=None)
@given(
    world=worlds(st.sampled_from([ALWAYS, range(1, 100), range(5, 100), range(1), range(2, 4)])),
    page_size=st.integers(1, 12),
)
def test_nothing_is_lost_and_nothing_comes_twice_while_ties_are_shuffled(
    world: ShuffledWorld, page_size: int
) -> None:
    sync = world.sync(page_size=page_size)
    assert sync.run().state is State.COMPLETED
    assert world.stayed <= set(sync.delivered)
    assert len(sync.delivered) == len(set(sync.delivered))


def test_one_page_without_an_order_makes_the_rest_of_the_sync_careful() -> None:
    for seed in range(200):
        world = ShuffledWorld([3] * 12, [], "newest", seed=seed, shuffled=range(1))
        sync = world.sync(page_size=2)
        assert sync.run().state is State.COMPLETED
        assert set(sync.delivered) == world.stayed, f"seed {seed}"


@settings(max_examples=tries(150, 1500), deadline=None)
@given(
    world=worlds(st.just(ALWAYS)),
    page_size=st.integers(2, 12),
    limit_max=st.integers(3, 40),
    termination=st.sampled_from(["peek", "short_page"]),
)
def test_ties_too_many_for_one_request_fail_the_sync_for_good_and_all_else_completes(
    world: ShuffledWorld, page_size: int, limit_max: int, termination: Termination
) -> None:
    options = Options(termination=termination, limit_max=max(limit_max, page_size + 1))
    sync = world.sync(page_size=page_size, options=options)
    process = sync.run()
    assert len(sync.delivered) == len(set(sync.delivered))
    if process.failure is not None:
        assert (process.failure.reason, process.is_resumable) == ("ties", False)
    else:
        assert process.state is State.COMPLETED
        assert world.stayed <= set(sync.delivered)


def test_a_group_of_ties_that_no_request_reaches_past_says_to_start_anew_by_id() -> None:
    world = ShuffledWorld([3] * 30, [], "newest", seed=1)
    process = world.sync(page_size=10, options=Options(limit_max=20)).run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("ties", False)
    assert "of one key are too many for one request (limit_max 20)" in process.failure.error
    assert "Start anew with another order, for instance 'id'" in process.failure.error


def test_a_group_of_ties_that_just_fits_a_request_is_read_to_its_end() -> None:
    world = ShuffledWorld([5] + [3] * 18 + [1] * 3, [], "newest", seed=1)
    sync = world.sync(page_size=10, options=Options(limit_max=20))
    assert sync.run().state is State.COMPLETED
    assert set(sync.delivered) == world.stayed


def test_an_end_that_cannot_be_confirmed_among_shuffled_ties_fails_the_sync() -> None:
    world = ShuffledWorld([1, 2, 3], [], "newest", seed=1)
    process = world.sync(page_size=10, options=Options(confirm_end=True)).run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("ties", False)


def test_shuffled_ties_cost_no_request_while_nothing_moves() -> None:
    world = ShuffledWorld([number // 20 for number in range(400)], [], "newest", seed=1)
    sync = world.sync(page_size=50, options=Options(limit_max=500))
    assert sync.run().state is State.COMPLETED
    assert len(sync.requests) == 8


@pytest.mark.parametrize("order", TIED_ORDERS)
@pytest.mark.parametrize("seed", range(3))
def test_attio_without_its_second_sort_loses_nobody(seed: int, order: Order) -> None:
    clock = TestClock()
    world = World(seed, people=600, now=EPOCH)
    fake = FakeAttio(world, clock, ties="shuffled")
    transport = MovingTransport(fake, created=1, updated=3, deleted=3)
    source = AttioSource("key", base_url="http://attio.test", clock=clock, transport=transport)
    sink = DictSink()
    with open_log(":memory:") as log:
        process = asyncio.run(
            Engine(log, source, sink, to_items, clock=clock).sync(page_size=20, order=order)
        )
    assert process.state is State.COMPLETED
    assert not process.paging.is_total
    assert transport.stayed <= set(sink.items)
    assert process.progress.created == process.progress.fetched == len(sink.items)

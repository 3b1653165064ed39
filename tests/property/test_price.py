"""The price of the promise, in requests: none while nothing moves, little while much does.

A page is as many people as were asked for at once: who delivers 1,900 people in pages of 50 has 38 of
them, however many requests that took. `pytest -rP` shows the worst and the median price.
"""

from __future__ import annotations

import asyncio
import random
from bisect import insort
from statistics import median

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.machine import State
from syncfsm.core.options import Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.engine.engine import Engine
from syncfsm.engine.width import ReadAheadMax
from syncfsm.log import open_log
from syncfsm.sources.attio.source import AttioSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.effort import tries
from tests.fakes import DictSink, TestClock, to_items
from tests.pure import PureSync, Row, people, slice_of

WIDTH_MAX = 12
"""Requests at once that a tenth of a second and ninety of them in one ask for."""

ORDERS: tuple[Order, ...] = ("newest", "oldest", "id")
PEOPLE = 2000
PAGE_SIZE = 50
SEEDS = range(tries(25, 100))


class Workspace:
    """People in the order asked for; before each answer some go, anywhere, and some are created."""

    def __init__(self, seed: int, order: Order, deleted: int, created: int, people: int = PEOPLE) -> None:
        self.rng = random.Random(seed)
        self.order = order
        self.deleted = deleted
        self.created = created
        self.born = 0
        self.rows = sorted((self._birth() for _ in range(people)), key=self._place)
        self.stayed = {row.id for row in self.rows}

    def answer(self, request: PageRequest) -> list[Row]:
        for _ in range(self.created):
            insort(self.rows, self._birth(), key=self._place)
        for _ in range(min(self.deleted, len(self.rows))):
            self.stayed.discard(self.rows.pop(self.rng.randrange(len(self.rows))).id)
        return self.rows[request.offset : request.offset + request.limit]

    def _birth(self) -> Row:
        self.born += 1
        record_id = f"{self.rng.getrandbits(64):016x}"
        return Row(id=record_id, key=record_id if self.order == "id" else f"{self.born:05}")

    def _place(self, row: Row) -> int:
        return -int(row.key) if self.order == "newest" else int(row.key, 16)


def report(worst: float, middle: float) -> None:
    print(f"requests per page: worst {worst:.3f}, median {middle:.3f}")  # noqa: T201 - what -rP shows


def pages(count: int) -> int:
    """How many pages so many people are; an empty workspace is one."""
    return max(1, -(-count // PAGE_SIZE))


def price_of(seed: int, order: Order, deleted: int, created: int) -> float:
    """Return the requests per page of one sync, after checking that it kept the promise."""
    workspace = Workspace(seed, order, deleted, created)
    sync = PureSync(workspace.answer, page_size=PAGE_SIZE, order=order)
    assert sync.run().state is State.COMPLETED, seed
    assert workspace.stayed <= set(sync.delivered), seed
    assert len(sync.delivered) == len(set(sync.delivered)), seed
    return len(sync.requests) / pages(len(sync.delivered))


@settings(max_examples=100, deadline=None)
@given(count=st.one_of(st.integers(0, 60).map(lambda number: number * PAGE_SIZE), st.integers(0, 3000)))
def test_while_nothing_moves_a_sync_takes_as_many_requests_as_pages(count: int) -> None:
    sync = PureSync(slice_of(people(count)), page_size=PAGE_SIZE)
    assert sync.run().state is State.COMPLETED
    assert sync.delivered == [row.id for row in people(count)]
    assert len(sync.requests) == pages(count)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("deleted", "created", "most"), [(3, 1, 1.25), (30, 0, 2.0)])
def test_while_rows_move_a_page_costs_little_more_than_one_request(
    order: Order, deleted: int, created: int, most: float
) -> None:
    prices = {seed: price_of(seed, order, deleted, created) for seed in SEEDS}
    worst = max(SEEDS, key=lambda seed: prices[seed])
    report(prices[worst], median(prices.values()))
    assert prices[worst] <= most, f"seed {worst}"


class MovingTransport(httpx.AsyncBaseTransport):
    """A fake Attio in process; before each query people are created, updated and deleted. Counts queries."""

    def __init__(self, fake: FakeAttio, *, created: int = 0, updated: int = 0, deleted: int = 0) -> None:
        self.world = fake.world
        self.stayed = set(self.world.entities("people"))
        self.queries = 0
        self._counts = created, updated, deleted
        self._rng = random.Random(1)
        self._inner = httpx.ASGITransport(fake)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/query"):
            self.queries += 1
            self._move(*self._counts)
        return await self._inner.handle_async_request(request)

    def _move(self, created: int, updated: int, deleted: int) -> None:
        for _ in range(created):
            self.world.create_person(EPOCH)
        people = list(self.world.entities("people"))
        for record_id in self._rng.sample(people, updated):
            self.world.update_person(record_id, EPOCH)
        for record_id in self._rng.sample(people, deleted):
            self.world.delete_person(record_id)
            self.stayed.discard(record_id)


@pytest.mark.parametrize("read_ahead", [1, "auto"])
@pytest.mark.parametrize(
    ("moves", "most"),
    [({}, 1.0), ({"created": 1, "updated": 3, "deleted": 3}, 1.25), ({"deleted": 30}, 2.0)],
)
def test_attio_is_asked_as_seldom(moves: dict[str, int], most: float, read_ahead: ReadAheadMax) -> None:
    clock = TestClock()
    transport = MovingTransport(FakeAttio(World(1, people=PEOPLE, now=EPOCH), clock), **moves)
    source = AttioSource("key", base_url="http://attio.test", clock=clock, transport=transport)
    sink = DictSink()
    with open_log(":memory:") as log:
        engine = Engine(log, source, sink, to_items, clock=clock, read_ahead=read_ahead)
        process = asyncio.run(engine.sync(page_size=PAGE_SIZE))
    assert process.state is State.COMPLETED
    assert transport.stayed <= set(sink.items)
    assert process.progress.created == process.progress.fetched == len(sink.items)
    behind_end = 0 if read_ahead == 1 else WIDTH_MAX  # nobody knows where the end is before it came
    price = (transport.queries - behind_end) / pages(len(sink.items))
    report(price, price)
    assert price <= most

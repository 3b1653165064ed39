"""A CRM whose records come, change and go while they are read, and what is around an engine that reads it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.protocol import Page, Record, Transform, Transformed
from tests.fakes import DictSink, Item, TestClock, to_items


class Died(BaseException):
    """The engine's process was killed."""


class Person(msgspec.Struct):
    created_at: datetime
    seen_at: datetime  # when it could first be seen, which may be later
    changed_at: datetime
    text: str


class Crm:
    """A source. `before_answer` is called before each answer, and may move the records, or raise."""

    name = kind = "crm"
    object = "people"
    options = Options()
    orders: tuple[Order, ...] = ("newest", "oldest", "id")
    heeds_since = True

    def __init__(self, clock: TestClock, changed_by: str | None = None) -> None:
        self.clock = clock
        self.changed_by = changed_by
        self.people: dict[str, Person] = {}
        self.before_answer: Callable[[], None] = lambda: None
        self.requests: list[PageRequest] = []
        self.failures: list[Failure] = []
        self.born = 0
        self.checks = 0
        self.workspace = "test"

    def create(self, lag_s: float = 0.0) -> str:
        """Add somebody now, who says to have been created a while ago."""
        record_id = f"r{(self.born * 7919) % 10007:05}"  # in no order of birth, as random ids are
        self.born += 1
        now = self.clock.now()
        self.people[record_id] = Person(now - timedelta(seconds=lag_s), now, now, f"{record_id} as new")
        return record_id

    def change(self, record_id: str) -> None:
        person = self.people[record_id]
        person.changed_at = self.clock.now()
        person.text = f"{record_id} at {person.changed_at}"

    def delete(self, record_id: str) -> None:
        del self.people[record_id]

    async def check(self) -> dict[str, str] | Failure:
        self.checks += 1
        return {"workspace": self.workspace}

    async def fetch(self, request: PageRequest) -> Page | Failure:
        self.before_answer()
        self.requests.append(request)
        if self.failures:
            return self.failures.pop(0)
        records = [self._record(record_id, request) for record_id in self._wanted(request)]
        if not request.record_ids:
            records = sorted(records, key=lambda record: record.id)
            records.sort(key=lambda record: record.key, reverse=request.order == "newest")
            records = records[request.offset : request.offset + request.limit]
        return Page(records=tuple(records), as_of=self.clock.now())

    def _wanted(self, request: PageRequest) -> Iterable[str]:
        if request.record_ids:
            return [record_id for record_id in request.record_ids if record_id in self.people]
        since = request.since
        return [id_ for id_ in self.people if since is None or self._moment(id_, request) >= since]

    def _moment(self, record_id: str, request: PageRequest) -> datetime:
        person = self.people[record_id]
        return person.changed_at if request.changed_by else person.created_at

    def _record(self, record_id: str, request: PageRequest) -> Record:
        key = (
            record_id
            if request.order == "id"
            else self._moment(record_id, request).isoformat("T", "milliseconds")
        )
        return Record(id=record_id, key=key, raw=self.people[record_id].text.encode())

    async def aclose(self) -> None:
        """Nothing is held."""


class Book(DictSink):
    """A sink that can delete, and tell what it has; it may die before or after it does its work."""

    def __init__(self) -> None:
        super().__init__()
        self.deletions: list[str] = []
        self.around: Callable[[str], None] = lambda _when: None

    async def upsert(self, items: Any) -> UpsertResult | Failure:
        self.around("before upsert")
        result = await super().upsert(items)
        self.around("after upsert")
        return result

    async def delete(self, source: str, record_ids: Any) -> int | Failure:
        self.around("before delete")
        ours = [record_id for record_id in record_ids if self._is_of(source, record_id)]
        gone = [record_id for record_id in ours if self.items.pop(record_id, None) is not None]
        self.deletions += gone
        self.around("after delete")
        return len(gone)

    async def known(self, source: str) -> frozenset[str] | Failure:
        return frozenset(record_id for record_id in self.items if self._is_of(source, record_id))

    def _is_of(self, source: str, record_id: str) -> bool:
        return record_id in self.items and self.items[record_id].source == source


class Desk:
    """A log, a CRM, a sink, and engines that know nothing but the log."""

    def __init__(self, log: EventLog, *, changed_by: str | None = None, sink: DictSink | None = None) -> None:
        self.log = log
        self.clock = TestClock()
        self.crm = Crm(self.clock, changed_by)
        self.sink = sink if sink is not None else Book()
        self.rng = random.Random(1)

    def engine(self) -> Engine[Item]:
        return self.engine_of(self.crm)

    def engine_of(self, crm: Crm, transform: Transform[Item] = to_items) -> Engine[Item]:
        """Return an engine that brings another object, or in another way, into the same sink."""

        async def to_own(records: Sequence[Record]) -> Transformed[Item] | Failure:
            ready = await transform(records)
            if isinstance(ready, Failure):
                return ready
            kind = getattr(crm, "kind", crm.name)
            return replace(ready, items=tuple(replace(item, source=kind) for item in ready.items))

        return Engine(self.log, crm, self.sink, to_own, clock=self.clock, rng=self.rng)

    def sync(self, **asked: Any) -> Process:
        return asyncio.run(self.engine().sync(**asked))

    def sync_to_the_end(self, **asked: Any) -> Process:
        """Start engines until a sync is complete, each after the last one died."""
        for _ in range(200):
            try:
                process = self.sync(**asked)
            except Died:
                continue
            if process.state is State.COMPLETED:
                return process
        raise AssertionError("the sync never ends")

    def run(self, process: Process) -> Process:
        return asyncio.run(self.engine().run(process.id))

    @property
    def texts(self) -> dict[str, str]:
        """What the sink has."""
        return {record_id: item.text for record_id, item in self.sink.items.items()}

    @property
    def world(self) -> dict[str, str]:
        """What the CRM has."""
        return {record_id: person.text for record_id, person in self.crm.people.items()}

"""Small sources, sinks and clocks for tests of the engine; the simulator has the large ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Reject
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.protocol import Page, Record, Transformed

DOWN = Failure(kind=FailureKind.UNAVAILABLE, message="it is down.")
WRONG_KEY = Failure(kind=FailureKind.UNAUTHORIZED, message="the key is wrong.")


class TestClock:
    """A clock that moves when somebody sleeps, and a microsecond each time it is read."""

    __test__ = False

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.slept_s = 0.0

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.at += timedelta(seconds=seconds)


class Item(msgspec.Struct, frozen=True):
    external_id: str
    text: str
    source: str = ""


async def to_items(records: Sequence[Record]) -> Transformed[Item]:
    """Make an item of each record; refuse those whose text says so."""
    bad = [record for record in records if record.raw == b"bad"]
    good = [record for record in records if record.raw != b"bad"]
    return Transformed(
        items=tuple(Item(external_id=record.id, text=record.raw.decode()) for record in good),
        rejects=tuple(Reject(record_id=record.id, reason="its text is bad") for record in bad),
    )


class ListSource:
    """Records in a list, newest first; `failures` are answered first, one by one."""

    name = kind = "list"
    object = "people"
    options = Options()
    orders: tuple[Order, ...] = ("newest", "oldest", "id")
    heeds_since = False
    changed_by = None

    def __init__(self, clock: TestClock, count: int) -> None:
        self.clock = clock
        self.records = [
            Record(id=f"r{index:05}", key=f"{count - index:05}", raw=b"good") for index in range(count)
        ]
        self.failures: list[Failure] = []
        self.check_failures: list[Failure] = []
        self.requests: list[PageRequest] = []
        self.closed = False

    async def check(self) -> dict[str, str] | Failure:
        return self.check_failures.pop(0) if self.check_failures else {"workspace": "test"}

    async def fetch(self, request: PageRequest) -> Page | Failure:
        self.requests.append(request)
        if self.failures:
            return self.failures.pop(0)
        rows = self.records[request.offset : request.offset + request.limit]
        if request.record_ids:
            rows = [record for record in self.records if record.id in request.record_ids]
        return Page(records=tuple(rows), as_of=self.clock.now())

    async def aclose(self) -> None:
        self.closed = True


class DictSink:
    """Items in a dict; `failures` are answered first, one by one. Counts what was written."""

    name = "dict"

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.failures: list[Failure] = []
        self.refused: set[str] = set()
        self.upserts = 0
        self.finished = 0
        self.closed = False

    async def check(self) -> dict[str, str] | Failure:
        return {"sink": self.name}

    async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
        if self.failures:
            return self.failures.pop(0)
        self.upserts += 1
        taken = [item for item in items if item.external_id not in self.refused]
        created = sum(item.external_id not in self.items for item in taken)
        unchanged = sum(self.items.get(item.external_id) == item for item in taken)
        self.items.update((item.external_id, item) for item in taken)
        return UpsertResult(
            created=created,
            updated=len(taken) - created - unchanged,
            unchanged=unchanged,
            rejects=tuple(
                Reject(record_id=item.external_id, reason="refused")
                for item in items
                if item.external_id in self.refused
            ),
        )

    async def finish(self) -> Failure | None:
        self.finished += 1
        return None

    async def aclose(self) -> None:
        self.closed = True

"""The syncs that are measured: made by the pure core itself, without a network, a sink or a wait.

Every event is one that the engine would have written: `next_action` says what is due, the world below
answers, `decide` makes the events. So the shapes, sizes and proportions are those of a real log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from uuid import UUID

from syncfsm.core import decide as d
from syncfsm.core.events import Event, Recorded, SyncStarted
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process, fold
from syncfsm.core.value import Value

RATE_LIMITED = Failure(kind=FailureKind.RATE_LIMITED, message="Attio answered 429: slow down.", status=429)

Append = tuple[list[Recorded], Process]
"""The events of one append, and the state that they lead to."""


class Workload(Value, frozen=True):
    """One kind of sync.

    Attributes:
        name: What it is called in the results.
        page_size: Records in a page; each id has 36 characters.
        retry_every: Every so many pages, the first request for one is refused; 0 for never.
        rejects: Records of every page that cannot be delivered.
    """

    name: str
    page_size: int
    retry_every: int = 0
    rejects: int = 0


WORKLOADS = (
    Workload(name="pages of 50", page_size=50),
    Workload(name="pages of 2", page_size=2),
    Workload(name="a bad day", page_size=50, retry_every=2, rejects=2),
)


class Row(Value, frozen=True):
    """A record, as far as paging looks at one."""

    id: str
    key: str
    problem: str = ""


def row(index: int) -> Row:
    """Return the record at a place in the list; always the same one."""
    id_ = UUID(bytes=blake2b(index.to_bytes(8), digest_size=16).digest())
    created_at = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(minutes=index)
    return Row(id=str(id_), key=created_at.isoformat())


def appends(workload: Workload, events_min: int) -> Iterator[Append]:
    """Yield the appends of a sync that ends with the first page after `events_min` events."""
    options = Options(reject_ratio_max=1, waiting_s_max=1e9)
    started = SyncStarted(
        source="attio:benchmark",
        object="people",
        sink="sqlite:contacts.db",
        mode="initial",
        page_size=workload.page_size,
        order="newest",
        options=options,
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    recorded, process = _append(None, (started,), at)
    yield recorded, process
    while (action := d.next_action(process)) is not None:
        at = max(at + timedelta(milliseconds=137, microseconds=1), action.not_before or at)
        outcome = _outcome(workload, process, action, at, is_last=process.version >= events_min)
        recorded, process = _append(process, d.decide(process, outcome), at)
        yield recorded, process


def merged(appends_: Iterable[Append], count: int) -> Iterator[Append]:
    """Yield the same events with `count` appends made one, for a file that is filled and not measured."""
    several = iter(appends_)
    while batch := list(islice(several, count)):
        yield [record for recorded, _ in batch for record in recorded], batch[-1][1]


def _append(process: Process | None, events: tuple[Event, ...], at: datetime) -> Append:
    version = process.version if process else 0
    recorded = [
        Recorded(stream="benchmark", version=version + index, at=at, event=event)
        for index, event in enumerate(events, start=1)
    ]
    after = fold(process, recorded)
    assert after is not None, "there is an event"
    return recorded, after


def _outcome(
    workload: Workload, process: Process, action: d.Action, at: datetime, *, is_last: bool
) -> d.Outcome:
    match action:
        case d.CheckSetup():
            return d.Checked(found={"workspace": "benchmark", "sink": "contacts.db"})
        case d.FetchPage(request=request):
            if (
                workload.retry_every
                and not process.retry
                and process.progress.pages % workload.retry_every == 0
            ):
                return d.Failed(action="fetch", failure=RATE_LIMITED, at=at, chance=0.5)
            count = request.limit - 1 if is_last else request.limit
            rows = [row(index) for index in range(request.offset, request.offset + count)]
            return d.Fetched(request=request, rows=rows, as_of=at, elapsed_ms=120)
        case d.DeliverPage(record_ids=record_ids):
            refused = record_ids[: workload.rejects]
            rejects = tuple(Reject(record_id=id_, reason="its e-mail address has no @") for id_ in refused)
            created = len(record_ids) - len(rejects)
            return d.Delivered(created=created, updated=0, unchanged=0, rejects=rejects, elapsed_ms=9)
        case d.FinishSync():
            return d.Finished()

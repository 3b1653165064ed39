"""What the source no longer has, by the log: the other side of which records came.

A sync of all records that is complete has seen everybody who was there from its start to its end. Whom the
sink has and no page had is missing, if three things hold: every row that came had an id; no other process
delivered them since this one began, or one of webhooks shortly before; and nobody brought records of another
object into the sink. Who is missing is gone if they do not come by their ids either, and they are not too
many to be believed (`missing_ratio_max`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import assert_never

from syncfsm.core import events as e
from syncfsm.core.deliveries import UNDELETABLE
from syncfsm.core.marks import Mark
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.core.source_name import SourceName
from syncfsm.core.state import Route
from syncfsm.core.value import Value
from syncfsm.log.protocol import EventLog, EventStore, Routes
from syncfsm.sinks.same_sink import is_same
from syncfsm.sources.protocol import Source


class Seen(Value, frozen=True):
    """Which records came. `doubt` says why that may not be all of them; empty if it is."""

    record_ids: frozenset[str]
    doubt: str = ""


def undeletable(record_ids: Sequence[str]) -> tuple[Reject, ...]:
    """Return the rejects of records that are gone, for a sink that cannot delete."""
    return tuple(Reject(record_id=record_id, reason=UNDELETABLE) for record_id in record_ids)


def ids_seen_since(log: EventLog, source: Source, process: Process, marks: Sequence[Mark] = ()) -> Seen:
    """Return the records that were seen in the source since a process began: by it, and by others meanwhile.

    A sync that failed and went on days later has not itself seen whom others delivered in between. Nor has
    one whom a webhook told of just before it began (`overlap_s`), where the pages lag behind that.

    Ask what the sink has first, and this afterwards: who brings something has said so in the log before.
    """
    record_ids: set[str] = set()
    nameless = 0
    for recorded in _of_its_time(log, process):
        match recorded.event:
            case e.PageFetched() as page:
                record_ids.update(page.record_ids, (reject.record_id for reject in page.malformed))
            case e.RecordRejected(record_id="") if recorded.stream == process.id:
                nameless += 1
            case (
                e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
                | e.MissingFound() | e.PageDelivered()
                | e.RecordRejected() | e.RetryScheduled() | e.PagesShifted() | e.SyncCompleted()
                | e.SyncFailed() | e.SyncCancelled() | e.SyncResumed()
            ):  # fmt: skip
                pass
            case _:
                assert_never(recorded.event)
    other = other_route(log, source, process.sink, marks)
    doubt = _doubt(nameless) or _pruned_since(log, process) or (mixed(other) if other else "")
    return Seen(record_ids=frozenset(record_ids), doubt=doubt)


def confirmed_gone(log: EventStore, process: Process) -> tuple[str, ...]:
    """Return the records that a process found missing and asked for by their ids, and that did not come.

    What it found before it failed and was gone on with does not count: it was found anew.
    """
    found: dict[str, None] = {}
    for recorded in log.read(process.id):
        match recorded.event:
            case e.PageFetched(confirmed=confirmed, record_ids=record_ids):
                found |= dict.fromkeys(confirmed or ())
                for came in record_ids:
                    found.pop(came, None)
            case e.SyncResumed():
                found.clear()
            case (
                e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
                | e.MissingFound() | e.PageDelivered()
                | e.RecordRejected() | e.RetryScheduled() | e.PagesShifted() | e.SyncCompleted()
                | e.SyncFailed() | e.SyncCancelled()
            ):  # fmt: skip
                pass
            case _:
                assert_never(recorded.event)
    return tuple(found)


def mixed(other: Route) -> str:
    """Say why nothing can be deleted from a sink that has another object's records in it."""
    return (
        f"{other.sink} has {other.object} of {other.source} too, which this source does not have and would "
        "delete: give each a sink of its own"
    )


def _doubt(nameless: int) -> str:
    if not nameless:
        return ""
    rows = "a row" if nameless == 1 else f"{nameless} rows"
    return f"{rows} came without an id, and nobody knows whose"


def _pruned_since(log: EventLog, process: Process) -> str:
    """Say that what others brought since a process began is known no more, if so."""
    _, position = _begin(log, process)
    if log.pruned_until(process.source, process.object, process.sink).end_position <= position:
        return ""
    return "what others brought since it began was pruned: only a new sync can tell"


def _begin(log: EventStore, process: Process) -> tuple[int, int]:
    """Return where a process began, and the place behind which others may count for it."""
    began = next(log.read(process.id, until=1)).position or 0
    shortly = process.started_at - timedelta(seconds=process.options.overlap_s)
    return began, min(began - 1, log.last_position(before=shortly))


def _of_its_time(log: EventStore, process: Process) -> Iterator[e.Recorded]:
    """Yield what was recorded since a process began, of its source object and sink.

    Of processes that asked for single records, also what was recorded shortly before.
    """
    began, position = _begin(log, process)
    counts_from: dict[str, float] = {}
    while recorded := log.events_after(position):
        for record in recorded:
            if record.stream not in counts_from:
                counts_from[record.stream] = _counts_from(log.load(record.stream), process, began)
            if (record.position or 0) >= counts_from[record.stream]:
                yield record
        position = recorded[-1].position or 0


def _counts_from(other: Process, process: Process, began: int) -> float:
    """Return the position from which on what a process recorded counts for another, which began there."""
    if _route(other) != _route(process):
        return math.inf
    return 0 if other.record_ids else began


def other_route(log: Routes, source: Source, sink: str, marks: Sequence[Mark] = ()) -> Route | None:
    """Return what else was brought into a sink of what the items may call the same source.

    The log says so, or a mark of the sink: another log may have had part in it.
    """
    marked = (Route(source=mark.source, object=mark.object, sink=sink) for mark in marks)
    for route in (*log.routes(), *marked):
        is_ours = (route.source, route.object) == (source.name, source.object)
        if (
            is_same(route.sink, sink)
            and not is_ours
            and SourceName.of(route.source).items_source == source.kind
        ):
            return route
    return None


def _route(process: Process) -> Route:
    return Route(source=process.source, object=process.object, sink=process.sink)

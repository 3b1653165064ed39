"""The rejects of a sync, read back from its log: which records, why, and which were delivered later.

Whoever delivers a record later delivers it: a retry of the rejects, or the next sync of all records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from syncfsm.core import events as e
from syncfsm.core.deliveries import deliveries
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.log.protocol import EventStore


class Rejected(Value, frozen=True):
    """One reject of a sync.

    Attributes:
        record_id: The record's id; empty if it has none, and then it cannot be asked for again.
        reason: Why it could not be delivered.
        cursor: Where its page begins; null for the first page.
        version: The version of the event.
        at: When.
        delivered_by: The process that delivered the record later; null if none did.
        delivered_at: When that was.
        is_gone: Whether it was asked for again since, and the source had it no more.
    """

    record_id: str
    reason: str
    cursor: int | None
    version: int
    at: datetime
    delivered_by: str | None = None
    delivered_at: datetime | None = None
    is_gone: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it can be sent again, and has not been delivered since, nor found gone."""
        return bool(self.record_id) and self.delivered_by is None and not self.is_gone


def rejects_of(log: EventStore, process: Process) -> tuple[Rejected, ...]:
    """Return the rejects of a process, in the order in which they came."""
    if not process.progress.rejected:
        return ()
    found = [
        (recorded, recorded.event)
        for recorded in log.read(process.id)
        if isinstance(recorded.event, e.RecordRejected)
    ]
    later = _last_deliveries(log, process, frozenset(event.record_id for _, event in found))
    return tuple(_rejected(recorded, event, later) for recorded, event in found)


def open_ids(rejects: Iterable[Rejected]) -> tuple[str, ...]:
    """Return the ids of the records that can be sent again, each once."""
    return tuple(dict.fromkeys(reject.record_id for reject in rejects if reject.is_open))


def count_without_id(found: Sequence[Rejected]) -> int:
    """Return how many of the rejects cannot be asked for again."""
    return sum(not reject.record_id for reject in found)


def last_with_rejects(log: EventStore, is_meant: Callable[[Process], bool]) -> Process | None:
    """Return the last sync that is over, or has failed, and has rejects; if there is one. No retry counts."""
    for process in log.loaded(log.ids()[::-1]):
        is_over = process.state in {State.COMPLETED, State.FAILED}
        if process.mode != "rejects" and is_over and process.progress.rejected and is_meant(process):
            return process
    return None


def _rejected(recorded: e.Recorded, event: e.RecordRejected, later: dict[str, e.Recorded | None]) -> Rejected:
    delivery = later.get(event.record_id)
    is_later = delivery is not None and (delivery.position or 0) > (recorded.position or 0)
    return Rejected(
        record_id=event.record_id,
        reason=event.reason,
        cursor=event.cursor,
        version=recorded.version,
        at=recorded.at,
        delivered_by=delivery.stream if delivery and is_later else None,
        delivered_at=delivery.at if delivery and is_later else None,
        is_gone=event.record_id in later and delivery is None,
    )


def _last_deliveries(
    log: EventStore, process: Process, wanted: frozenset[str]
) -> dict[str, e.Recorded | None]:
    """Return, for each of the records, the event with which a process begun later delivered it last.

    It is null where such a process found the record gone.
    """
    found: dict[str, e.Recorded | None] = {}
    ids = log.ids()
    for other in log.loaded(ids[ids.index(process.id) + 1 :]):
        if (other.source, other.object, other.sink) == (process.source, process.object, process.sink):
            came = deliveries(log.read(other.id))
            found |= {record_id: recorded for record_id, recorded in came if record_id in wanted}
    return found

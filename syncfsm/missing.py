"""What the source no longer has, by the log: the other side of which records came.

A sync of all records that is complete has seen everybody who was there from its start to its end. Whom the
sink has and no page had is gone, if three things hold: every row that came had an id, no other process
delivered them since this one began, and they are not too many to be believed (`missing_ratio_max`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncfsm import events as e
from syncfsm.log.protocol import EventLog
from syncfsm.process import Process
from syncfsm.sources.protocol import Source
from syncfsm.value import Value

UNDELETABLE = "the source has it no more, and the sink cannot delete"
"""Why a record that is gone is rejected where the sink has no `delete`."""


class Seen(Value, frozen=True):
    """Which records came. `doubt` says why that may not be all of them; empty if it is."""

    record_ids: frozenset[str]
    doubt: str = ""


def undeletable(record_ids: Sequence[str]) -> tuple[e.Reject, ...]:
    """Return the rejects of records that are gone, for a sink that cannot delete."""
    return tuple(e.Reject(record_id=record_id, reason=UNDELETABLE) for record_id in record_ids)


def seen(log: EventLog, process: Process) -> Seen:
    """Return the records that were seen in the source since a process began: by it, and by others meanwhile.

    A sync that failed and went on days later has not itself seen whom others delivered in between.
    """
    record_ids: set[str] = set()
    nameless = 0
    for recorded in _since_its_start(log, process):
        match recorded.event:
            case e.PageFetched() as page:
                record_ids.update(page.record_ids, (reject.record_id for reject in page.malformed))
            case e.RecordRejected(record_id="") if recorded.stream == process.id:
                nameless += 1
            case _:
                pass
    return Seen(record_ids=frozenset(record_ids), doubt=_doubt(nameless))


def _doubt(nameless: int) -> str:
    if not nameless:
        return ""
    rows = "a row" if nameless == 1 else f"{nameless} rows"
    return f"{rows} came without an id, and nobody knows whose"


def _since_its_start(log: EventLog, process: Process) -> Iterator[e.Recorded]:
    """Yield what was recorded since a process began, of its source object and sink."""
    position = next(log.read(process.id, until=1)).position or 0
    is_ours: dict[str, bool] = {}
    while recorded := log.events_after(position - 1):
        for record in recorded:
            if record.stream not in is_ours:
                is_ours[record.stream] = _side(log.load(record.stream)) == _side(process)
            if is_ours[record.stream]:
                yield record
        position = (recorded[-1].position or 0) + 1


def other_side(log: EventLog, source: Source, sink: str) -> Process | None:
    """Return a process that brought other records into a sink, of what the items may call the same source."""
    for process_id in log.ids():
        process = log.load(process_id)
        is_ours = (process.source, process.object) == (source.name, source.object)
        if process.sink == sink and not is_ours and process.source.partition(":")[0] == source.kind:
            return process
    return None


def _side(process: Process) -> tuple[str, str, str]:
    return process.source, process.object, process.sink

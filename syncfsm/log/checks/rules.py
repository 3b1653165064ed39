"""Would today's rules have written this log? For every prefix, the next action must admit what followed.

`verify` asks whether a log is what was written; this asks whether the code still agrees with it. A change
of the rules that would strand a running sync shows here, on logs that older code wrote.
"""

from __future__ import annotations

from syncfsm.core.legality import refusal
from syncfsm.core.process import Process, apply
from syncfsm.errors import CorruptLog, SyncfsmError
from syncfsm.log.checks.verify import Finding
from syncfsm.log.codec import chain, from_row
from syncfsm.log.protocol import EventStore, StoredEvent


def check(log: EventStore, process_id: str | None = None) -> tuple[int, list[Finding]]:
    """Return how many events were read, and those that do not follow from what was due.

    Args:
        log: The log.
        process_id: Of which process; of all if `None`. After an event that cannot be applied at all,
            the rest of its process is not looked at.
    """
    states: dict[str, Process | None] = {}
    broken: set[str] = set()
    findings: list[Finding] = []
    count = 0
    for row in log.stored_events(process_id):
        count += 1
        if row.stream in broken:
            continue
        try:
            states[row.stream], problem = _follow(states.get(row.stream), row)
        except SyncfsmError as error:
            broken.add(row.stream)
            problem = str(error)
        if problem:
            findings.append(_finding(row, problem))
    return count, findings


def ensure_chained(log: EventStore, process_id: str) -> None:
    """Refuse to tell of a process whose events are not what was written: what they say may be false.

    Raises:
        CorruptLog: The digest of an event does not chain to the one before it; the message says where.
    """
    previous = ""
    for row in log.stored_events(process_id):
        if chain(previous, row) != row.digest:
            raise CorruptLog(
                f"position {row.position} (process {row.stream}, version {row.version}): "
                "this event is not what was written, or the one before it is not"
            )
        previous = row.digest


def _follow(before: Process | None, row: StoredEvent) -> tuple[Process, str | None]:
    """Return the state after an event, and why the event could not come, if so."""
    recorded = from_row(row)
    after = apply(before, recorded)
    return after, refusal(before, recorded.event)


def _finding(row: StoredEvent, problem: str) -> Finding:
    return Finding(position=row.position, process=row.stream, version=row.version, problem=problem)

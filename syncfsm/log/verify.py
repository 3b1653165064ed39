"""Is a log what was written to it? Every digest, version, position and transition is checked.

A digest covers all of an event but its position, and the digest before it: a flipped bit shows at its own
event. Positions have no gaps, since no event is ever deleted; the read model must agree with the events.
"""

from __future__ import annotations

from syncfsm.errors import LogError, SyncfsmError
from syncfsm.events import Value
from syncfsm.log.codec import chain, from_row
from syncfsm.log.protocol import EventLog, StoredEvent
from syncfsm.process import Process, apply, fold


class Finding(Value, frozen=True):
    """Something wrong, and where. `process` and `version` are null where the whole log is meant."""

    position: int | None
    process: str | None
    version: int | None
    problem: str


class _Stream:
    """What is known of one stream while its rows pass by."""

    def __init__(self) -> None:
        self.version = 0
        self.digest = ""
        self.process: Process | None = None
        self.is_sound = True

    def take(self, row: StoredEvent) -> str | None:
        """Return what is wrong with the stream's next row."""
        expected, previous = self.version + 1, self.digest
        self.version, self.digest = row.version, row.digest
        if row.version != expected:
            self.is_sound = False
            return f"version {expected} is missing; {row.version} came instead"
        if chain(previous, row) != row.digest:
            self.is_sound = False
            return "the digest does not match: this event was changed, or the one before it"
        return self._fold(row) if self.is_sound else None

    def _fold(self, row: StoredEvent) -> str | None:
        """Return why the event does not fit the state, if it does not; the rest then cannot be folded."""
        try:
            self.process = apply(self.process, from_row(row))
        except SyncfsmError as error:
            self.is_sound = False
            return str(error)
        return None


def verify(log: EventLog) -> tuple[int, list[Finding]]:
    """Return how many events were read and what is wrong, in the order of the log.

    A file too damaged to be read on ends the list with a finding that says so.
    """
    streams: dict[str, _Stream] = {}
    findings: list[Finding] = []
    position = 0
    try:
        for row in log.rows():
            if row.position != position + 1:
                missing = f"position {position + 1} is missing; {row.position} came instead"
                findings.append(_finding(row, missing))
            position = row.position
            problem = streams.setdefault(row.stream, _Stream()).take(row)
            if problem:
                findings.append(_finding(row, problem))
        findings += _disagreements(log, streams)
    except LogError as error:
        findings.append(Finding(position=position + 1, process=None, version=None, problem=str(error)))
    return position, findings


def _disagreements(log: EventLog, streams: dict[str, _Stream]) -> list[Finding]:
    """Compare the read model with the events it was made from."""
    findings = []
    projection = log.projection()
    for process_id in sorted(projection.keys() | streams.keys()):
        stream = streams.get(process_id, _Stream())
        if stream.is_sound and not _agrees(log, process_id, stream, projection.get(process_id)):
            problem = f"the read model does not agree with the {stream.version} events of this process"
            findings.append(
                Finding(position=None, process=process_id, version=stream.version, problem=problem)
            )
    return findings


def _agrees(log: EventLog, process_id: str, stream: _Stream, projected: int | None) -> bool:
    """Whether the state by the read model is the fold of the events.

    A worker may be appending meanwhile, so the events are folded to the version of the loaded state.
    """
    loaded = log.load(process_id)
    tail = log.read(process_id, after=stream.version, until=loaded.version)
    return projected is not None and projected <= loaded.version and fold(stream.process, tail) == loaded


def _finding(row: StoredEvent, problem: str) -> Finding:
    return Finding(position=row.position, process=row.stream, version=row.version, problem=problem)

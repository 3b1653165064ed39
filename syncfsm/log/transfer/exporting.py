"""Export: all that is sound in a log, as lines of JSON; what is not is left out and told.

Of each process that is the longest run of events from its first, each proved by its digest and legal where it
stands. It works on a log of any condition, since it reads what the audit lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from syncfsm.errors import LogError
from syncfsm.log.checks.audit import Audit
from syncfsm.log.checks.findings import Extent, Finding
from syncfsm.log.checks.verify import audit_of, conclude
from syncfsm.log.protocol import Auditable, Scanned, StoredEvent
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.transfer.lines import (
    FIRST_VERSION,
    FORMAT,
    FORMAT_VERSION,
    EndLine,
    HeaderLine,
    PruningLine,
    event_line,
    to_bytes,
)
from syncfsm.log.transfer.redact import Redaction


class Export:
    """One export. Read `lines` to their end; the rest can be asked then.

    Args:
        log: The log, or what is left of one.
        process_id: The process to export; all if `None`.
        redaction: Turns ids, names and texts into pseudonyms; as they are if `None`.
        on_place: Called with each place of the log, for progress.
    """

    def __init__(
        self,
        log: Auditable,
        process_id: str | None = None,
        *,
        redaction: Redaction | None = None,
        on_place: Callable[[Scanned], None] = lambda _place: None,
    ) -> None:
        self._log = log
        self._process_id = process_id
        self._redaction = redaction
        self._on_place = on_place
        self._audit = Audit(has_gaps=log.has_gaps)
        self._prunings: list[StoredPruning] = []
        self._processes: set[str] = set()
        self.events = 0
        self.notices_left_out: int | None = 0

    @property
    def processes(self) -> int:
        """How many processes there are events of."""
        return len(self._processes)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, each with its newline."""
        is_redacted = self._redaction is not None
        with self._log.reading():
            self._audit = audit_of(self._log)
            self._prunings = self._pruned()
            version = FORMAT_VERSION if self._prunings else FIRST_VERSION
            yield to_bytes(HeaderLine(format=FORMAT, version=version, redacted=is_redacted))
            for pruning, digest in self._prunings:
                yield to_bytes(PruningLine(pruning=pruning, digest=digest))
            for place in self._log.scan():
                for row in self._audit.take(place):
                    yield from self._line(row)
                self._on_place(place)
            self.notices_left_out = self._notices() if self._process_id is None else 0
            conclude(self._log, self._audit)
        yield to_bytes(EndLine(processes=self.processes, events=self.events))

    def _pruned(self) -> list[StoredPruning]:
        """Return what was pruned, with pseudonyms if need be; of one process, nothing is told of it."""
        if self._process_id is not None:
            return []
        try:
            found = self._log.prunings()
        except LogError:
            return []
        return self._redaction.prunings(found) if self._redaction else found

    def _notices(self) -> int | None:
        """Return how many notices wait in the inbox, which has no place in an export; null if unknown."""
        try:
            return self._log.notices_waiting()
        except LogError:
            return None

    def _line(self, row: StoredEvent) -> Iterator[bytes]:
        if self._process_id in {None, row.stream}:
            self.events += 1
            self._processes.add(row.stream)
            told = self._redaction.redacted(row) if self._redaction else row
            yield to_bytes(event_line(told, has_position=bool(self._prunings)))

    def findings(self) -> list[Finding]:
        """Return what is wrong with what was asked for, by position."""
        return [
            finding
            for finding in self._audit.findings()
            if self._process_id in {None, finding.process} or finding.process is None
        ]

    def left_out(self) -> list[Extent]:
        """Return the processes of which events were left out."""
        return [
            extent
            for extent in self._audit.extents()
            if extent.sound < extent.stored and self._process_id in {None, extent.process}
        ]

    @property
    def is_whole(self) -> bool:
        """Whether nothing that was asked for had to be left out."""
        if self._process_id is not None and self.left_out():
            return False  # a hole that several processes share is told of one of them
        return not any(finding.loses_events for finding in self.findings())


def process_ids(log: Auditable) -> list[str]:
    """Return the ids of all processes with events that are sound, also of a damaged log."""
    with log.reading():
        audit = audit_of(log)
        for place in log.scan():
            audit.take(place)
    return [extent.process for extent in audit.extents() if extent.sound]

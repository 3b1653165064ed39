"""What every event log promises, whatever holds it.

An append is all or nothing and names the version it expects; nobody can change or delete what was
appended. The read model (`processes`, `load`) changes in the same transaction. Any backend must pass the
contract suite in tests/contracts/event_log.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol, Self

from syncfsm.capture import Captured, Exchange, Forgotten
from syncfsm.events import Mode, Recorded, Value
from syncfsm.process import Process


class StoredEvent(Value, frozen=True):
    """One event as it is stored: text and numbers, nothing decoded."""

    position: int
    stream: str
    version: int
    type: str
    schema: int
    at: str
    data: str
    meta: str
    digest: str


class EventLog(Protocol):
    """An append-only log of the events of many processes."""

    def __enter__(self) -> Self:
        """Return the log itself."""
        ...

    def __exit__(self, *exc_info: object) -> None:
        """Close the log."""
        ...

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
    ) -> None:
        """Append the events of one process, all or none, and update the read model.

        Args:
            events: At least one, all of one stream, with versions from `expected_version + 1` on.
            expected_version: The version the stream must have now; 0 for a new one.
            after: The state that the events lead to.
            exchanges: What came from outside and led to the events, to be kept with them.

        Raises:
            VersionConflict: Another worker appended first.
            ActiveSync: The state would be a second active one of the same source object.
            LogUnwritable: The disk is full, the file is read-only or locked. Nothing was written.
        """
        ...

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """Yield the events of a process with versions above `after`, up to and including `until`.

        Raises:
            CorruptLog: An event cannot be decoded.
        """
        ...

    def rows(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """Yield the stored rows of one process, or of all, by position."""
        ...

    def load(self, process_id: str) -> Process:
        """Return the state of a process: its snapshot and the events after it.

        Raises:
            ProcessNotFound: There is no such process.
            CorruptLog: The stream cannot be folded.
        """
        ...

    def version(self, process_id: str) -> int:
        """Return the version of a process, 0 if there is none: a cheap way to see whether it has moved."""
        ...

    def ids(self) -> list[str]:
        """Return the ids of all processes, oldest first."""
        ...

    def projection(self) -> dict[str, int]:
        """Return the version of each process by the read model, which must agree with the events."""
        ...

    def latest(self, source: str, object_: str, sink: str, *, mode: Mode = "initial") -> Process | None:
        """Return the process of this mode that began last for this source object and sink, if any."""
        ...

    def active(self, source: str, object_: str) -> Process | None:
        """Return the active process of this source object, if any."""
        ...

    def last_sync_time(self, source: str, object_: str, sink: str) -> datetime | None:
        """Return the watermark of the last completed sync of this source object into this sink."""
        ...

    def captures(self, process_id: str) -> list[Captured]:
        """Return what is kept of a process of what came from outside, in the order in which it came."""
        ...

    def exchange(self, capture_id: int) -> Exchange:
        """Return a captured exchange with its body.

        Raises:
            ProcessNotFound: It was forgotten meanwhile.
        """
        ...

    def capture_counts(self) -> dict[str, int]:
        """Return how many exchanges are kept of each process that has any."""
        ...

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """Delete the captures of one process, or of all, that came before a moment; never an event.

        Raises:
            LogUnwritable: The file cannot be written now, or another program holds what is to go.
        """
        ...

    def close(self) -> None:
        """Release the file or connection. Closing twice is harmless."""
        ...

"""What every event log promises, whatever holds it.

An append is all or nothing and names the version it expects; nobody can change or delete what was
appended. The read model (`processes`, `load`) changes in the same transaction. Any backend must pass the
contract suite in tests/contracts/event_log.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, Self

from syncfsm.core.capture import Captured, Exchange, Forgotten
from syncfsm.core.events import Mode, Recorded
from syncfsm.core.notices import Notice, Waiting
from syncfsm.core.process import Process
from syncfsm.core.state import Route
from syncfsm.core.value import Value


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


class Scanned(Value, frozen=True):
    """One place of a log, as it was found there.

    Attributes:
        position: The place, told by its neighbours where it no longer says so itself.
        row: What is stored there; null where that cannot be read. Text that is no UTF-8 has U+FFFD in it.
        problem: What is wrong with the way it is stored; empty if nothing is. It says nothing of the digest.
        is_doubtful: Whether the row may have been read wrongly, and is only believed if its digest proves it.
    """

    position: int
    row: StoredEvent | None
    problem: str = ""
    is_doubtful: bool = False


class Auditable(Protocol):
    """What verification and export need of a log, or of what is left of one. Nothing here writes."""

    def reading(self) -> AbstractContextManager[None]:
        """Let everything read within it see the log as it is at its beginning."""
        ...

    def scan(self) -> Iterator[Scanned]:
        """Yield every place of the log, by position, also those that cannot be read. Raises nothing."""
        ...

    def position_given(self) -> int | None:
        """Return the last position that was given out, null if that is not known.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def damages(self) -> list[str]:
        """Return what the store itself says is wrong with it, apart from its events. Raises nothing."""
        ...

    def notices_waiting(self) -> int | None:
        """Return how many notices of webhooks wait in the inbox, for whatever source; null if unknown.

        Raises:
            LogError: They cannot be read.
        """
        ...

    def projection(self) -> dict[str, int]:
        """Return the version of each process by the read model, which must agree with the events.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def model_doubt(self, process: Process) -> str | None:
        """Return what the read model says of a process but its events do not, null if they agree.

        Args:
            process: The state by the events.

        Raises:
            LogError: It cannot be read.
        """
        ...


class EventLog(Auditable, Protocol):
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
        notices: Sequence[int] = (),
    ) -> None:
        """Append the events of one process, all or none, and update the read model.

        Args:
            events: At least one, all of one stream, with versions from `expected_version + 1` on.
            expected_version: The version the stream must have now; 0 for a new one.
            after: The state that the events lead to.
            exchanges: What came from outside and led to the events, to be kept with them.
            notices: What is in the inbox and the process takes: it waits for no other from then on.

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

    def stored_events(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """Yield the stored rows of one process, or of all, by position."""
        ...

    def last_position(self, *, before: datetime | None = None) -> int:
        """Return the position of the last event, or of the last earlier than `before`; 0 if none.

        Cheap enough to be asked some times a second, to see whether anything has come. Who has seen a
        position has seen all before it: no event becomes visible behind one that was visible already.
        """
        ...

    def events_after(
        self, position: int, *, process_id: str | None = None, count_max: int = 500
    ) -> list[Recorded]:
        """Return the first events behind a position, of one process or of all, in order.

        A list, and not a stream, so that a slow reader never holds the log in the middle of a read.

        Raises:
            CorruptLog: An event cannot be decoded.
        """
        ...

    def last_events(self, count: int, *, process_id: str | None = None) -> list[Recorded]:
        """Return the last `count` events, of one process or of all, in order. See `events_after`."""
        ...

    def recent(self, *, over_max: int) -> list[Process]:
        """Return all active processes, oldest first, then those over or failed that moved last, last first.

        Args:
            over_max: The most of the latter.
        """
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

    def restore(self, rows: Iterable[StoredEvent], after: Callable[[], Iterable[Process]]) -> None:
        """Write rows as they are, digests included, all or none, and make the read model of their processes.

        Positions are given anew, in the order of the rows. Whoever calls this has checked that the rows
        chain to what is in the log, and fit it.

        Args:
            rows: Read to the end within the transaction; what they raise undoes all of it.
            after: Asked when the rows are written: the states that they lead to, one for each process.

        Raises:
            VersionConflict: A version is there already. Nothing was written.
            ActiveSync: A state would be a second active one of the same source object. Likewise.
            LogUnwritable: The log cannot be written now. Likewise.
        """
        ...

    def latest(self, source: str, object_: str, sink: str, *, mode: Mode = "initial") -> Process | None:
        """Return the process of this mode that began last for this source object and sink, if any."""
        ...

    def active(self, source: str, object_: str) -> Process | None:
        """Return the active process of this source object, if any."""
        ...

    def routes(self) -> list[Route]:
        """Return what was ever brought where, each once."""
        ...

    def webhook_sink(self, source: str, object_: str) -> str | None:
        """Return the sink that the webhooks of this source object go to: the first that took any."""
        ...

    def last_found(self, source: str, sink: str) -> dict[str, str] | None:
        """Return what the checks saw when a process last began to fetch from this source into this sink."""
        ...

    def last_sync_time(
        self, source: str, object_: str, sink: str, *, changed_by: str | None = None
    ) -> datetime | None:
        """Return where an ongoing sync of this source object into this sink takes up, if it can.

        That is the latest watermark since the last initial sync that was completed, its own included; so that
        one mends what a wrong clock made. Of ongoing ones, those count that asked alike: new or changed.

        Args:
            source: The name of the source.
            object_: The kind of its records.
            sink: The name of the sink.
            changed_by: The attribute that says when a record last changed; `None` where it asks by creation.
        """
        ...

    def items_left_by_syncs(self, source: str, object_: str, sink: str) -> int:
        """Return how many items completed syncs have left in a sink, from the last initial one on."""
        ...

    def last_completed(self, source: str, object_: str, sink: str) -> Process | None:
        """Return the initial or ongoing sync of this source object into this sink completed last, if any."""
        ...

    def receive(self, notice: Notice) -> bool:
        """Put a notice into the inbox, safe against a power cut when this returns.

        Returns:
            Whether it is new: False, and nothing was written, if one with its key came before.

        Raises:
            LogUnwritable: The log cannot be written now; the notice is not in it.
        """
        ...

    def waiting(
        self, source: str, object_: str, *, until: datetime | None = None, now: datetime | None = None
    ) -> Waiting:
        """Return what waits in the inbox for a process of this source object, the oldest first.

        That is what no process took, or one that was cancelled; where there is none of these, what one took
        that has failed, the one that failed longest ago. At most `inbox.RECORD_IDS_MAX` records, unless a
        single notice tells of more.

        Args:
            source: The name of the source.
            object_: The kind of its records.
            until: When it was received at the latest.
            now: What was received later than this, by a clock that was ahead, waits for `until` no longer.
        """
        ...

    def clear_inbox(self, before: datetime) -> int:
        """Delete the notices received before a moment whose process is complete; return how many."""
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

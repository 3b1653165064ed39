"""The events of many processes, in the order in which they came: what the engine and every reader need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.log.protocol.stored import StoredEvent


class EventStore(Protocol):
    """Appends events, and gives them and what they lead to back."""

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

        Positions grow: within a process by its versions, and in the whole log so that whoever has read up to
        one misses nothing (see `last_position`). They are 1, 2, 3 …, unless the log `has_gaps`.

        Args:
            events: At least one, all of one stream, with versions from `expected_version + 1` on.
            expected_version: The version the stream must have now; 0 for a new one.
            after: The state that the events lead to.
            exchanges: What came from outside and led to the events, to be kept with them.
            notices: What is in the inbox and the process takes: it waits for no other from then on.

        Raises:
            VersionConflict: Another worker appended first.
            ActiveSync: The state would be a second active one of the same source object.
            LogUnwritable: The disk is full, the log is read-only or locked. Nothing was written.
            AppendInDoubt: The connection to the log was lost: all was written, or nothing.
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

    def load(self, process_id: str) -> Process:
        """Return the state of a process: its snapshot and the events after it.

        Raises:
            ProcessNotFound: There is no such process.
            CorruptLog: The stream cannot be folded.
        """
        ...

    def loaded(self, process_ids: Sequence[str]) -> Iterator[Process]:
        """Yield the states of many processes, in this order, as `load` returns each.

        A log on a server is asked for many of them at once, and for no more than are taken, but for some
        hundred. Raises what `load` raises.
        """
        ...

    def version(self, process_id: str) -> int:
        """Return the version of a process, 0 if there is none: a cheap way to see whether it has moved."""
        ...

    def ids(self, *, begin_with: str = "", last: int | None = None) -> list[str]:
        """Return the ids of all processes, oldest first.

        Args:
            begin_with: Only those that begin with this.
            last: Only so many, which began last.
        """
        ...

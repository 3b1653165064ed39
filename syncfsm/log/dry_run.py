"""A log to try things on: what is appended is remembered, and not a byte of any file is written.

So a command can go through the very code that begins a sync, hear what it would refuse and in which words,
and leave no trace: no event, no file, not even what SQLite keeps beside a file that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.errors import LogUnwritable
from syncfsm.files.paths import path_in
from syncfsm.files.sqlite import unwritable_reason
from syncfsm.log.sqlite.store import SqliteLog


class DryRunLog(SqliteLog):
    """A log that is read, and seems to take what is appended; of a file that is not there, an empty one."""

    def __init__(self, url: str | Path) -> None:
        path = Path(path_in(url))
        self.is_new = str(path) == ":memory:" or not path.exists() or not path.stat().st_size
        self._tried: dict[str, Process] = {}
        if self.is_new:
            super().__init__(":memory:")
        else:
            super().__init__(path, read_only=True, traceless=True)
        self.path = str(path)

    def check_writable(self) -> None:
        """Refuse a log that could not be written, in the words that writing it would meet.

        Raises:
            LogUnwritable: Its folder is not there, or it may not be written.
        """
        reason = None if self.path == ":memory:" else unwritable_reason(Path(self.path))
        if reason is not None:
            raise LogUnwritable(
                f"the log {self.path} cannot be written: {reason}, then run again; "
                "nothing that was recorded is lost"
            )

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,  # noqa: ARG002 - nobody else appends here
        after: Process,
        exchanges: Sequence[Exchange] = (),  # noqa: ARG002 - nothing is kept
        notices: Sequence[int] = (),  # noqa: ARG002 - what waits in the inbox waits on
    ) -> None:
        """Remember the state that the events lead to, if the log would take them.

        Raises:
            ActiveSync: The state would be a second active one of the same source object.
        """
        assert events, "an append has at least one event"
        other = self.active(after.source, after.object)
        if after.is_active and other is not None and other.id != after.id:
            raise self._second(after)
        self._tried[after.id] = after

    def load(self, process_id: str) -> Process:
        """See `EventLog.load`."""
        return self._tried.get(process_id) or super().load(process_id)

    def version(self, process_id: str) -> int:
        """See `EventLog.version`."""
        tried = self._tried.get(process_id)
        return tried.version if tried else super().version(process_id)

    def active(self, source: str, object_: str) -> Process | None:
        """See `EventLog.active`."""
        for tried in self._tried.values():
            if tried.is_active and (tried.source, tried.object) == (source, object_):
                return tried
        found = super().active(source, object_)
        return None if found and found.id in self._tried else found

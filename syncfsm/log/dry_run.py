"""A log to try things on: what is appended is remembered, and nothing is written.

So a command can go through the very code that begins a sync, hear what it would refuse and in which words,
and leave no trace: no event, no file, not even what SQLite keeps beside a file that it reads
(`open_dry_run` sees to the latter).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NoReturn

from syncfsm.core.capture import Exchange, Forgotten
from syncfsm.core.events import Mode, Recorded
from syncfsm.core.notices import Notice
from syncfsm.core.process import Process
from syncfsm.core.pruning import Pruning
from syncfsm.errors import LogUnwritable
from syncfsm.log.composed import ComposedLog
from syncfsm.log.protocol import EventLog, StoredEvent
from syncfsm.log.protocol.prunable import Place
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.refusals import second_active, unwritable


class DryRunLog(ComposedLog):
    """A log that is read, and seems to take what is appended.

    Args:
        log: The log, which is only read; it is closed with this one.
        path: How it is named to people.
        is_new: Whether there is none yet, and `log` is an empty one in its place.
        problem: Why it could not be written, and what to do; null if it could be.
    """

    def __init__(self, log: EventLog, *, path: str, is_new: bool = False, problem: str | None = None) -> None:
        super().__init__(
            events=log,
            routes=log,
            inbox=log,
            captures=log,
            audit=log,
            restoring=log,
            pruning=log,
            close=log.close,
        )
        self.path = path
        self.is_new = is_new
        self._problem = problem
        self._tried: dict[str, Process] = {}

    def check_writable(self) -> None:
        """Refuse a log that could not be written, in the words that writing it would meet.

        Raises:
            LogUnwritable: Its folder is not there, or it may not be written.
        """
        if self._problem is not None:
            raise unwritable(self.path, self._problem)

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
            raise second_active(after, other)
        self._tried[after.id] = after

    def load(self, process_id: str) -> Process:
        """See `EventStore.load`."""
        return self._tried.get(process_id) or super().load(process_id)

    def loaded(self, process_ids: Sequence[str]) -> Iterator[Process]:
        """See `EventStore.loaded`."""
        return (self._tried.get(process.id, process) for process in super().loaded(process_ids))

    def version(self, process_id: str) -> int:
        """See `EventStore.version`."""
        tried = self._tried.get(process_id)
        return tried.version if tried else super().version(process_id)

    def active(self, source: str, object_: str) -> Process | None:
        """See `Routes.active`."""
        for tried in self._tried.values():
            if tried.is_active and (tried.source, tried.object) == (source, object_):
                return tried
        found = super().active(source, object_)
        return None if found and found.id in self._tried else found

    def recent(self, *, over_max: int) -> list[Process]:
        """See `Routes.recent`."""
        return [self._tried.get(process.id, process) for process in super().recent(over_max=over_max)]

    def latest(
        self, source: str, object_: str, sink: str, *, mode: Mode | None = "initial"
    ) -> Process | None:
        """See `Routes.latest`."""
        return self._as_tried(super().latest(source, object_, sink, mode=mode))

    def last_begun(self, source: str, object_: str, sink: str) -> Process | None:
        """See `Routes.last_begun`."""
        return self._as_tried(super().last_begun(source, object_, sink))

    def last_completed(self, source: str, object_: str, sink: str) -> Process | None:
        """See `Routes.last_completed`."""
        return self._as_tried(super().last_completed(source, object_, sink))

    def receive(self, notice: Notice) -> bool:  # noqa: ARG002
        """Refuse it, as all that is no append of events."""
        self._refuse()

    def clear_inbox(self, before: datetime) -> int:  # noqa: ARG002
        """See `receive`."""
        self._refuse()

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:  # noqa: ARG002
        """See `receive`."""
        self._refuse()

    def restore(
        self,
        rows: Iterable[StoredEvent],  # noqa: ARG002
        after: Callable[[], Iterable[Process]],  # noqa: ARG002
        prunings: Sequence[StoredPruning] = (),  # noqa: ARG002
    ) -> None:
        """See `receive`."""
        self._refuse()

    def prune(
        self,
        versions: dict[str, int],  # noqa: ARG002
        summed_up: Callable[[int, Sequence[Place]], Pruning],  # noqa: ARG002
    ) -> NoReturn:
        """See `receive`."""
        self._refuse()

    def give_back(self, *, may_rebuild: bool) -> NoReturn:  # noqa: ARG002
        """See `receive`."""
        self._refuse()

    def _as_tried(self, process: Process | None) -> Process | None:
        return process and self._tried.get(process.id, process)

    def _refuse(self) -> NoReturn:
        raise LogUnwritable(f"the log {self.path} is only read: what is tried on it is not kept")

"""Watching a log that others write to: what came since the last look, from whatever process.

A watcher must never be in the way: it opens the log for reading only, each look is a short read of its own,
and between looks nothing is held, so that checkpoints go on. Others may lock the log, delete it or make it
anew meanwhile; the watcher opens it again, and says what troubled it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Self, TypeVar

from syncfsm.core.events import Recorded
from syncfsm.errors import LogError, LogNotFound, LogUnwritable
from syncfsm.log import open_log
from syncfsm.log.protocol import EventLog, EventStore
from syncfsm.postgres.driver import is_postgres

T = TypeVar("T")

LOOKS_MAX = 10
"""Looks through one opened file: one that was put in the place of the old one is seen after so many."""

EVENTS_MAX = 500
"""Events of one look; the next look brings the rest."""


class Watch:
    """Opens a log as often as it takes.

    Args:
        url: The log; see `open_log`.
        busy_timeout_s: How long a look waits for whoever holds the log.

    Attributes:
        trouble: Why the last look came to nothing; null if it did not.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 0.2) -> None:
        self.trouble: LogError | None = None
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        self._log: EventLog | None = None
        self._looks = 0

    def __enter__(self) -> Self:
        """Return the watch itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the log."""
        self.close()

    def look(self, read: Callable[[EventLog], T]) -> T | None:
        """Return what `read` found, or `None` with the `trouble` said where the log cannot be read now.

        Raises:
            CorruptLog: The log is not what was written to it; another look would not help.
            LogError: The file is no log.
        """
        try:
            found = read(self._opened())
        except (LogNotFound, LogUnwritable) as error:
            self.close()
            self.trouble = error
            return None
        self.trouble = None
        return found

    def _opened(self) -> EventLog:
        self._looks += 1
        if self._looks > LOOKS_MAX and not is_postgres(self._url):  # a server tells by itself
            self.close()
        if self._log is None:
            self._log = open_log(self._url, read_only=True, busy_timeout_s=self._busy_timeout_s)
        return self._log

    def close(self) -> None:
        """Close the log until the next look."""
        if self._log is not None:
            self._log.close()
        self._log = None
        self._looks = 0


def is_passing(trouble: LogError) -> bool:
    """Whether a log that could not be read may soon be: somebody holds it locked for now."""
    return isinstance(trouble, LogUnwritable) and trouble.is_locked


class Follower:
    """Remembers how far a log was read, and reads on.

    Args:
        process_id: The only process to follow; all of them if `None`.

    Attributes:
        anew: How often another log was found in the place of the one that was followed.
    """

    def __init__(self, process_id: str | None = None) -> None:
        self.process_id = process_id
        self.anew = 0
        self._position = 0
        self._first: tuple[int, str] | None = None

    def begin(self, log: EventStore, *, last: int = 0, since: datetime | None = None) -> list[Recorded]:
        """Return the first events to show: the `last` ones; with `since`, none, and `news` begins there."""
        self._first = _first(log)
        if since is not None:
            self._position = log.last_position(before=since)
            return []
        self._position = log.last_position()
        shown = log.last_events(last, process_id=self.process_id)
        self._reach(shown)
        return shown

    def news(self, log: EventStore) -> list[Recorded]:
        """Return what came since the last look, at most `EVENTS_MAX` events; none if nothing did."""
        last = log.last_position()
        if last == self._position:
            return []
        self._know(log, last)
        found = log.events_after(self._position, process_id=self.process_id, count_max=EVENTS_MAX)
        if len(found) < EVENTS_MAX:
            self._position = max(self._position, last)  # the rest, as far as it was there, is others'
        self._reach(found)
        return found

    def _know(self, log: EventStore, last: int) -> None:
        """Begin at the beginning if this is another log than the one that was followed."""
        first = _first(log)
        if last < self._position or _is_another(self._first, first):
            self._position = 0
            self.anew += 1
        self._first = first

    def _reach(self, events: list[Recorded]) -> None:
        if events:
            self._position = max(self._position, events[-1].position or 0)


def _first(log: EventStore) -> tuple[int, str] | None:
    """Return the place and the digest of the first event: no two logs that matter to anybody share it."""
    first = log.events_after(0, count_max=1)
    return (first[0].position or 0, first[0].digest or "") if first else None


def _is_another(was: tuple[int, str] | None, now: tuple[int, str] | None) -> bool:
    """Whether the first event is that of another log: where the first was pruned, a later one is it now."""
    if was is None or now is None:
        return was is not None
    return now != was and now[0] <= was[0]

"""How the sync of an account stands, by the log alone: what it did last, and when there is something to do.

Nothing is remembered beside the log, so that after a restart, or on another machine, everything goes on from
where it stood, and what was missed meanwhile is due once, not once for each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

from syncfsm.core.backoff import left_s
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.starts import put_off_s
from syncfsm.core.state import Route
from syncfsm.core.value import Value
from syncfsm.engine.requests import SyncMode
from syncfsm.log.protocol import EventLog

AT_ONCE = datetime.min.replace(tzinfo=UTC)

_SYNCS = get_args(SyncMode)


class Standing(Value, frozen=True):
    """How one sync of an account stands.

    Attributes:
        sync: Its name.
        account: Whose it is.
        route: What it brings where; null if that cannot be known now.
        due_at: When there is something to do; long ago if there always was.
        process: What came last of it; null if nothing did.
        last_sync_at: Up to when the sink has everything; null if no sync was completed.
        trouble: Why nobody can tell how it stands: no engine can be made for it now. Null if one can.
    """

    sync: str
    account: str
    route: Route | None
    due_at: datetime = AT_ONCE
    process: Process | None = None
    last_sync_at: datetime | None = None
    trouble: str | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether a process is there to be gone on with, after a restart or a failure."""
        return self.process is not None and (self.process.is_active or self.process.is_resumable)


def last_process(log: EventLog, route: Route) -> Process | None:
    """Return the sync of a route that is active, or began last, whether of all or of what is new.

    That is by their places in the log: a clock may have been set back between two of them.
    """
    active = log.active(route.source, route.object)
    if active is not None and active.sink == route.sink and active.mode in _SYNCS:
        return active
    return log.last_begun(route.source, route.object, route.sink)


def waits_s(process: Process, now: datetime) -> float:
    """Return how long a process that is under way still waits; 0 or less if it does not."""
    if process.retry is None or process.waits_since is None:
        return 0.0
    return left_s(process.retry.retry_at, process.waits_since, now)


def due_in_s(process: Process, *, every_s: float, now: datetime) -> float:
    """Return how long it is until there is something to do for a sync whose last process this is.

    What is under way is due at once, or when its wait is over. What failed is due when the next would be,
    but not before it may ask. A clock that was set back makes none of this longer than it was.

    Args:
        process: The process.
        every_s: From the beginning of one sync to that of the next.
        now: The time of day.

    Returns:
        Seconds; 0 or less if there is something to do now.
    """
    if process.is_active:
        return waits_s(process, now)
    since = process.updated_at if process.state is State.FAILED else process.started_at
    left = left_s(since + timedelta(seconds=every_s), since, now)
    return max(left, put_off_s(process, now))

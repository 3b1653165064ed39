"""How the sync of an account stands, by the log alone: what it did last, and when there is something to do.

Nothing is remembered beside the log, so that after a restart, or on another machine, everything goes on from
where it stood, and what was missed meanwhile is due once, not once for each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.state import Route
from syncfsm.core.value import Value
from syncfsm.log.protocol import Routes

AT_ONCE = datetime.min.replace(tzinfo=UTC)


class Standing(Value, frozen=True):
    """How one sync of an account stands.

    Attributes:
        sync: Its name.
        account: Whose it is.
        route: What it brings where.
        process: What came last of it; null if nothing did.
        due_at: When there is something to do; long ago if there always was.
        last_sync_at: Up to when the sink has everything; null if no sync was completed.
    """

    sync: str
    account: str
    route: Route
    process: Process | None
    due_at: datetime
    last_sync_at: datetime | None

    @property
    def is_unfinished(self) -> bool:
        """Whether a process is there to be gone on with, after a restart or a failure."""
        return self.process is not None and (self.process.is_active or self.process.is_resumable)


def last_process(log: Routes, route: Route) -> Process | None:
    """Return the sync of a route that began last, whether of all or of what is new."""
    found = (log.latest(route.source, route.object, route.sink, mode=mode) for mode in ("initial", "ongoing"))
    begun = [process for process in found if process is not None]
    return max(begun, key=lambda process: (process.is_active, process.started_at), default=None)


def due_at(process: Process | None, *, every_s: float, now: datetime) -> datetime:
    """Return when there is something to do for a sync whose last process this is.

    What is under way is due at once, or when its wait is over. What failed is due when the next would be,
    but not before it may ask. No clock that was wrong puts anything off for longer than `every_s`.
    """
    if process is None:
        return AT_ONCE
    if process.is_active:
        return process.retry.retry_at if process.retry else AT_ONCE
    has_failed = process.state is State.FAILED
    since = process.updated_at if has_failed else process.started_at
    due = min(since, now) + timedelta(seconds=every_s)
    told = process.failure.retry_at if process.failure else None
    return max(due, told) if told else due

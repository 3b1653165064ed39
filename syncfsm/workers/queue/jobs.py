"""Deferring jobs, in a transaction of somebody else's.

At most one job of a sync waits at a time: its name is the job's `queueing_lock`. Procrastinate refuses a
second by an error, which in PostgreSQL takes the whole transaction with it: caught too late, `commit()`
returns as if nothing were, and the events are gone. So each deferral has a savepoint of its own.

A job has no `lock`: the account's turn is the lock. One whose end could not be recorded would hold a lock of
jobs for as long as its worker lives, and with it every later job of its sync. And whoever looks for the next
job compares each that waits with all others of its lock, which of 10,000 took three seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from procrastinate import SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import JobDeferrer
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from syncfsm.postgres.connection import Connection

QUEUE = "syncfsm"
TURN = "syncfsm.turn"

_IN_S = "SELECT clock_timestamp() + make_interval(secs => %s)"
_WAITING = "SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = ANY (%s)"


class Jobs:
    """Defers slices of work."""

    def __init__(self) -> None:
        self._manager = JobManager(SyncPsycopgConnector())  # never opened: the connection is given each time

    def defer(self, connection: Connection, sync: str, *, after_s: float = 0.0) -> None:
        """Let a worker go on with a sync, but not before so many seconds; nothing if one waits to already.

        Within a transaction of the connection, it is part of that.
        """
        with suppress(AlreadyEnqueued), connection.transaction():
            self.job(connection, sync, after_s=after_s).defer(sync=sync)

    def defer_all(self, connection: Connection, syncs: Sequence[str]) -> None:
        """Let workers go on with many syncs at once; nothing for those of which a job waits already."""
        waiting = {sync for (sync,) in connection.execute(_WAITING, ([*syncs],))}
        jobs = [
            self.job(connection, sync).job.evolve(task_kwargs={"sync": sync})
            for sync in syncs
            if sync not in waiting
        ]
        if not jobs:
            return
        try:
            with connection.transaction():
                self._manager.batch_defer_jobs(jobs, connection=connection)
        except AlreadyEnqueued:  # somebody deferred one of them just now
            for sync in syncs:
                self.defer(connection, sync)

    def job(self, connection: Connection, sync: str, *, after_s: float = 0.0) -> JobDeferrer:
        """Return the job, which defers itself by this connection, and fails there if one waits already."""
        return configure_task(
            name=TURN,
            job_manager=self._manager,
            connection=connection,
            queue=QUEUE,
            queueing_lock=sync,
            schedule_at=_in_s(connection, after_s) if after_s > 0 else None,
        )


def _in_s(connection: Connection, seconds: float) -> datetime:
    """Return a time by the clock of the server, which compares it with that: this machine's may be wrong."""
    found = connection.execute(_IN_S, (seconds,)).fetchone()
    assert found is not None, "it always answers"
    at: datetime = found[0]
    return at

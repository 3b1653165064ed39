"""Deferring jobs, in a transaction of somebody else's.

At most one job of a sync waits at a time: its name is the job's `queueing_lock`. Procrastinate refuses a
second by an error, which in PostgreSQL takes the whole transaction with it: caught too late, `commit()`
returns as if nothing were, and the events are gone. So each deferral has a savepoint of its own.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from procrastinate import SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import JobDeferrer
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from syncfsm.postgres.connection import Connection

QUEUE = "syncfsm"
TURN = "syncfsm.turn"


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

    def job(self, connection: Connection, sync: str, *, after_s: float = 0.0) -> JobDeferrer:
        """Return the job, which defers itself by this connection, and fails there if one waits already."""
        at = datetime.now(UTC) + timedelta(seconds=after_s) if after_s > 0 else None
        return configure_task(
            name=TURN,
            job_manager=self._manager,
            connection=connection,
            queue=QUEUE,
            lock=sync,
            queueing_lock=sync,
            schedule_at=at,
        )

"""What keeps the queue going: what is due is deferred, and what a dead worker held is given to another.

Both are periodic tasks, of which one runs at a time, on whatever worker. They say nothing of when a sync was
due: after an hour without any worker, each comes once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import psycopg
from procrastinate import App
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Job, Status

from syncfsm.core.process import Process
from syncfsm.core.times import format_time
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import SystemClock
from syncfsm.postgres.address import Address
from syncfsm.postgres.connection import Connection
from syncfsm.workers.queue import turns
from syncfsm.workers.queue.jobs import Jobs
from syncfsm.workers.queue.schema import queue_connection

STANDSTILL_S = 600.0
"""Nothing that is well goes so long without an event; what has to wait says until when."""

STALLED_S = 30.0
"""A worker that has said nothing for so long is dead; it says something each ten seconds."""


class Upkeep:
    """Defers what is due, and rescues what is stalled.

    Args:
        address: Where the queue is.
        app: The queue.
        syncs: What there is to work on: name and account of each.
    """

    def __init__(self, address: Address, app: App, syncs: dict[str, str]) -> None:
        self._address = address
        self._app = app
        self._syncs = syncs
        self._jobs = Jobs()
        self._connection: Connection | None = None

    def defer_due(self) -> int:
        """Let a worker go on with each sync that is due; return how many were."""
        connection = self._connected()
        due = turns.due(connection, list(self._syncs))
        self._jobs.defer_all(connection, due)
        return len(due)

    async def rescue(self) -> int:
        """Give the jobs of dead workers to others; return how many there were."""
        stalled = list(await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S))
        for job in stalled:
            await self._rescue(job)
        return len(stalled)

    async def _rescue(self, job: Job) -> None:
        """Let a job be done by another, or be gone where one waits that does the same: two may not wait."""
        try:
            await self._app.job_manager.retry_job(job)
        except UniqueViolation:
            await self._app.job_manager.finish_job(job, status=Status.ABORTED, delete_job=True)

    def stalled(self, log: EventLog) -> list[tuple[str, Process]]:
        """Return the syncs whose process has not moved for long and waits for nothing, each process once."""
        now = SystemClock().now()
        before = format_time(now - timedelta(seconds=STANDSTILL_S))
        found = turns.standing_still(self._connected(), list(self._syncs), before)
        processes = [(sync, log.load(process_id)) for sync, process_id in found]
        still = [(sync, process) for sync, process in processes if not _waits(process, now)]
        for sync, process in still:
            turns.told(self._connected(), sync, process.id)
        return still

    def register(self, syncs: Iterable[tuple[str, str, float]]) -> None:
        """Let all syncs be known."""
        turns.register(self._connected(), syncs)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> Connection:
        """Return the connection, or a new one where it was lost.

        Raises:
            psycopg.Error: None can be made.
        """
        try:
            if self._connection is not None and not self._connection.closed:
                self._connection.execute("SELECT 1")
                return self._connection
        except psycopg.Error:
            pass  # it was lost, and a new one is made
        self._connection = queue_connection(self._address, "upkeep")
        return self._connection


def _waits(process: Process, now: datetime) -> bool:
    """Whether a process has something to wait for: it is told when it is to ask again."""
    return process.retry is not None and process.retry.retry_at + timedelta(seconds=STANDSTILL_S) > now

"""One place of a worker: a connection to the log, by which one sync at a time is worked on for a while.

The turn of the account is a lock of this connection, and the events are appended by it: who has lost one has
lost the other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import psycopg
from procrastinate.exceptions import ConnectorException

from syncfsm.core.process import Process
from syncfsm.core.starts import put_off_s
from syncfsm.errors import (
    BrokenContract,
    LogUnwritable,
    SyncfsmError,
)
from syncfsm.log.postgres.store import PostgresLog
from syncfsm.outside.clock import SteadyClock, SystemClock
from syncfsm.outside.safe_words import raised_words
from syncfsm.postgres.connection import Connection
from syncfsm.workers.account_sync import AccountSync, Fleet
from syncfsm.workers.queue import turns
from syncfsm.workers.queue.jobs import Jobs
from syncfsm.workers.slices import WAIT_S_MAX, work_on
from syncfsm.workers.standing import due_in_s, waits_s
from syncfsm.workers.troubles import BUSY

T = TypeVar("T")

_PATIENT = b"SET LOCAL lock_timeout = '5s'"
"""An append waits for nobody, so that nothing else in the program does; for a job that is just being deferred
it does."""

MENDED_S = 60.0
"""After which a setting, or what a sync is made with, may have been mended."""

TROUBLE_S = 5
"""How long until the next try where something kept a slice from beginning or going on."""


class Slot(Generic[T]):
    """Works on one sync at a time.

    Args:
        url: The log.
        fleet: What there is to work on.
        worker: What its worker is called.
        slice_s: How long to go on with one sync.
        is_stopping: Whether the worker is to end.
        on_over: Called with a sync and the last state of a process that is over or has failed.
        on_trouble: Called with a sync and what kept it from beginning or going on.
    """

    def __init__(
        self,
        url: str,
        fleet: Fleet[T],
        *,
        worker: str,
        slice_s: float,
        is_stopping: Callable[[], bool],
        on_over: Callable[[AccountSync[T], Process], None],
        on_trouble: Callable[[AccountSync[T], SyncfsmError], None],
    ) -> None:
        self.log = PostgresLog(url, within=self._within, takes_part=self._takes_part)
        self.syncs = {sync.name: sync for sync in fleet(self.log)}
        self._worker = worker
        self._slice_s = slice_s
        self._is_stopping = is_stopping
        self._on_over = on_over
        self._on_trouble = on_trouble
        self._jobs = Jobs()
        self._clock = SystemClock()
        self._steady = SteadyClock(self._clock)
        self._turn: turns.Turn | None = None
        self._ends_at: datetime = self._steady.now()
        self._taken_by = 0
        self._deferred_at: tuple[str, int] | None = None
        self._pages: int | None = None

    @property
    def sync(self) -> str | None:
        """The sync that it works on; null if it has none."""
        return self._turn.sync if self._turn else None

    def close(self) -> None:
        """Close the log, and with it give back whatever is held."""
        self.log.close()

    async def work_on(self, name: str) -> None:
        """Work on a sync for a while, if its account's turn is to be had; else put its job back until then.

        Raises:
            LogError: The log cannot be reached; the job is to be tried again.
        """
        sync = self.syncs.get(name)
        if sync is None:  # it was taken out of the settings since its job was deferred
            return
        turn = turns.Turn(sync=name, account=sync.account, worker=self._worker)
        wait_s = self.log.ask(partial(turns.take, turn=turn))
        if wait_s is not None:
            self.log.ask(partial(self._jobs.defer, sync=name, after_s=wait_s))
            return
        due_s, told_s = 0.0, 0.0
        try:
            due_s, told_s = await self._slice(sync, turn)
        finally:
            self._turn = None
            self.log.ask(partial(turns.give_back, turn=turn, due_s=due_s, wait_s=told_s))

    async def _slice(self, sync: AccountSync[T], turn: turns.Turn) -> tuple[float, float]:
        """Return in how many seconds the sync is due again, and for how many its account is told to wait."""
        self._turn, self._deferred_at, self._pages = turn, None, None
        self._taken_by = self.log.connection.info.backend_pid
        self._ends_at = self._steady.now() + timedelta(seconds=self._slice_s)
        try:
            process = await self._worked_on(sync)
        except BUSY as busy:
            self._on_trouble(sync, busy)
            return float(TROUBLE_S), 0.0
        except (psycopg.Error, ConnectorException) as error:  # of the queue, whose job was to be deferred
            self._on_trouble(sync, LogUnwritable(f"the queue cannot be written: {type(error).__name__}"))
            return float(TROUBLE_S), 0.0
        except SyncfsmError as error:
            self._on_trouble(sync, error)
            return min(sync.every_s, MENDED_S), 0.0
        except Exception as error:  # noqa: BLE001 - a hook's, or that of whoever makes the engine
            self._on_trouble(sync, BrokenContract(raised_words("what a sync is made with", error)))
            return min(sync.every_s, MENDED_S), 0.0
        return self._next(sync, process)

    async def _worked_on(self, sync: AccountSync[T]) -> Process:
        process = await work_on(
            self.log,
            sync,
            leaves=lambda _wait_s: self._deferred_at is not None,
            clock=self._clock,
            on_over=self._on_over,
        )
        assert process is not None, "it was asked for wherever it stands"
        return process

    def _next(self, sync: AccountSync[T], process: Process) -> tuple[float, float]:
        now = self._clock.now()
        if process.is_active:
            if self._deferred_at is None:  # begun in the last moment, or it has lost its connection
                self.log.ask(partial(self._jobs.defer, sync=sync.name, after_s=turns.GAP_S))
            return turns.GUARD_S, self._wait_s(process)
        return due_in_s(process, every_s=sync.every_s, now=now), put_off_s(process, now)

    def _wait_s(self, process: Process) -> float:
        return waits_s(process, self._clock.now())

    def _takes_part(self, after: Process) -> bool:
        """Whether there is something to write with an event: the first of a slice, or its last."""
        if self._turn is None or self._deferred_at not in {None, (after.id, after.version)}:
            return False
        return self._pages is None or self._is_at_end(after)

    def _within(self, connection: Connection, after: Process) -> None:
        """Say which process it is, and defer the next job with the last event of the slice.

        It may be called again for the same event, where the connection was lost with the first. See
        `PostgresLog`.
        """
        assert self._turn is not None, "it takes part in a slice only"
        if self._pages is None:
            self._pages = after.progress.pages
            turns.at_process(connection, self._turn, after.id)
        if self._is_at_end(after):
            connection.execute(_PATIENT)
            self._jobs.defer(connection, self._turn.sync, after_s=max(turns.GAP_S, self._wait_s(after)))
            self._deferred_at = (after.id, after.version)

    def _is_at_end(self, after: Process) -> bool:
        """Whether the slice ends with an event, and its process does not."""
        if not after.is_active or after.pending is not None:
            return False
        has_moved = after.progress.pages > (self._pages or 0)  # however short a slice is, it brings a page
        is_over = has_moved and (self._is_stopping() or self._steady.now() >= self._ends_at)
        is_lost = self.log.connection.info.backend_pid != self._taken_by  # the turn went with the connection
        return is_over or is_lost or self._wait_s(after) > WAIT_S_MAX

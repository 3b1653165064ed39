"""A worker: takes jobs off the queue, so many at a time, until it is told to stop.

Procrastinate ends its worker where the database goes away for a moment; here it is begun again until it is
back. Told to stop, each slice ends after the page that is under way, and its job is put back with the event
of that; so a rolling restart loses no minute and no job. Whoever is killed is found out by its heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

import psycopg
from procrastinate import App, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException
from psycopg import sql

from syncfsm.core.process import Process
from syncfsm.errors import SyncfsmError
from syncfsm.outside.safe_words import raised_words
from syncfsm.postgres.address import parse
from syncfsm.workers.account_sync import AccountSync, Fleet
from syncfsm.workers.queue.jobs import QUEUE, TURN
from syncfsm.workers.queue.schema import made_ready
from syncfsm.workers.queue.slot import TROUBLE_S, Slot
from syncfsm.workers.queue.upkeep import STALLED_S, Upkeep

P = ParamSpec("P")
T = TypeVar("T")

CONCURRENCY = 4
SLICE_S = 10.0

GRACE_S = 25.0
"""How long slices have to end when the worker is told to stop; what has not ended by then is broken off, and
found out by whoever looks for what is due. Service managers kill after 30 s or more."""

HEARTBEAT_S = 10.0
POLL_S = 0.5
"""How often to look for jobs whose time has come; of new ones, the database tells at once."""

AGAIN_S = 1.0
"""How long until the next try where the database is away."""

DUE, RESCUE = "syncfsm.due", "syncfsm.rescue"
_UPKEEP_PRIORITY = 100


class Worker(Generic[T]):
    """Works on the syncs of many accounts, with whoever else does.

    Args:
        url: The log, in PostgreSQL; the queue is in the same schema.
        fleet: Returns all syncs there are, for a log.
        concurrency: The most slices at a time.
        slice_s: How long a slice takes, if there is more to do.
        name: What it is called; the machine and the number of its process if `None`.
        on_over: Called with a sync and the last state of a process that is over or has failed.
        on_trouble: Called with a sync and what kept it from beginning or going on.
        on_stalled: Called once with the name of a sync and a process of it that has not moved for long.
        say: Called with words on what the worker itself waits for.
    """

    def __init__(
        self,
        url: str,
        fleet: Fleet[T],
        *,
        concurrency: int = CONCURRENCY,
        slice_s: float = SLICE_S,
        name: str | None = None,
        on_over: Callable[[AccountSync[T], Process], None] = lambda _sync, _process: None,
        on_trouble: Callable[[AccountSync[T], SyncfsmError], None] = lambda _sync, _error: None,
        on_stalled: Callable[[str, Process], None] = lambda _sync, _process: None,
        say: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._url = url
        self._address = parse(url)
        self._fleet = fleet
        self._concurrency = concurrency
        self._slice_s = slice_s
        self._on_over = on_over
        self._on_trouble = on_trouble
        self._on_stalled = on_stalled
        self._say = say
        self._is_stopping = False
        self._running: asyncio.Task[None] | None = None
        self._slots: asyncio.Queue[Slot[T]] = asyncio.Queue()
        self._all: list[Slot[T]] = []
        self._app: App | None = None

    async def run(self) -> None:
        """Work until it is stopped.

        Raises:
            LogError: The log cannot be used, or cannot be reached to begin with.
        """
        self._all = slots = [
            self._slot() for _ in range(self._concurrency)
        ]  # the log's schema is there from here on
        made_ready(self._url)
        for slot in slots:
            self._slots.put_nowait(slot)
        self._app = app = self.queue()
        upkeep = Upkeep(self._address, app, {name: sync.account for name, sync in slots[0].syncs.items()})
        upkeep.register((sync.name, sync.account, sync.every_s) for sync in slots[0].syncs.values())
        upkeep.defer_due()  # at once, and then each ten seconds
        self._add_tasks(app, upkeep)
        try:
            async with app.open_async():
                await self._work(app)
        finally:
            upkeep.close()
            for slot in slots:
                slot.close()

    def stop(self) -> None:
        """Let every slice end after the page that is under way, and `run` return then. Twice is as once."""
        if not self._is_stopping:
            self._is_stopping = True
            if self._running is not None:
                self._running.cancel()

    async def _work(self, app: App) -> None:
        """Run Procrastinate's worker, and again where the database was away, until it is told to stop."""
        while not self._is_stopping:
            self._running = asyncio.ensure_future(
                app.run_worker_async(
                    queues=[QUEUE],
                    name=self.name,
                    concurrency=self._concurrency,
                    fetch_job_polling_interval=POLL_S,
                    update_heartbeat_interval=HEARTBEAT_S,
                    stalled_worker_timeout=STALLED_S,
                    shutdown_graceful_timeout=GRACE_S,
                    delete_jobs="always",
                    install_signal_handlers=False,
                )
            )
            try:
                await self._running
            except asyncio.CancelledError:
                if not self._is_stopping:  # whoever runs this was cancelled
                    raise
            except (ConnectorException, psycopg.Error) as error:
                self._say(f"waiting for the database: {type(error).__name__}")
            if not self._is_stopping:
                await asyncio.sleep(AGAIN_S)

    def status(self) -> dict[str, Any]:
        """Return what the worker is on, ready for JSON."""
        return {
            "worker": self.name,
            "concurrency": self._concurrency,
            "is_stopping": self._is_stopping,
            "working_on": [slot.sync for slot in self._all if slot.sync],
        }

    async def is_connected(self) -> bool:
        """Return whether the database answers, and has the queue."""
        if self._app is None:
            return False
        try:
            return await self._app.check_connection_async()
        except (ConnectorException, psycopg.Error):
            return False

    def queue(self) -> App:
        """Return the queue, not opened yet, without any tasks."""
        schema = (
            sql.Identifier(self._address.schema).as_string(None).replace("\\", "\\\\").replace(" ", "\\ ")
        )
        options = f"-c search_path={schema}"
        return App(
            connector=PsycopgConnector(
                conninfo=self._address.conninfo,
                kwargs={"options": options, "application_name": f"syncfsm queue {self.name}"},
                min_size=1,
                max_size=self._concurrency + 2,
            )
        )

    def _slot(self) -> Slot[T]:
        return Slot(
            self._url,
            self._fleet,
            worker=self.name,
            slice_s=self._slice_s,
            is_stopping=lambda: self._is_stopping,
            on_over=self._on_over,
            on_trouble=self._on_trouble,
        )

    def _said(self, task: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        """Say what a task raises, which the queue only counts; its job is tried again, or comes again."""

        @wraps(task)
        async def told(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                await task(*args, **kwargs)
            except SyncfsmError as error:
                self._say(f"waiting: {error}")
                raise
            except Exception as error:
                self._say(raised_words("the worker", error))
                raise

        return told

    def _add_tasks(self, app: App, upkeep: Upkeep) -> None:
        @self._said
        async def turn(sync: str) -> None:
            slot = await self._slots.get()
            try:
                await slot.work_on(sync)
            finally:
                self._slots.put_nowait(slot)

        @self._said
        async def due(timestamp: int) -> None:  # noqa: ARG001 - what was due then is due now
            upkeep.defer_due()
            for sync, process in upkeep.stalled(self._all[0].log):
                self._on_stalled(sync, process)

        @self._said
        async def rescue(timestamp: int) -> None:  # noqa: ARG001 - likewise
            await upkeep.rescue()

        app.task(name=TURN, queue=QUEUE, retry=RetryStrategy(wait=TROUBLE_S))(turn)
        for name, task in ((DUE, due), (RESCUE, rescue)):
            periodic: Any = app.task(name=name, queue=QUEUE, queueing_lock=name, priority=_UPKEEP_PRIORITY)(
                task
            )
            app.periodic(cron=_EACH_TEN_SECONDS, periodic_id=name)(periodic)


_EACH_TEN_SECONDS = "* * * * * */10"
logging.getLogger("procrastinate").addHandler(logging.NullHandler())

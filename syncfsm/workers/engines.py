"""The syncs of many accounts in one program: each when it is due, so many at a time, until stopped.

A turn is a *slice* of a process: as many pages as fit a few seconds. Then the next account has its turn, so
that a workspace of a million people does not keep those of fifty waiting. One account is worked on by one
engine at a time, since its limits are those of its key. What is under way stays in the log: a program that
was killed goes on from there, with nothing to remember beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

from syncfsm.core.process import Process
from syncfsm.engine.requests import Leaves
from syncfsm.errors import (
    ActiveSync,
    BrokenContract,
    ConfigurationError,
    LogUnwritable,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.log.patience import patiently
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SteadyClock, SystemClock
from syncfsm.outside.safe_words import raised_words
from syncfsm.workers.account_sync import AccountSync
from syncfsm.workers.standing import AT_ONCE, Standing, due_at, last_process

T = TypeVar("T")

Syncs: TypeAlias = Sequence[AccountSync[T]]

AT_ONCE_MAX = 4
SLICE_S = 30.0

WAIT_S_MAX = 2.0
"""For how long a process is waited with where others are due; for longer, it is gone on with later."""

BUSY_S = 5.0
"""How long until the next try where somebody else is on a process, or holds the log."""


class Engines(Generic[T]):
    """Runs the syncs of many accounts over one log.

    Args:
        log: Where all their events go.
        syncs: What is synced for whom.
        at_once: The most of them at a time.
        slice_s: How long one goes on while others are due.
        clock: Time; the machine's if `None`.
        on_turn: Called with the sync and the last state of its process, when that is over or has failed.
        on_trouble: Called with the sync and what kept it from beginning or going on.

    Raises:
        ConfigurationError: Two syncs have the same name.
    """

    def __init__(
        self,
        log: EventLog,
        syncs: Iterable[AccountSync[T]],
        *,
        at_once: int = AT_ONCE_MAX,
        slice_s: float = SLICE_S,
        clock: Clock | None = None,
        on_turn: Callable[[AccountSync[T], Process], None] = lambda _sync, _process: None,
        on_trouble: Callable[[AccountSync[T], SyncfsmError], None] = lambda _sync, _error: None,
    ) -> None:
        self.log = log
        given = list(syncs)
        self.syncs = {sync.name: sync for sync in given}
        if len(self.syncs) < len(given):
            raise ConfigurationError("two syncs have the same name: nobody could tell them apart")
        self._slots = asyncio.Semaphore(at_once)
        self._slice_s = slice_s
        self._clock = clock or SystemClock()
        self._steady = SteadyClock(self._clock)
        self._on_turn = on_turn
        self._on_trouble = on_trouble
        self._put_off: dict[str, datetime] = {}
        self._queued = 0

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    async def standings(self) -> list[Standing]:
        """Return how each sync stands, by the log: those first that are due first.

        Raises:
            ConfigurationError: An engine cannot be made.
        """
        for sync in self.syncs.values():
            await sync.learn()
        return sorted(map(self._standing, self.syncs.values()), key=lambda standing: standing.due_at)

    async def unfinished(self) -> list[Standing]:
        """Return the syncs that have a process to go on with, after a restart or a failure; `run` does it."""
        return [standing for standing in await self.standings() if standing.is_unfinished]

    def _standing(self, sync: AccountSync[T]) -> Standing:
        route = sync.route
        process = last_process(self.log, route)
        last = self.log.last_completed(route.source, route.object, route.sink)
        return Standing(
            sync=sync.name,
            account=sync.account,
            route=route,
            process=process,
            due_at=due_at(process, every_s=sync.every_s, now=self._clock.now()),
            last_sync_at=last.watermark if last else None,
        )

    # ── running ──────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Run each sync whenever it is due, until the task is cancelled. What is under way stays resumable.

        Raises:
            LogError: The log cannot be used any more.
        """
        await self._for_each_account(self.syncs, self._for_ever)

    async def run_once(self, names: Iterable[str] | None = None) -> None:
        """Run each sync once to its end, whether it is due or not: what is unfinished, or a new one.

        Args:
            names: The syncs to run; all if `None`.

        Raises:
            LogError: The log cannot be used any more.
        """
        await self._for_each_account(self.syncs if names is None else names, self._once)

    async def _for_each_account(
        self, names: Iterable[str], do: Callable[[Syncs[T]], Awaitable[None]]
    ) -> None:
        by_account: dict[str, list[AccountSync[T]]] = {}
        for name in names:
            by_account.setdefault(self.syncs[name].account, []).append(self.syncs[name])
        try:
            async with asyncio.TaskGroup() as group:
                for syncs in by_account.values():
                    group.create_task(_done(do(syncs)))
        except BaseExceptionGroup as raised:
            raise raised.exceptions[0] from None

    async def _for_ever(self, syncs: Syncs[T]) -> None:
        while True:
            sync = min(syncs, key=self._due_at)
            left_s = (self._due_at(sync) - self._clock.now()).total_seconds()
            if left_s > 0:
                await self._steady.sleep(min(left_s, sync.every_s))  # by then, a clock may have been mended
            else:
                await self._slice(sync)

    async def _once(self, syncs: Syncs[T]) -> None:
        for sync in syncs:
            while (process := await self._slice(sync)) is not None and process.is_active:
                wait_s = process.retry.retry_at - self._clock.now() if process.retry else timedelta(0)
                await self._steady.sleep(max(0.0, wait_s.total_seconds()))

    def _due_at(self, sync: AccountSync[T]) -> datetime:
        put_off = self._put_off.get(sync.name, AT_ONCE)
        if not sync.is_known:
            return put_off
        process = last_process(self.log, sync.route)
        return max(put_off, due_at(process, every_s=sync.every_s, now=self._clock.now()))

    async def _slice(self, sync: AccountSync[T]) -> Process | None:
        """Work on a sync for a while; return its process, or `None` where something kept it from that."""
        self._queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._queued -= 1
        try:
            return await self._worked_on(sync)
        except (ActiveSync, LogUnwritable, VersionConflict) as busy:
            self._trouble(sync, busy, BUSY_S)
        except ConfigurationError as error:  # somebody may mend it meanwhile, and the others go on
            self._trouble(sync, error, sync.every_s)
        except SyncfsmError:
            raise  # a log that no later turn finds mended
        except Exception as error:  # noqa: BLE001 - a hook's, or that of whoever makes the engine
            words = raised_words("what a sync is made with", error)
            self._trouble(sync, BrokenContract(words), sync.every_s)
        finally:
            self._slots.release()
        return None

    async def _worked_on(self, sync: AccountSync[T]) -> Process:
        await sync.learn()
        async with sync.make_engine() as engine:
            begun = await patiently(self.log, self._clock, sync.taken_up, engine)
            process = await engine.run(begun.id, leaves=self._leaves())
            if not process.is_active:
                self._on_turn(sync, process)
            return await patiently(self.log, self._clock, engine.start_sweep, process) or process

    def _leaves(self) -> Leaves:
        """Return what says that others are to have their turn, where any wait for it."""
        ends_at = self._steady.now() + timedelta(seconds=self._slice_s)
        return lambda wait_s: self._queued > 0 and (wait_s > WAIT_S_MAX or self._steady.now() >= ends_at)

    def _trouble(self, sync: AccountSync[T], error: SyncfsmError, pause_s: float) -> None:
        self._put_off[sync.name] = self._clock.now() + timedelta(seconds=pause_s)
        self._on_trouble(sync, error)


async def _done(doing: Awaitable[None]) -> None:
    await doing

"""The syncs of many accounts in one program: each when it is due, so many at a time, until stopped.

A turn is a *slice* of a process: as many pages as fit a few seconds. Then the next account has its turn, so
that a workspace of a million people does not keep those of fifty waiting. One account is worked on by one
engine at a time, since its limits are those of its key. What is under way stays in the log: a program that
was killed goes on from there, with nothing to remember beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from itertools import chain, repeat
from math import inf
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from msgspec.structs import replace

from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import Leaves
from syncfsm.errors import (
    BrokenContract,
    ConfigurationError,
    LogError,
    LogUnwritable,
    SyncfsmError,
)
from syncfsm.log.patience import patiently
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.safe_words import raised_words
from syncfsm.workers.account_sync import AccountSync
from syncfsm.workers.agenda import Agenda
from syncfsm.workers.slices import SLICE_S, WAIT_S_MAX
from syncfsm.workers.slots import Slots
from syncfsm.workers.standing import Standing, due_in_s, last_process
from syncfsm.workers.troubles import BUSY, Troubles

T = TypeVar("T")

Syncs: TypeAlias = Sequence[AccountSync[T]]

Begin: TypeAlias = Callable[[AccountSync[T], Engine[T]], Process | None]
"""Returns the process to work on, if there is any."""

AT_ONCE_MAX = 4

BUSY_S = 5.0
"""How long until the next try where somebody else is on a process, or holds the log."""


class Engines(Generic[T]):
    """Runs the syncs of many accounts over one log.

    What `on_turn` and `on_trouble` raise ends `run`.

    Args:
        log: Where all their events go.
        syncs: What is synced for whom.
        at_once: The most of them at a time.
        slice_s: How long one goes on while others are due.
        clock: Time; the machine's if `None`.
        on_turn: Called with the sync and the last state of its process, when that is over or has failed.
        on_trouble: Called with the sync and what kept it from beginning or going on: once, and again every
            ten minutes while it is the same.

    Raises:
        ConfigurationError: Two syncs have the same name, or `at_once` cannot work.
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
        self.syncs: dict[str, AccountSync[T]] = {}
        for sync in syncs:
            if self.syncs.setdefault(sync.name, sync) is not sync:
                raise ConfigurationError(f"two syncs are called {sync.name}: nobody could tell them apart")
        self._slots = Slots(at_once)
        self._slice_s = slice_s
        self._clock = clock or SystemClock()
        self._agenda = Agenda(self._clock)
        self._on_turn = on_turn
        self._troubles = Troubles(self._clock, lambda name, error: on_trouble(self.syncs[name], error))

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    async def standings(self) -> list[Standing]:
        """Return how each sync stands, by the log: those first that are due first.

        Raises:
            LogError: The log cannot be read.
        """
        found = [await self._standing(sync) for sync in self.syncs.values()]
        return sorted(found, key=lambda standing: standing.due_at)

    async def unfinished(self) -> list[Standing]:
        """Return the syncs that have a process to go on with, after a restart or a failure; `run` does it."""
        return [standing for standing in await self.standings() if standing.is_unfinished]

    async def _standing(self, sync: AccountSync[T]) -> Standing:
        trouble = await self._learned(sync)
        await asyncio.sleep(0)  # engines take a while to make, and others share the event loop
        stands = Standing(sync=sync.name, account=sync.account, route=sync.route)
        if sync.route is None:
            return replace(stands, trouble=str(trouble))
        last = self.log.last_completed(sync.route.source, sync.route.object, sync.route.sink)
        stands = replace(stands, last_sync_at=last.watermark if last else None)
        process, now = last_process(self.log, sync.route), self._clock.now()
        if process is None:
            return stands
        left = timedelta(seconds=due_in_s(process, every_s=sync.every_s, now=now))
        return replace(stands, process=process, due_at=now + left)

    async def _learned(self, sync: AccountSync[T]) -> SyncfsmError | None:
        """Learn what a sync brings where; return what kept it from that."""
        if sync.route is not None:
            return None
        try:
            async with sync.engine():
                self._check_route(sync)
        except LogError:
            raise
        except SyncfsmError as error:
            return error
        except Exception as error:  # noqa: BLE001 - that of whoever makes the engine
            return _broken(error)
        return None

    # ── running ──────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Run each sync whenever it is due, until the task is cancelled. What is under way stays resumable.

        Raises:
            LogError: The log cannot be used any more.
        """
        await self._for_each_account(self.syncs, self._for_ever)

    async def run_once(self, names: Iterable[str] | None = None) -> None:
        """Run each sync once to its end, whether it is due or not: what is unfinished, or a new one.

        While `run` runs, it may be called too: an account has one engine at a time.

        Args:
            names: The syncs to run; all if `None`.

        Raises:
            ConfigurationError: There is no sync of such a name.
            LogError: The log cannot be used any more.
        """
        await self._for_each_account(self.syncs if names is None else names, self._once)

    async def retry_rejects(self, names: Iterable[str] | None = None) -> None:
        """Send rejected records of each sync again, once: those of its last process that has some.

        Args:
            names: The syncs; all if `None`.

        Raises:
            ConfigurationError: There is no sync of such a name.
            LogError: The log cannot be used any more.
        """
        await self._for_each_account(self.syncs if names is None else names, self._rejects_once)

    async def _for_each_account(
        self, names: Iterable[str], do: Callable[[Syncs[T]], Coroutine[None, None, None]]
    ) -> None:
        by_account: dict[str, list[AccountSync[T]]] = {}
        for name in names:
            if name not in self.syncs:
                raise ConfigurationError(f"there is no sync {name!r} here")
            by_account.setdefault(self.syncs[name].account, []).append(self.syncs[name])
        try:
            async with asyncio.TaskGroup() as group:
                for syncs in by_account.values():
                    group.create_task(do(syncs))
        except BaseExceptionGroup as raised:
            first = raised.exceptions[0]
            raise first from first.__cause__

    async def _for_ever(self, syncs: Syncs[T]) -> None:
        while True:
            await self._learn(syncs)
            left_s = {sync.name: self._left_s(sync) for sync in syncs}
            due = [name for name, left in left_s.items() if left <= 0]
            if due:
                await self._turn(self.syncs[self._agenda.first_of(due)])
            else:  # what another program does to one of them is seen within its pause
                await self._agenda.sleep(min(*left_s.values(), *(sync.every_s for sync in syncs)))

    async def _learn(self, syncs: Syncs[T]) -> None:
        """Learn of each what it brings where: only then can the log tell when it is due."""
        for sync in syncs:
            if sync.route is None and self._left_s(sync) <= 0:
                trouble = await self._learned(sync)
                if trouble is not None:
                    self._put_off(sync, trouble, sync.every_s)

    async def _rejects_once(self, syncs: Syncs[T]) -> None:
        await self._once(syncs, AccountSync.rejects_taken_up)

    async def _once(self, syncs: Syncs[T], begin: Begin[T] = AccountSync.taken_up) -> None:
        for sync in syncs:
            while (process := await self._turn(sync, begin)) is not None and process.is_active:
                await self._agenda.sleep(self._agenda.left_s(sync.name, process, every_s=sync.every_s))

    def _left_s(self, sync: AccountSync[T]) -> float:
        """Return how long it is until a sync is due; a while if it cannot be told now."""
        if sync.route is None:
            return self._agenda.left_s(sync.name, None, every_s=sync.every_s)
        try:
            process = last_process(self.log, sync.route)
        except LogUnwritable as held:
            self._troubles.tell(sync.name, held)
            return BUSY_S
        return self._agenda.left_s(sync.name, process, every_s=sync.every_s)

    # ── a turn ───────────────────────────────────────────────────────────────────────────────

    async def _turn(self, sync: AccountSync[T], begin: Begin[T] = AccountSync.taken_up) -> Process | None:
        """Work on a sync for a while; return its process, or `None` where there is none, or not now."""
        async with self._slots.taken(sync.account):
            self._agenda.begin_turn(sync.name)
            worked = await self._attempted(sync, begin)
        if worked is None:
            return None
        if not worked.process.is_active:
            self._on_turn(sync, worked.process)
        return worked.sweep or worked.process

    async def _attempted(self, sync: AccountSync[T], begin: Begin[T]) -> _Worked | None:
        try:
            return await self._worked_on(sync, begin)
        except BUSY as busy:
            self._put_off(sync, busy, BUSY_S)
        except LogError:
            raise  # a log that no later turn finds mended
        except SyncfsmError as error:  # somebody may mend it meanwhile, and the others go on
            self._put_off(sync, error, sync.every_s)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            self._put_off(sync, _broken(error), sync.every_s)  # what is plugged in was, and not we
        except Exception as error:  # noqa: BLE001 - a hook's, or that of whoever makes the engine
            self._put_off(sync, _broken(error), sync.every_s)
        return None

    async def _worked_on(self, sync: AccountSync[T], begin: Begin[T]) -> _Worked | None:
        async with sync.engine() as engine:
            self._check_route(sync)
            begun = await patiently(self.log, self._clock, begin, sync, engine)
            if begun is None:
                return None
            process = await engine.run(begun.id, leaves=self._leaves(sync, begun))
            sweep = await patiently(self.log, self._clock, engine.start_sweep, process)
            self._troubles.forget(sync.name)
            return _Worked(process, sweep)

    def _check_route(self, sync: AccountSync[T]) -> None:
        alike = next(other for other in self.syncs.values() if other.route == sync.route)
        if alike is not sync:
            sync.route = None  # it has none of its own
            raise ConfigurationError(f"{sync.name} and {alike.name} bring the same into the same sink")

    def _leaves(self, sync: AccountSync[T], begun: Process) -> Leaves:
        """Return what says that a process is to be left: it has to wait, or others are to have their turn."""
        ends_at = self._agenda.now() + timedelta(seconds=self._slice_s)
        # What is over here may not be so for a new engine, which goes by the time of day: let it wait.
        is_over = begun.retry is not None and self._agenda.left_s(sync.name, begun, every_s=0.0) <= 0
        waits_s_max = chain([inf] if is_over else [], repeat(WAIT_S_MAX))
        return lambda wait_s: (
            wait_s > next(waits_s_max) or (self._agenda.now() >= ends_at and self._others_wait(sync))
        )

    def _others_wait(self, sync: AccountSync[T]) -> bool:
        """Whether another account waits for a place, or another sync of this one is due."""
        ours = (other for other in self.syncs.values() if other.account == sync.account and other is not sync)
        return self._slots.is_waited_for or any(self._left_s(other) <= 0 for other in ours)

    def _put_off(self, sync: AccountSync[T], error: SyncfsmError, pause_s: float) -> None:
        self._agenda.put_off(sync.name, pause_s)
        self._troubles.tell(sync.name, error)


class _Worked(NamedTuple):
    """What came of a turn: the process, and the sweep that is to follow it."""

    process: Process
    sweep: Process | None


def _broken(error: BaseException) -> BrokenContract:
    return BrokenContract(raised_words("what a sync is made with", error))


def _is_cancelled() -> bool:
    """Whether somebody cancelled the task that this runs in, and not merely what it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0

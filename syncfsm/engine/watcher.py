"""Syncing again and again: an initial sync where none was completed, then an ongoing one every so often."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest, with_own_limits
from syncfsm.errors import (
    ActiveSync,
    AppendInDoubt,
    BrokenContract,
    LogUnwritable,
    NotActive,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.outside.clock import Clock, SteadyClock, SystemClock
from syncfsm.outside.safe_words import raised_words

T = TypeVar("T")

BUSY_S = 5.0
"""How long to wait where another sync of the object is active, such as one of webhooks: they are short."""


class Watcher(Generic[T]):
    """Takes a turn every so often. A failure waits for the next turn, which goes on where it stopped.

    Args:
        make_engine: Makes the engine of a turn; closed after it.
        every_s: From the beginning of a turn to that of the next, which comes at once if one takes longer.
        page_size: Records in a page. See `SyncRequest`.
        order: Which records come first.
        options: Rules and limits; the source's own if `None`. An active process keeps its own.
        clock: Time; the machine's if `None`.
        on_turn: Called with the last state of each turn's process, complete or failed.
        on_trouble: Called with what kept a turn from beginning or going on.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine[T]],
        *,
        every_s: float,
        page_size: int | None = None,
        order: Order | None = None,
        options: Options | None = None,
        clock: Clock | None = None,
        on_turn: Callable[[Process], None] = lambda _process: None,
        on_trouble: Callable[[SyncfsmError], None] = lambda _error: None,
    ) -> None:
        self._make_engine = make_engine
        self._every_s = every_s
        self._request = SyncRequest(mode="ongoing", page_size=page_size, order=order, options=options)
        self._clock = SteadyClock(clock or SystemClock())
        self._on_turn = on_turn
        self._on_trouble = on_trouble

    async def run(self, *, turns_max: int | None = None) -> None:
        """Take turns until the task is cancelled, or `turns_max` of them; what is under way stays resumable.

        Raises:
            ConfigurationError: The page size, a limit, or the order of what is to go on cannot work.
        """
        turns = 0
        while turns_max is None or turns < turns_max:
            turns += 1
            began = self._clock.now()
            await self.turn()
            took_s = (self._clock.now() - began).total_seconds()
            await self._clock.sleep(max(0.0, self._every_s - took_s))

    async def turn(self) -> Process | None:
        """Sync once; return the last state, or `None` where something kept it from that."""
        try:
            process = await self._sync()
        except (
            LogUnwritable,
            AppendInDoubt,
            NotActive,
            VersionConflict,
        ) as trouble:  # full, or another was faster
            self._on_trouble(trouble)
            return None
        except SyncfsmError:
            raise  # a setting, or a log, that no later turn finds mended
        except Exception as error:  # noqa: BLE001 - a hook's, or that of whoever makes the engine
            self._on_trouble(BrokenContract(raised_words("what a sync is made with", error)))
            return None
        self._on_turn(process)
        return process

    async def _sync(self) -> Process:
        """Sync once, as soon as no other sync of the object is active."""
        async with self._make_engine() as engine:
            while True:
                request = with_own_limits(self._request, partial(engine.to_go_on_with, "ongoing"))
                try:
                    return await engine.sync(request)
                except ActiveSync as busy:
                    self._on_trouble(busy)
                    await self._clock.sleep(BUSY_S)

"""Virtual time: a clock that stands still while code runs and jumps when everybody waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When every simulation begins."""


class VirtualClock:
    """A `syncfsm.clock.Clock` over the time of the running event loop. Use within `run_virtual`.

    The loop tells its time in a float, which is exact to the microsecond for longer than anything lasts here.
    """

    def now(self) -> datetime:
        """Return the virtual moment, UTC."""
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())

    def monotonic(self) -> float:
        """Return the seconds since the loop began."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass; it costs none of ours."""
        await asyncio.sleep(seconds)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, from `EPOCH` on, and return what it returns."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


TICK_S = 1e-6
"""What virtual time is counted in. A shorter wait takes one tick more than it rounds to, so that it ends."""


class _Jumps(selectors.DefaultSelector):
    """What an event loop waits with: where only time would pass, it passes at once.

    The time is whole microseconds, so that no sum of waits drifts.

    Attributes:
        now_us: The time.
        threads: How many calls are under way in threads, which take real time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what has come from outside; else let so many seconds pass."""
        is_jump = timeout is not None and not self.threads
        ready = super().select(0 if is_jump else timeout)
        if timeout and not ready:
            self.now_us += round(timeout * 1_000_000) + (timeout < TICK_S)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while code runs and jumps when everybody waits."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Return the virtual seconds since the loop began."""
        return self._jumps.now_us / 1_000_000

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Let a thread do something; while it does, time passes as it does outside."""
        called = super().run_in_executor(executor, func, *args)
        self._jumps.threads += 1
        called.add_done_callback(self._returned)
        return called

    def _returned(self, _: asyncio.Future[Any]) -> None:
        self._jumps.threads -= 1

"""Virtual time: a clock that stands still while code runs and jumps when everybody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import looptime

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When every simulation begins."""


class VirtualClock:
    """A `syncfsm.clock.Clock` over the time of the running event loop. Use within `run_virtual`.

    The loop keeps time to the nanosecond in a float, which holds for half a year.
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
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    # Nothing here waits for the outside, so time may jump at once: no idle cycles before it does.
    return looptime.new_event_loop(start=0, noop_cycles=0)

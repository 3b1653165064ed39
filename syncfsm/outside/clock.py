"""Time, passed in.

Nothing in syncfsm asks the machine what time it is except through a `Clock`, so that the same
engine runs in production time and in the simulator's virtual time. What is written down is the time of
day, which is set back and ahead as machines sleep and are put right; what is waited for goes by a
`SteadyClock`, which only goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the engine, the sources and the sinks need to know of time.

    A clock may have a further method, `monotonic() -> float`: seconds that only go on, whatever is done to
    the time of day. See `SteadyClock`, which does without where there is none.
    """

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time."""
        ...


class SystemClock:
    """The machine's clock and asyncio's sleep."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only go on, from some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(seconds)


_TIMERS_ARE_OFF = timedelta(milliseconds=20)


class SteadyClock:
    """A clock that only goes on, by one whose time of day may be set back or ahead.

    It begins at the time of day, and goes on by the other clock's `monotonic`. Where its class has none, it
    goes on with the time of day, and stands still where that is set back. Either way a sleep counts for at
    least as long as was asked for, so that nobody who has slept enough is sent to sleep again; what it lacks
    by no more than timers are off is slept once more.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic: Callable[[], float] | None = None
        if hasattr(type(clock), "monotonic"):  # of its class: what answers to any name has none
            self._monotonic = getattr(clock, "monotonic")  # noqa: B009 - no part of the protocol
        self._began: tuple[datetime, float] | None = None
        self._last: datetime | None = None
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the moment up to which it has gone on, UTC."""
        now = self._by_the_other()
        if self._last is not None:
            self._ahead += max(self._last - now, timedelta(0))
        self._last = now
        return now + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Let the other clock sleep."""
        awake_at = self.now() + timedelta(seconds=seconds)
        await self._clock.sleep(seconds)
        lacking = awake_at - self.now()
        if lacking > _TIMERS_ARE_OFF:
            self._ahead += lacking

    def _by_the_other(self) -> datetime:
        if self._monotonic is None:
            return self._clock.now()
        seconds = self._monotonic()
        if self._began is None:
            self._began = (self._clock.now(), seconds)
        began_at, began_s = self._began
        return began_at + timedelta(seconds=seconds - began_s)

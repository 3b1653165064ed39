"""A rate limit in the injected clock's time: never more than so many requests in any one second.

It goes by a clock that is never set back, or a limit of a second could wait for hours.

The server counts when requests arrive, not when they are allowed to leave. What is known of the difference
is told to the limiter: a call that had to connect first counts from when it was sent. What is not known, how
much they bunch up on the way, a window a little longer than its second leaves room for.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from syncfsm.outside.clock import Clock, SteadyClock

WINDOW_S = 1.0


class Call:
    """One call that was let through; `at` is when it counts."""

    __slots__ = ("at",)

    def __init__(self, at: datetime) -> None:
        self.at = at


class RateLimiter:
    """Lets `per_s` calls through in any window of `window_s`, and makes the next ones wait."""

    def __init__(self, per_s: int, clock: Clock, window_s: float = WINDOW_S) -> None:
        assert per_s > 0, "a limit of nothing lets nothing through"
        self._clock = SteadyClock(clock)
        self._window = timedelta(seconds=window_s)
        self._recent: deque[Call] = deque(maxlen=per_s)
        self._per_s = per_s

    async def wait(self) -> Call:
        """Return when one more call is within the limit, and count it from now; or from later, if told."""
        while (pause_s := self._pause_s()) > 0:
            await self._clock.sleep(pause_s)
        call = Call(self._clock.now())
        self._recent.append(call)
        return call

    def count_from_now(self, call: Call) -> None:
        """Let a call count from now: it had to connect first."""
        call.at = self._clock.now()

    def _pause_s(self) -> float:
        if len(self._recent) < self._per_s:
            return 0.0
        return (self._recent[0].at + self._window - self._clock.now()).total_seconds()

"""A rate limit in the injected clock's time: never more than so many requests in any one second.

The server counts when requests arrive, not when they leave, and on the way they bunch up. Where a limit is
to be used to the full, a window a little longer than its second leaves room for that.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from syncfsm.clock import Clock

WINDOW_S = 1.0


class RateLimiter:
    """Lets `per_s` calls through in any window of `window_s`, and makes the next ones wait."""

    def __init__(self, per_s: int, clock: Clock, window_s: float = WINDOW_S) -> None:
        assert per_s > 0, "a limit of nothing lets nothing through"
        self._clock = clock
        self._window = timedelta(seconds=window_s)
        self._recent: deque[datetime] = deque(maxlen=per_s)
        self._per_s = per_s

    async def wait(self) -> None:
        """Return when one more call is within the limit, and count it."""
        while (pause_s := self._pause_s()) > 0:
            await self._clock.sleep(pause_s)
        self._recent.append(self._clock.now())

    def _pause_s(self) -> float:
        if len(self._recent) < self._per_s:
            return 0.0
        return (self._recent[0] + self._window - self._clock.now()).total_seconds()

"""Whether offsets are too deep: the server takes longer the larger they are, or refuses them.

It is told by answers: those near the first row against the last ones, the quickest of each, since any answer
can be slow. Where a source says how long it took by itself, what waited for its turn does not count.
"""

from __future__ import annotations

from collections import deque

SHALLOW_ROWS = 1000
"""Offsets up to here are near the first row."""

ANSWERS = 4
"""By so many of the last answers it is known how long one takes now."""

GROWN = 1.5
"""Times as long as near the first row, and …"""

GROWN_MS = 10
"""… milliseconds more: then answers take longer for their offsets."""


class Depth:
    """What answers have told of the cost of offsets."""

    def __init__(self) -> None:
        self._shallow_ms: int | None = None
        self._last_ms: deque[int] = deque(maxlen=ANSWERS)
        self._refused: int | None = None

    def answered(self, offset: int, took_ms: int) -> None:
        """Learn how long an answer took."""
        if offset > SHALLOW_ROWS:
            self._last_ms.append(took_ms)
        elif self._shallow_ms is None or took_ms < self._shallow_ms:
            self._shallow_ms = took_ms

    def begun_anew(self) -> None:
        """Forget how long the last answers took, since offsets are counted anew."""
        self._last_ms.clear()

    def is_refused(self, offset: float) -> bool:
        """Whether an offset would be refused, as far as is known."""
        return self._refused is not None and offset >= self._refused

    def refused(self, offset: int) -> None:
        """Learn that an offset was refused."""
        self._refused = offset if self._refused is None else min(self._refused, offset)

    def is_too_deep(self, offset: float) -> bool:
        """Whether an offset is better not asked for, if there is another way."""
        if self.is_refused(offset):
            return True
        if offset <= SHALLOW_ROWS or self._shallow_ms is None or len(self._last_ms) < ANSWERS:
            return False
        return min(self._last_ms) > GROWN * self._shallow_ms + GROWN_MS

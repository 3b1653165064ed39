"""Attio's limits: so many reads and writes a second, and so much score.

Which requests cost how much score is not known, only that sorts, filters and the number of records count,
that a query may cost too much for itself, and that those of ten seconds are summed up over all apps. The
formula here is an invention with these properties.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from syncfsm_simulator.fakes.attio.filters import conditions

WINDOW_S = 10


def score_of(body: Any, records: int) -> int:
    """Return what a query costs: nothing if it neither sorts nor filters, else more in larger objects."""
    if not isinstance(body, dict):
        return 0
    sorts = body.get("sorts")
    parts = (len(sorts) if isinstance(sorts, list) else 0) + conditions(body.get("filter", {}))
    return math.ceil(parts * records / 1000)


class SecondLimit:
    """So many in each second of the clock; the rest is told to come in the next one."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._second: datetime | None = None
        self._count = 0

    def refuse(self, now: datetime) -> datetime | None:
        """Count a request; return when to come again if it is one too many."""
        second = now.replace(microsecond=0)
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return second + timedelta(seconds=1) if self._count > self._per_s else None


class ScoreLimit:
    """So much score for one query, and so much within ten seconds.

    Args:
        query_max: The most for one query; no limit if `None`.
        window_max: The most within ten seconds; no limit if `None`.
        others_per_s: What other apps use up of that, each second.
    """

    def __init__(self, query_max: int | None, window_max: int | None, others_per_s: float) -> None:
        self._query_max = query_max
        self._window_max = window_max
        self._others = others_per_s * WINDOW_S
        self._spent: deque[tuple[datetime, int]] = deque()
        self._sum = 0

    def refuse(self, score: int, now: datetime) -> datetime | None:
        """Count a query's score; return when to come again if it is too much.

        A query that is too much for itself is told to come again as well, and never gets through.
        """
        if self._query_max is not None and score > self._query_max:
            return _next_second(now)
        if self._window_max is None or not score:
            return None
        self._forget(now)
        free = self._window_max - self._others - score
        if self._sum <= free:
            self._spent.append((now, score))
            self._sum += score
            return None
        return self._free_again(free, now)

    def _forget(self, now: datetime) -> None:
        while self._spent and self._spent[0][0] <= now - timedelta(seconds=WINDOW_S):
            self._sum -= self._spent.popleft()[1]

    def _free_again(self, free: float, now: datetime) -> datetime:
        """Return when enough of what was spent is ten seconds old."""
        total = self._sum
        for at, score in self._spent:
            total -= score
            if total <= free:
                return _next_second(at + timedelta(seconds=WINDOW_S))
        return _next_second(now)


def _next_second(at: datetime) -> datetime:
    return at.replace(microsecond=0) + timedelta(seconds=1)

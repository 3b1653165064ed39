"""How many requests for pages may be under way at once: as many as it takes, and no more than are stood.

It is found out as TCP does it: one more for each page that was used, half as many when a request failed. Up
to a number that somebody chose, or by itself (`auto`) to what Little's law asks for: the requests that a
source may be asked in a second, times the seconds that it takes to answer. More than that would only wait for
their turn within the rate limit. And what is held and under way is bounded by its bytes, since a page of 500
rows may be 300 KB or 30 MB.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Literal, TypeAlias

from syncfsm.errors import ConfigurationError
from syncfsm.sources.protocol import Page, Source

ReadAheadMax: TypeAlias = int | Literal["auto"]
"""The most requests under way at once; `auto` for as many as the source's rate and its latency ask for."""

READ_AHEAD_MAX = 64
"""More than that, and the pages held in memory are what limits."""

BYTES_MAX = 16 * 1024 * 1024
"""Of the rows that are held or under way, by the bytes of those that came before them."""

ANSWERS = 16
"""By the quickest of so many answers it is known how long one takes that did not have to wait its turn."""


def check_read_ahead(requests_max: ReadAheadMax) -> None:
    """Refuse a number of requests that cannot work.

    Raises:
        ConfigurationError: It is less than 1, or more than memory should hold.
    """
    if requests_max != "auto" and not 1 <= requests_max <= READ_AHEAD_MAX:
        raise ConfigurationError(
            f"read_ahead={requests_max} cannot work: choose auto, or from 1, which is one request after the "
            f"other, to {READ_AHEAD_MAX}"
        )


def requests_per_s(source: Source) -> int | None:
    """Return how often a source may be asked, if it stands being asked again before it has answered."""
    return getattr(source, "reads_per_s", None)


class Width:
    """How many requests may be under way at once.

    Args:
        requests_max: The most of them, the one that is needed now included.
        per_s: How many the source may be asked in a second; `None` if it has not said that it stands more
            than one at once, which is then all that `auto` asks for.
    """

    def __init__(self, requests_max: ReadAheadMax, per_s: int | None) -> None:
        is_auto = requests_max == "auto"
        self._per_s = per_s if is_auto else None
        self._most = 1 if is_auto and per_s is None else READ_AHEAD_MAX if is_auto else int(requests_max)
        self._width = 1.0
        self._careful_from = float(self._most)  # a width from which it grows slowly
        self._took_ms: deque[int] = deque(maxlen=ANSWERS)
        self._row_bytes = 0.0

    @property
    def is_one(self) -> bool:
        """Whether there is never more than one."""
        return self._most == 1

    @property
    def now(self) -> int:
        """How many may be under way now."""
        return int(min(self._width, self._needed()))

    def has_room(self, rows: int) -> bool:
        """Whether so many rows may be held and under way at once, by what those that came weigh."""
        return rows * self._row_bytes <= BYTES_MAX

    def _needed(self) -> int:
        """Return how many it takes to ask as often as may be; the most, where that is a number chosen."""
        if self._per_s is None:
            return self._most
        latency_s = min(self._took_ms, default=0) / 1000
        in_time = ceil(self._per_s * latency_s)
        return min(self._most, in_time + 2)  # one being used, one to be on the safe side

    def weigh(self, page: Page) -> None:
        """Learn what the rows of a page weigh, as soon as it comes."""
        if page.records:
            row_bytes = sum(len(record.raw) for record in page.records) / len(page.records)
            self._row_bytes = max(row_bytes, 0.9 * self._row_bytes)

    def used(self, took_ms: int) -> None:
        """Let more be under way, since a page was used; learn how long the source took for it."""
        self._took_ms.append(took_ms)
        step = 1.0 if self._width < self._careful_from else 1 / self._width
        self._width = min(float(self._most), self._width + step)

    def shrink(self) -> None:
        """Let fewer be under way, since a request failed."""
        self._careful_from = self._width = max(1.0, self._width / 2)

"""Reading rows part by part, so that nothing is held open where a reader stops, and memory has a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PART = 200
"""Rows of one query."""


def in_parts(
    part: Callable[[int], list[tuple[Any, ...]]], *, column: int = 0, after: int = 0
) -> Iterator[tuple[Any, ...]]:
    """Yield rows part by part, each by a query that goes on where the last one ended.

    Args:
        part: Returns the rows behind a number, in the order of it, `PART` of them at most.
        column: Where a row has its number.
        after: The number to begin behind.
    """
    while rows := part(after):
        yield from rows
        if len(rows) < PART:
            return
        after = rows[-1][column]

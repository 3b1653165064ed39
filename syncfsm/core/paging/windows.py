"""Which rows one request can ask for: those from any offset, or a page of any size by its number. No I/O.

An API that counts pages gives no rows but those from `(number - 1) * size` to `number * size`. With one size,
the page after the last row taken never holds a row that was taken, so nothing tells whether rows before it
went away meanwhile, and no second request can, since it sees another moment. But the size may be another one
with each request: there is nearly always one whose page begins a few rows before the frontier and ends a page
after it. That page is a window like any other, and the same rule judges it.
"""

from __future__ import annotations

from syncfsm.core.paging.pages import PageRule

Window = tuple[int, int]
"""The offset of the first row, and how many rows."""

NUMBERED_LIMIT_MIN = 20
"""With page sizes up to 20 there is one that does not divide a place, for any place below 232,792,560."""


def window(place: int, back: int, rule: PageRule) -> Window:
    """Return what to ask for, to see the rows from `place` on and `back` rows before it.

    Args:
        place: Where the next page begins, in rows.
        back: How many rows before it the window must begin, at least.
        rule: How the source's pages are asked for.
    """
    if rule.pagination == "page":
        return _numbered(place, min(back, place), rule)
    offset = max(0, place - back)
    return offset, min(rule.limit_max, place - offset + rule.page_size + 1)


def window_past(place: int, back: int, least: int, rule: PageRule) -> Window:
    """Return what to ask for, with a row after a place too: with fewer rows before it where there must be.

    Args:
        place: See `window`.
        back: How many rows before the place there should be.
        least: How many there must be.
        rule: See `window`.
    """
    wide = window(place, back, rule)
    return wide if sum(wide) > place else window(place, least, rule)


def reaches_past(place: int, back: int, rule: PageRule) -> bool:
    """Whether a window that begins `back` rows before a place also holds a row after it."""
    return sum(window(place, back, rule)) > place


def _numbered(place: int, back: int, rule: PageRule) -> Window:
    """Return the page that reaches farthest, to a whole page and a peek; of those, the smallest.

    No size smaller than the window is wide can reach so far, and one little larger nearly always does, so
    that few are tried, however large pages may be.
    """
    first, end = place - back, place + rule.page_size + 1
    for size in range(end - first, rule.limit_max + 1):
        offset = first // size * size
        if offset + size >= end:
            return offset, size
    pages = ((first // size * size, size) for size in range(1, rule.limit_max + 1))
    return max(pages, key=lambda page: (sum(page), -page[1]))

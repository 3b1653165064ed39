"""What a page of a source is to the core: its rows, and the instant that they are believed to be of."""

from __future__ import annotations

from datetime import datetime, timedelta

from syncfsm.core import decide as d
from syncfsm.core.paging.pages import PageRequest
from syncfsm.sources.protocol import Page

DATE_AHEAD_MAX = timedelta(days=366)
"""How far ahead of ours the clock of a source may be; further, and the earlier of both counts."""


def fetched(request: PageRequest, page: Page, elapsed_ms: int, *, is_followed: bool = False) -> d.Fetched:
    """Return the outcome of a request that was answered with a page, all of it."""
    return d.Fetched(
        request=request,
        rows=page.records,
        as_of=page.as_of,
        elapsed_ms=elapsed_ms,
        is_total=page.is_total,
        total=page.total,
        next_token=page.next_token,
        is_followed=is_followed,
        not_found=page.not_found,
    )


def believed(page: Page, now: datetime) -> datetime:
    """Return what instant a page is taken to be of; one ahead would leave out whoever comes until then.

    By the source's own clock it is never ahead, unless that is off by more than our own can be.
    """
    is_sound = page.is_dated and page.as_of - now < DATE_AHEAD_MAX
    return page.as_of if is_sound else min(page.as_of, now)

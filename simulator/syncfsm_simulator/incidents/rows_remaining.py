"""How many rows lay ahead of a sync, as far as its log can tell. Pure.

A page with fewer rows than asked for showed the end; any other says only that there were so many. From both,
looking forward, comes the number of rows that leaves the list alone as long as possible.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.history.replay import Moment


class Glimpse(msgspec.Struct, frozen=True):
    """What one page showed: with those delivered before it, so many new rows at least, or just so many."""

    rows: int
    is_end: bool


class Ahead:
    """Looks forward in the history of a process.

    Args:
        history: All its moments.

    Attributes:
        limit_max: The most rows that its source gave, if it seems to have cut pages in silence.
        is_total: Whether rows that tie came in a fixed order on all pages.
    """

    def __init__(self, history: Sequence[Moment]) -> None:
        self.limit_max = _cap(history)
        self.is_total = all(page.is_total for page in _pages(history))
        self._history = history
        self._taken: list[int] = []
        self._glimpses: dict[int, Glimpse] = {}
        taken = 0
        for index, moment in enumerate(history):
            event = moment.recorded.event
            self._taken.append(taken)
            if isinstance(event, e.PageFetched) and moment.before:
                rows = taken + new_rows(moment, event)
                is_short = event.count < min(event.limit, self.limit_max)
                self._glimpses[index] = Glimpse(rows, is_short and not is_followed(moment.before, event))
            elif isinstance(event, e.PageDelivered) and moment.before and moment.before.pending:
                taken += taken_rows(moment.before.pending)

    def rows_from(self, index: int) -> int | None:
        """Return how many rows should lie ahead at an event; `None` if no page tells."""
        seen = [(at, glimpse) for at, glimpse in self._glimpses.items() if at >= index]
        most = 0
        for _, glimpse in seen:
            most = max(most, glimpse.rows)
            if glimpse.is_end:
                break
        return most - self._taken[index] if seen else None

    def is_end(self, index: int) -> bool:
        """Whether the page at an event showed the end."""
        return self._glimpses[index].is_end

    def place_from(self, index: int) -> int | None:
        """Return where the next anchored page from an event on found the sync to be, in rows passed."""
        for moment in self._history[index:]:
            event = moment.recorded.event
            if isinstance(event, e.PageFetched) and moment.before:
                return moment.before.paging.offset - event.shift
            if isinstance(event, e.SyncResumed | e.SyncFailed):
                return None
        return None


def is_followed(process: Process, page: e.PageFetched) -> bool:
    """Whether a short page was known not to be the last, since rows from beyond it had come ahead."""
    asks_again = process.options.confirm_end or process.deletes_missing
    is_by_place = process.options.pagination != "cursor" and not process.record_ids
    is_short = page.count < page.limit and _is_last_row_taken(page)
    return is_short and page.has_more and is_by_place and not asks_again


def taken_rows(page: e.PageFetched) -> int:
    """Return how many rows of a page were taken, sound or not."""
    return len(page.record_ids) + len(page.malformed)


def new_rows(moment: Moment, page: e.PageFetched) -> int:
    """Return how many different new rows a page had."""
    assert moment.before is not None, "a page is fetched for a process"
    lead = moment.before.paging.offset - page.offset - page.shift
    return max(taken_rows(page), page.count - lead - twice(moment, page))


def twice(moment: Moment, page: e.PageFetched) -> int:
    """Return how many rows of a page came a second time; where ties are shuffled, these count as seen."""
    before = moment.before
    assert before is not None, "a page is fetched for a process"
    if not (before.paging.is_total and page.is_total):
        return 0
    lead = before.paging.offset - page.offset - page.shift
    end = page.count if page.next_cursor is None else page.next_cursor - page.offset
    return max(0, end - lead - taken_rows(page))


def _cap(history: Sequence[Moment]) -> int:
    """Return the most rows in an answer: those of the options, or what the source cut pages to."""
    pages = _pages(history)
    if any(_is_cut(moment) for moment in history):
        return max(2, *(page.count for page in pages))
    return max(moment.after.options.limit_max for moment in history)


def _is_cut(moment: Moment) -> bool:
    """Whether a page had fewer rows than asked for, though more followed that nobody had seen."""
    page = moment.recorded.event
    if not isinstance(page, e.PageFetched) or moment.before is None or is_followed(moment.before, page):
        return False
    return page.has_more and _is_last_row_taken(page) and page.count < page.limit


def _is_last_row_taken(page: e.PageFetched) -> bool:
    return page.next_cursor == page.offset + page.count


def _pages(history: Sequence[Moment]) -> list[e.PageFetched]:
    return [moment.recorded.event for moment in history if isinstance(moment.recorded.event, e.PageFetched)]

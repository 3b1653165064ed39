"""Where a page that was delivered leads to: the place of the next one, and whether it brought the sync on."""

from __future__ import annotations

from syncfsm.core import events as e
from syncfsm.core.paging.place import Frontier, Paging


def advanced(paging: Paging, page: e.PageFetched, *, is_by_cursor: bool) -> Paging:
    """Return where the next page begins, once a page is delivered."""
    gets_on = _gets_on_by_cursor(page) if is_by_cursor else _gets_on(paging, page)
    return Paging(
        offset=paging.offset if page.next_cursor is None else page.next_cursor,
        frontier=_frontier(paging.frontier, page),
        peek=page.peek,
        margin=page.margin,
        stalled_rows=0 if gets_on else paging.stalled_rows + page.count,
        has_more=page.has_more,
        is_total=paging.is_total and page.is_total,
        token=page.next_token,
        stalled_pages=0 if gets_on else paging.stalled_pages + 1,
        from_key=page.from_key or None,
    )


def _gets_on(paging: Paging, page: e.PageFetched) -> bool:
    """Whether a page brings the sync on: with new rows, or to a place behind rows that have none."""
    moves = page.next_cursor is not None and page.next_cursor > paging.offset
    return bool(page.record_ids) or (bool(page.malformed) and moves)


def _gets_on_by_cursor(page: e.PageFetched) -> bool:
    """Whether a page has rows with a place in the order; the others count as new each time they come."""
    return bool(page.record_ids) or page.frontier is not None


def _frontier(before: Frontier | None, page: e.PageFetched) -> Frontier | None:
    """Return the frontier after a page; its ids add up while the sort key stays the same."""
    mark = page.frontier
    if mark is None:
        return before
    ids = frozenset(mark.ids)
    if before is not None and before.key == mark.key:
        ids |= before.ids
    return Frontier(key=mark.key, ids=ids)

"""Pages by cursors: each page says by which one the next is asked for. No I/O.

What a cursor looks like is the source's business: a number, a token, anything short. It is followed as it
came, one page at a time, until there is none; that alone is the end, however few rows a page has. It must
mark a place in the order, as "after this id" does, and not count rows: then nothing that moves can hide a
record, and there is nothing to peek at and nowhere to step back to.

A page comes again after a crash or a failure, with another size perhaps, and only from where the frontier
was: so rows that share its key may come twice, and are dropped, but none may come from before it. One that
does was never taken, for all that is known here, and neither may others have been: pages are not in order
among each other, or their cursors lead back, and nothing that follows could be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncfsm.core.paging.pages import PageRequest, PageRule, Row, Taken, Unsafe
from syncfsm.core.paging.place import Paging
from syncfsm.core.paging.rows import first_disorder, fresh_rows, malformed_rows, mark_of


def plan_by_cursor(paging: Paging, rule: PageRule) -> PageRequest:
    """Return the request for the page that the last one led to."""
    return PageRequest(
        cursor=paging.cursor,
        offset=paging.offset,
        limit=rule.page_size,
        order=rule.order,
        since=rule.since,
        changed_by=rule.changed_by,
        token=paging.token,
    )


def accept_by_cursor(
    paging: Paging, request: PageRequest, rows: Sequence[Row], rule: PageRule, next_token: str | None
) -> Taken | Unsafe:
    """Take all new rows of a page, unless they come out of order or lead to the same page again."""
    disorder = first_disorder(rows, rule) or _first_behind(paging, rows, rule)
    if disorder is not None:
        return disorder
    if next_token is not None and next_token == request.token:
        return Unsafe(reason="cursor_repeats", what="answered with the cursor that it was asked with")
    taken = [rows[index] for index in fresh_rows(paging.frontier, rows, rule)]
    return Taken(
        record_ids=tuple(row.id for row in taken if not row.problem),
        malformed=malformed_rows(taken),
        frontier=mark_of(taken),
        peek=None,
        has_more=next_token is not None,
        next_cursor=None if next_token is None else paging.offset + len(taken),
        margin=0,
        shift=0,
        next_token=next_token,
    )


def _first_behind(paging: Paging, rows: Sequence[Row], rule: PageRule) -> Unsafe | None:
    """Return which row lies before the frontier, if one does."""
    frontier = paging.frontier
    if frontier is None:
        return None
    for row in rows:
        if row.id and row.key and rule.is_before(row.key, frontier.key):
            what = (
                f"returned {row.id} on a page behind those that it comes before: its pages are not in the "
                f"order asked for ({rule.order}), or its cursors lead back"
            )
            return Unsafe(reason="unordered", what=what)
    return None

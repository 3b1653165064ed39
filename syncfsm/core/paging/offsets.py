"""Which rows to ask for, and which of those that came to take: the page rule, without I/O.

The source says only `{"data": [...]}` and its rows move while we page. With rows in the order of a key
that never changes, this rule takes every row that exists from the first request to the last exactly once,
whatever is inserted, updated or deleted meanwhile:

- The *frontier* is the sort key of the last row taken, with the ids taken that share it. A row is *seen* if
  it lies before the frontier, or shares its key and is among those ids.
- A page is *anchored* if it starts at offset 0, or its first row is the peek or is seen: then no unseen
  row lies before it. Its seen rows are dropped and the rest is taken.
- A page that is not anchored means that rows before it went away: step back, farther each time, until one is.
- The *peek* is the extra row asked for: it tells that there is more, and anchors the next page without an
  overlap. Where there is no peek, the next page begins one row earlier, at a row that is seen.
- The *margin* asks again for a few rows before the cursor while rows are going away, so that a small shift
  costs no request of its own.
- Where the order is not *total*, rows that share a key come in another order each time. Then a page is
  anchored only if it starts at offset 0 or before all rows that share the frontier's key, and each request
  goes back that far. If they are too many for one request, no page can be trusted: the sync fails.

Offsets are counted in rows as they were when the page came: `cursor` is always where the frontier lies now.

Where the key is one that changes, as the time of the last change does, a row that changes meanwhile moves to
the newest end and may be missed; its change is then later than the first request, so that the next ongoing
sync brings it.

Pages that have numbers are such windows too, if their size may change: `windows.py`. One that is cut shorter
than asked for begins elsewhere; so a short one with new rows is the end only where they lie as expected.
Simpler rules are for records asked for by their ids (`by_id.py`), and for sources whose pages name the next
one (`cursors.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from syncfsm.core.paging.by_id import accept_listed, plan_listed
from syncfsm.core.paging.cursors import accept_by_cursor, plan_by_cursor
from syncfsm.core.paging.pages import PageRequest, PageRule, Row, Shifted, Taken, Unsafe, Verdict
from syncfsm.core.paging.place import Frontier, FrontierMark, Paging
from syncfsm.core.paging.rows import first_disorder, fresh_rows, is_seen, malformed_rows, mark_of
from syncfsm.core.paging.windows import Window, reaches_past, window, window_past


def plan(paging: Paging, rule: PageRule) -> PageRequest:
    """Return the next request."""
    if rule.record_ids:
        return plan_listed(paging, rule)
    if rule.pagination == "cursor":
        return plan_by_cursor(paging, rule)
    offset, limit = _window(paging, rule)
    return PageRequest(
        cursor=paging.cursor,
        offset=offset,
        limit=limit,
        order=rule.order,
        since=rule.since,
        changed_by=rule.changed_by,
        from_key=paging.from_key,
    )


def _window(paging: Paging, rule: PageRule) -> Window:
    """Return the rows to ask for; without a margin where none is wide enough for it and a row more."""
    place = paging.offset
    if paging.step_back:
        return window(place, paging.step_back, rule)
    return window_past(place, _overlap(paging, rule), _anchor(paging), rule)


def _overlap(paging: Paging, rule: PageRule) -> int:
    """Return how many rows before the cursor to ask for again."""
    back = _anchor(paging)
    if paging.is_total:
        return max(paging.margin, back)
    return back + min(paging.margin, (rule.limit_max - back) // 2)


def _anchor(paging: Paging) -> int:
    """Return how many rows before the cursor a page must hold to be anchored, while nothing moves."""
    if paging.is_total:
        return 0 if paging.peek else 1
    return tied(paging.frontier) + 1


def tied(frontier: Frontier | None) -> int:
    """Return how many rows taken share the frontier's key; they are the last before the cursor."""
    return len(frontier.ids) if frontier else 0


def accept(
    paging: Paging,
    request: PageRequest,
    rows: Sequence[Row],
    rule: PageRule,
    *,
    is_total: bool = True,
    next_token: str | None = None,
    is_followed: bool = False,
    not_found: Collection[str] | None = None,
) -> Verdict:
    """Return what to do with the rows that answered `request`.

    `is_total` says whether these rows, where they tie, came in a fixed order; all rows before must have, too.
    `next_token` is the cursor that came with them. `is_followed` says whether rows beyond them have come
    ahead. `not_found` are the records asked for of which the source says that there are none such.
    """
    if request.record_ids:
        return accept_listed(request, rows, rule, not_found)
    if rule.pagination == "cursor":
        return accept_by_cursor(paging, request, rows, rule, next_token)
    paging = replace(paging, is_total=paging.is_total and is_total)
    disorder = first_disorder(rows, rule)
    if disorder is not None:
        return disorder
    first = first_placed(rows)
    if not is_anchored(paging, request, first, rule):
        back = _lead(paging, request)
        return Shifted(
            expected=paging.peek,
            found=first.id if first else None,
            step_back=max(rule.page_size, 2 * back),
        )
    taken = _take(paging, request, rows, rule, is_followed=is_followed)
    return _doubt(paging, taken, rule) or taken


def _doubt(paging: Paging, taken: Taken, rule: PageRule) -> Unsafe | None:
    """Return why the next page could not be trusted, where rows that tie have no fixed order."""
    if paging.is_total or taken.next_cursor is None:
        return None
    if rule.confirm_end:
        return _shuffled("it may cut them short anywhere (confirm_end)")
    tied = _tied_after(paging.frontier, taken.frontier)
    if reaches_past(taken.next_cursor, tied + 1, rule):
        return None
    return _shuffled(f"{tied} of one key are too many for one request (limit_max {rule.limit_max})")


def _shuffled(why: str) -> Unsafe:
    what = f"returns the records of one sort key in another order each time, and {why}"
    return Unsafe(reason="ties", what=what)


def _tied_after(frontier: Frontier | None, mark: FrontierMark | None) -> int:
    """Return how many rows taken will share the frontier's key once a page is delivered."""
    if mark is None or (frontier and frontier.key == mark.key):
        return tied(frontier) + (len(mark.ids) if mark else 0)
    return len(mark.ids)


def first_placed(rows: Sequence[Row]) -> Row | None:
    """Return the first row of a page that has a place in the order."""
    return next((row for row in rows if row.id and row.key), None)


def is_anchored(paging: Paging, request: PageRequest, first: Row | None, rule: PageRule) -> bool:
    """Whether no row that was not taken lies before a page whose first row is that."""
    if request.offset == 0 and _begins_before(paging.frontier, request.from_key, rule):
        return True
    if first is None:
        return False
    if not paging.is_total:
        return paging.frontier is not None and rule.is_before(first.key, paging.frontier.key)
    return first.id == paging.peek or is_seen(first, paging.frontier, rule)


def _begins_before(frontier: Frontier | None, from_key: str | None, rule: PageRule) -> bool:
    """Whether the rows from a key on hold the frontier, or are all rows."""
    return from_key is None or (frontier is not None and not rule.is_before(frontier.key, from_key))


def _take(
    paging: Paging, request: PageRequest, rows: Sequence[Row], rule: PageRule, *, is_followed: bool
) -> Taken:
    fresh = fresh_rows(paging.frontier, rows, rule)
    if rule.proves_end and _came_before(paging, request, rows, fresh):
        fresh = []
    is_full = len(rows) >= request.limit
    count = min(rule.page_size, len(fresh))
    taken = [rows[index] for index in fresh[:count]]
    has_peek = count < len(fresh)
    has_more = has_peek or is_full or (rule.confirm_end and _may_go_on(rows, fresh))
    has_more = has_more or (is_followed and bool(fresh))
    has_more = has_more or (rule.proves_end and not _is_end(paging, request, rows, fresh))
    shift = _shift(paging, request, fresh, rows)
    has_more = has_more or (rule.pagination == "page" and shift != 0 and bool(fresh))
    return Taken(
        record_ids=tuple(row.id for row in taken if not row.problem),
        malformed=malformed_rows(taken),
        frontier=mark_of(taken),
        peek=(rows[fresh[count]].id or None) if has_peek and paging.is_total else None,
        has_more=has_more,
        next_cursor=(request.offset + _place(paging, fresh, count, rows)) if has_more else None,
        margin=_margin(paging.margin, shift, rule) if is_full or has_peek else 0,
        shift=shift,
    )


def _may_go_on(rows: Sequence[Row], fresh: Sequence[int]) -> bool:
    """Whether a short page may have been cut by a cap: only a lone seen row proves that nothing follows."""
    return bool(fresh) or len(rows) > 1


def _came_before(paging: Paging, request: PageRequest, rows: Sequence[Row], fresh: Sequence[int]) -> bool:
    """Whether the only rows that seem new have no place in the order, and came with the page before.

    Where the end is asked for again, and there are no more rows than there were, they are the same.
    """
    has_place = any(rows[index].id and rows[index].key for index in fresh)
    return not has_place and len(rows) <= _lead(paging, request)


def _is_end(paging: Paging, request: PageRequest, rows: Sequence[Row], fresh: Sequence[int]) -> bool:
    """Whether a short page proves that nothing follows: it has all rows up to the place, and none is new.

    Then the row after the last one taken was asked for, and there is none. A page that may have been short
    for a moment only proves nothing.
    """
    return not fresh and len(rows) >= _lead(paging, request)


def _lead(paging: Paging, request: PageRequest) -> int:
    """Return how many rows that were taken a request asks for again, if nothing moved.

    Where offsets are counted from another row than before, these are the ones of the frontier's key.
    """
    is_alike = request.from_key == paging.from_key
    return paging.offset - request.offset if is_alike else tied(paging.frontier) - request.offset


def _place(paging: Paging, fresh: Sequence[int], count: int, rows: Sequence[Row]) -> int:
    """Return how many rows of the page lie before the next one to take, when `count` are taken.

    Where ties are shuffled, seen rows may lie after it; they count as lying before, as they might have.
    """
    if not paging.is_total:
        return len(rows) - len(fresh) + count
    if count < len(fresh):
        return fresh[count]
    return len(rows)


def _shift(paging: Paging, request: PageRequest, fresh: Sequence[int], rows: Sequence[Row]) -> int:
    """Return how many rows before the cursor went away since it was set; negative if some came.

    That can be told only where both were counted from the same row.
    """
    if request.from_key != paging.from_key:
        return 0
    expected = paging.offset - request.offset
    return expected - _place(paging, fresh, 0, rows)


def _margin(margin: int, shift: int, rule: PageRule) -> int:
    """Return twice the last shift, or one row less than before, within a page and the source's limit."""
    ceiling = min(rule.page_size, rule.limit_max // 2)
    return max(0, min(ceiling, max(2 * shift, margin - 1)))

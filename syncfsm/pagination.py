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
sync brings it. Records asked for by their ids have a simpler rule: `listing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from syncfsm.events import FrontierMark, Reject
from syncfsm.listing import accept_listed, plan_listed
from syncfsm.pages import PageRequest, Row, Rule, Shifted, Taken, Unsafe, Verdict
from syncfsm.process import Process
from syncfsm.state import Frontier, Paging


def rule_of(process: Process) -> Rule:
    """Return the page rule of a process, from its options."""
    options = process.options
    plain = options.termination == "short_page"
    return Rule(
        page_size=process.page_size,
        order=process.order,
        limit_max=process.page_size if plain else options.limit_max,
        confirm_end=options.confirm_end,
        record_ids=process.record_ids,
        deletes_gone=process.mode == "webhook",
        since=process.since,
        changed_by=process.changed_by,
    )


def plan(paging: Paging, rule: Rule) -> PageRequest:
    """Return the next request."""
    if rule.record_ids:
        return plan_listed(paging, rule)
    back = paging.step_back or _overlap(paging, rule)
    offset = max(0, paging.offset - back)
    limit = min(rule.limit_max, paging.offset - offset + rule.page_size + 1)
    return PageRequest(
        cursor=paging.cursor,
        offset=offset,
        limit=limit,
        order=rule.order,
        since=rule.since,
        changed_by=rule.changed_by,
    )


def _overlap(paging: Paging, rule: Rule) -> int:
    """Return how many rows before the cursor to ask for again."""
    if paging.is_total:
        return max(paging.margin, 0 if paging.peek else 1)
    back = _tied(paging.frontier) + 1
    return back + min(paging.margin, (rule.limit_max - back) // 2)


def _tied(frontier: Frontier | None) -> int:
    """Return how many rows taken share the frontier's key; they are the last before the cursor."""
    return len(frontier.ids) if frontier else 0


def accept(
    paging: Paging, request: PageRequest, rows: Sequence[Row], rule: Rule, *, is_total: bool = True
) -> Verdict:
    """Return what to do with the rows that answered `request`.

    `is_total` says whether these rows, where they tie, came in a fixed order; all rows before must have, too.
    """
    if request.record_ids:
        return accept_listed(request, rows, rule)
    paging = replace(paging, is_total=paging.is_total and is_total)
    placed = [row for row in rows if row.id and row.key]
    disorder = _first_disorder(placed, rule)
    if disorder is not None:
        return disorder
    first = placed[0] if placed else None
    if not _is_anchored(paging, request, first, rule):
        back = paging.offset - request.offset
        return Shifted(
            expected=paging.peek,
            found=first.id if first else None,
            step_back=max(rule.page_size, 2 * back),
        )
    taken = _take(paging, request, rows, rule)
    return _doubt(paging, taken, rule) or taken


def _first_disorder(placed: Sequence[Row], rule: Rule) -> Unsafe | None:
    for row, following in pairwise(placed):
        if rule.is_before(following.key, row.key):
            what = f"returned {row.id} before {following.id}, which is not the order asked for ({rule.order})"
            return Unsafe(reason="unordered", what=what)
    return None


def _doubt(paging: Paging, taken: Taken, rule: Rule) -> Unsafe | None:
    """Return why the next page could not be trusted, where rows that tie have no fixed order."""
    if paging.is_total or taken.next_cursor is None:
        return None
    if rule.confirm_end:
        return _shuffled("it may cut them short anywhere (confirm_end)")
    tied = _tied_after(paging.frontier, taken.frontier)
    if min(taken.next_cursor, tied + 1) < rule.limit_max:
        return None
    return _shuffled(f"{tied} of one key are too many for one request (limit_max {rule.limit_max})")


def _shuffled(why: str) -> Unsafe:
    what = f"returns the records of one sort key in another order each time, and {why}"
    return Unsafe(reason="ties", what=what)


def _tied_after(frontier: Frontier | None, mark: FrontierMark | None) -> int:
    """Return how many rows taken will share the frontier's key once a page is delivered."""
    if mark is None or (frontier and frontier.key == mark.key):
        return _tied(frontier) + (len(mark.ids) if mark else 0)
    return len(mark.ids)


def _is_anchored(paging: Paging, request: PageRequest, first: Row | None, rule: Rule) -> bool:
    if request.offset == 0:
        return True
    if first is None:
        return False
    if not paging.is_total:
        return paging.frontier is not None and rule.is_before(first.key, paging.frontier.key)
    return first.id == paging.peek or _is_seen(first, paging.frontier, rule)


def _is_seen(row: Row, frontier: Frontier | None, rule: Rule) -> bool:
    if frontier is None:
        return False
    return rule.is_before(row.key, frontier.key) or (row.key == frontier.key and row.id in frontier.ids)


def _take(paging: Paging, request: PageRequest, rows: Sequence[Row], rule: Rule) -> Taken:
    fresh = _fresh(paging.frontier, rows, rule)
    is_full = len(rows) >= request.limit
    count = min(rule.page_size, len(fresh))
    taken = [rows[index] for index in fresh[:count]]
    has_peek = count < len(fresh)
    has_more = has_peek or is_full or (rule.confirm_end and _may_go_on(rows, fresh))
    shift = _shift(paging, request, fresh, rows)
    return Taken(
        record_ids=tuple(row.id for row in taken if not row.problem),
        malformed=tuple(_reject(row) for row in taken if row.problem),
        frontier=_mark(taken),
        peek=(rows[fresh[count]].id or None) if has_peek and paging.is_total else None,
        has_more=has_more,
        next_cursor=(request.offset + _place(paging, fresh, count, rows)) if has_more else None,
        margin=_margin(paging.margin, shift, rule) if is_full or has_peek else 0,
        shift=shift,
    )


def _fresh(frontier: Frontier | None, rows: Sequence[Row], rule: Rule) -> list[int]:
    """Return the places of the rows not taken before, each id once.

    A row without id or key has no place in the order; it counts as seen if a seen row comes after it.
    """
    fresh: list[int] = []
    ids: set[str] = set()
    for index, row in enumerate(rows):
        if not (row.id and row.key):
            fresh.append(index)
        elif _is_seen(row, frontier, rule):
            fresh = [known for known in fresh if rows[known].id and rows[known].key]
        elif row.id not in ids:
            ids.add(row.id)
            fresh.append(index)
    return fresh


def _may_go_on(rows: Sequence[Row], fresh: Sequence[int]) -> bool:
    """Whether a short page may have been cut by a cap: only a lone seen row proves that nothing follows."""
    return bool(fresh) or len(rows) > 1


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
    """Return how many rows before the cursor went away since it was set; negative if some came."""
    expected = paging.offset - request.offset
    return expected - _place(paging, fresh, 0, rows)


def _margin(margin: int, shift: int, rule: Rule) -> int:
    """Return twice the last shift, or one row less than before, within a page and the source's limit."""
    ceiling = min(rule.page_size, rule.limit_max // 2)
    return max(0, min(ceiling, max(2 * shift, margin - 1)))


def _mark(taken: Sequence[Row]) -> FrontierMark | None:
    """Return the sort key of the last row taken, with the ids taken here that share it."""
    placed = [row for row in taken if row.id and row.key]
    if not placed:
        return None
    key = placed[-1].key
    return FrontierMark(key=key, ids=tuple(row.id for row in placed if row.key == key))


def _reject(row: Row) -> Reject:
    return Reject(record_id=row.id, reason=row.problem)

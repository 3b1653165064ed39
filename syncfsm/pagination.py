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

Offsets are counted in rows as they were when the page came: `cursor` is always where the frontier lies now.

A retry asks for *listed* records by their ids, a page of the list at a time, and none of the above applies:
offsets count in the list, it ends with the list, and a record that does not come is gone from the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from syncfsm.events import FrontierMark, Order, Reject, Value
from syncfsm.process import Process
from syncfsm.state import Frontier, Paging


class Row(Protocol):
    """What paging needs of a record. An empty id or key, or a problem, makes it malformed."""

    @property
    def id(self) -> str:
        """The record's id, unique within the source object."""
        ...

    @property
    def key(self) -> str:
        """The sort key; compared as text."""
        ...

    @property
    def problem(self) -> str:
        """Why the row cannot be delivered; empty if it can."""
        ...


GONE = "the source has no such record any more"
"""Why a record that was asked for by its id is rejected when it does not come."""


class PageRequest(Value, frozen=True):
    """One request for rows: `limit` of them from `offset`, in `order`. `cursor` is the frontier's place.

    With `record_ids`, those records only, in any order: `offset` is then the place in the list that they are
    from, which the source need not know, and `limit` is their number.
    """

    cursor: int | None
    offset: int
    limit: int
    order: Order
    record_ids: tuple[str, ...] = ()


class Taken(Value, frozen=True):
    """An anchored page: what to take of it, and where the next one begins."""

    record_ids: tuple[str, ...]
    malformed: tuple[Reject, ...]
    frontier: FrontierMark | None
    peek: str | None
    has_more: bool
    next_cursor: int | None
    margin: int
    shift: int


class Shifted(Value, frozen=True):
    """A page that is not anchored: what was expected first, what came, how far to go back."""

    expected: str | None
    found: str | None
    step_back: int


class Unordered(Value, frozen=True):
    """Rows that did not come in the order asked for: the rule cannot hold on such a source."""

    before: str
    after: str


class Unasked(Value, frozen=True):
    """A row that came though only others were asked for: the source does not know how to list records."""

    found: str


Verdict = Taken | Shifted | Unordered | Unasked


class Rule(Value, frozen=True):
    """What stays the same for all pages of a sync."""

    page_size: int
    order: Order
    limit_max: int  # the page size where a short page is the end, which leaves no room for a peek
    confirm_end: bool
    record_ids: tuple[str, ...]  # the only records to ask for; empty where all are

    def is_before(self, key: str, other: str) -> bool:
        """Whether a row with `key` comes before one with `other`."""
        return key > other if self.order == "newest" else key < other


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
    )


def plan(paging: Paging, rule: Rule) -> PageRequest:
    """Return the next request."""
    if rule.record_ids:
        return _plan_listed(paging, rule)
    back = paging.step_back or max(paging.margin, 0 if paging.peek else 1)
    offset = max(0, paging.offset - back)
    limit = min(rule.limit_max, paging.offset - offset + rule.page_size + 1)
    return PageRequest(cursor=paging.cursor, offset=offset, limit=limit, order=rule.order)


def _plan_listed(paging: Paging, rule: Rule) -> PageRequest:
    record_ids = rule.record_ids[paging.offset : paging.offset + rule.page_size]
    return PageRequest(
        cursor=paging.cursor,
        offset=paging.offset,
        limit=len(record_ids),
        order=rule.order,
        record_ids=record_ids,
    )


def accept(paging: Paging, request: PageRequest, rows: Sequence[Row], rule: Rule) -> Verdict:
    """Return what to do with the rows that answered `request`."""
    if request.record_ids:
        return _accept_listed(request, rows, rule)
    placed = [row for row in rows if row.id and row.key]
    disorder = _first_disorder(placed, rule)
    if disorder is not None:
        return disorder
    first = placed[0] if placed else None
    if not _is_anchored(paging, request, first, rule):
        return Shifted(
            expected=paging.peek,
            found=first.id if first else None,
            step_back=paging.step_back * 2 or rule.page_size,
        )
    return _take(paging, request, rows, rule)


def _accept_listed(request: PageRequest, rows: Sequence[Row], rule: Rule) -> Taken | Unasked:
    """Take the rows that came, in the order of the list; the other records of the list are rejected."""
    wanted = frozenset(request.record_ids)
    for row in rows:
        if row.id and row.id not in wanted:
            return Unasked(found=row.id)
    sound = {row.id for row in rows if not row.problem}
    problems = {row.id: row.problem for row in rows}
    end = request.offset + len(request.record_ids)
    has_more = end < len(rule.record_ids)
    return Taken(
        record_ids=tuple(record_id for record_id in request.record_ids if record_id in sound),
        malformed=tuple(
            Reject(record_id=record_id, reason=problems.get(record_id, GONE))
            for record_id in request.record_ids
            if record_id not in sound
        ),
        frontier=None,
        peek=None,
        has_more=has_more,
        next_cursor=end if has_more else None,
        margin=0,
        shift=0,
    )


def _first_disorder(placed: Sequence[Row], rule: Rule) -> Unordered | None:
    for row, following in pairwise(placed):
        if rule.is_before(following.key, row.key):
            return Unordered(before=row.id, after=following.id)
    return None


def _is_anchored(paging: Paging, request: PageRequest, first: Row | None, rule: Rule) -> bool:
    if request.offset == 0:
        return True
    return first is not None and (first.id == paging.peek or _is_seen(first, paging.frontier, rule))


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
        peek=(rows[fresh[count]].id or None) if has_peek else None,
        has_more=has_more,
        next_cursor=(request.offset + _place(fresh, count, rows)) if has_more else None,
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


def _place(fresh: Sequence[int], count: int, rows: Sequence[Row]) -> int:
    """Return how many rows of the page lie before the next one to take."""
    if count < len(fresh):
        return fresh[count]
    return len(rows)


def _shift(paging: Paging, request: PageRequest, fresh: Sequence[int], rows: Sequence[Row]) -> int:
    """Return how many rows before the cursor went away since it was set; negative if some came."""
    expected = paging.offset - request.offset
    return expected - (fresh[0] if fresh else len(rows))


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

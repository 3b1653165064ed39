"""What the page rules ask of rows: are they in order, which are new, how far do they reach? No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from syncfsm.core.paging.pages import PageRule, Row, Unsafe
from syncfsm.core.paging.place import Frontier, FrontierMark, Reject


def first_disorder(rows: Sequence[Row], rule: PageRule) -> Unsafe | None:
    """Return which two rows came in another order than the one asked for, if any did."""
    placed = [row for row in rows if row.id and row.key]
    for row, following in pairwise(placed):
        if rule.is_before(following.key, row.key):
            what = f"returned {row.id} before {following.id}, which is not the order asked for ({rule.order})"
            return Unsafe(reason="unordered", what=what)
    return None


def is_seen(row: Row, frontier: Frontier | None, rule: PageRule) -> bool:
    """Whether a row lies before the frontier, or shares its key and was taken."""
    if frontier is None:
        return False
    return rule.is_before(row.key, frontier.key) or (row.key == frontier.key and row.id in frontier.ids)


def fresh_rows(frontier: Frontier | None, rows: Sequence[Row], rule: PageRule) -> list[int]:
    """Return the places of the rows not taken before, each id once.

    A row without id or key has no place in the order; it counts as seen if a seen row comes after it.
    """
    fresh: list[int] = []
    ids: set[str] = set()
    for index, row in enumerate(rows):
        if not (row.id and row.key):
            fresh.append(index)
        elif is_seen(row, frontier, rule):
            fresh = [known for known in fresh if rows[known].id and rows[known].key]
        elif row.id not in ids:
            ids.add(row.id)
            fresh.append(index)
    return fresh


def mark_of(taken: Sequence[Row]) -> FrontierMark | None:
    """Return the sort key of the last row taken, with the ids taken here that share it."""
    placed = [row for row in taken if row.id and row.key]
    if not placed:
        return None
    key = placed[-1].key
    return FrontierMark(key=key, ids=tuple(row.id for row in placed if row.key == key))


def malformed_rows(taken: Sequence[Row]) -> tuple[Reject, ...]:
    """Return the rows that cannot be delivered, and why."""
    return tuple(Reject(record_id=row.id, reason=row.problem) for row in taken if row.problem)

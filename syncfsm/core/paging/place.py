"""Where a sync stands among the pages: how far its rows are taken, and where the next page begins."""

from __future__ import annotations

from syncfsm.core.value import Value


class FrontierMark(Value, frozen=True):
    """The sort key of the last row a page took, and the ids it took that share that key."""

    key: str
    ids: tuple[str, ...]


class Reject(Value, frozen=True):
    """One record that could not be delivered, and why. `record_id` is empty if it has none."""

    record_id: str
    reason: str


class ToldGone(Value, frozen=True):
    """A record that is gone, as a webhook said: deleted, or merged `into` another; empty if deleted."""

    record_id: str
    into: str = ""


class Frontier(Value, frozen=True):
    """How far the rows are taken: the sort key of the last one, and the ids taken that share it."""

    key: str
    ids: frozenset[str]


class Paging(Value, frozen=True):
    """Where the next page begins, and how.

    Attributes:
        offset: Rows before the next page.
        frontier: How far the rows are taken; null before the first.
        peek: The id of the row that the next page must begin with, if it is known.
        margin: Rows before the next page to ask for again.
        step_back: How far to go back for the anchor; 0 while pages are anchored.
        step_backs: Steps back since the last anchored page.
        stalled_rows: Rows that came since the last new one.
        has_more: Whether there is a next page.
        is_total: Whether rows that share a sort key came in a fixed order on every page.
        token: The source's own cursor of the next page, where it has cursors.
        stalled_pages: Pages since the last new record.
        from_key: The sort key that the rows begin with in which `offset` is counted; null for all rows.
    """

    offset: int = 0
    frontier: Frontier | None = None
    peek: str | None = None
    margin: int = 0
    step_back: int = 0
    step_backs: int = 0
    stalled_rows: int = 0
    has_more: bool = True
    is_total: bool = True
    token: str | None = None
    stalled_pages: int = 0
    from_key: str | None = None

    @property
    def cursor(self) -> int | None:
        """Where the next page begins; null before the first page and after the last."""
        return (self.offset or None) if self.has_more else None

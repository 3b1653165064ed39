"""The values that a state is made of: where it stands in the pages, its totals, its troubles."""

from __future__ import annotations

from datetime import datetime

from msgspec import field

from syncfsm.core import events as e
from syncfsm.core.value import Value


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

    @property
    def cursor(self) -> int | None:
        """Where the next page begins; null before the first page and after the last."""
        return (self.offset or None) if self.has_more else None


class Retry(Value, frozen=True):
    """The last failure since a page was delivered, and when to try again."""

    action: e.ActionName
    cause: str
    error: str
    attempt: int
    retry_at: datetime


class FailureReason(Value, frozen=True):
    """Why a FAILED process gave up."""

    action: e.ActionName
    reason: str
    error: str
    resumable: bool


class Progress(Value, frozen=True):
    """The totals, which grow with each page delivered. `total` is what the source said there is in all."""

    pages: int = 0
    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    retries: int = 0
    rate_limited: int = 0
    shifts: int = 0
    waited_s: float = 0.0
    last_cursor: int | None = None
    ids_digest: str = ""
    left_out: dict[str, int] = field(default_factory=dict)
    deleted: int = 0
    missing: int = 0
    total: int | None = None

    @property
    def delivered(self) -> int:
        """Records that are in the sink as in the source: created, updated, deleted, or so already."""
        return self.created + self.updated + self.unchanged + self.deleted

    @property
    def found_anything(self) -> bool:
        """Whether anything was written."""
        return bool(self.created or self.updated or self.deleted)

    @property
    def totals(self) -> e.Totals:
        """The counts that the last event of a completed sync carries."""
        return e.Totals(
            pages=self.pages,
            fetched=self.fetched,
            created=self.created,
            updated=self.updated,
            unchanged=self.unchanged,
            rejected=self.rejected,
            deleted=self.deleted,
        )


class Route(Value, frozen=True):
    """What a process brings where: all that processes of one source object and one sink have in common."""

    source: str
    object: str
    sink: str

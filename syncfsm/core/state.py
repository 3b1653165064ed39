"""The values that a state is made of, besides its place among the pages: its totals, its troubles."""

from __future__ import annotations

from datetime import datetime

from msgspec import field

from syncfsm.core import events as e
from syncfsm.core.blanking import Blanking
from syncfsm.core.totals import Totals
from syncfsm.core.value import Value

PATIENCE = "rate_limited"
"""The cause of a wait that the source asked for before a sync failed."""


class Retry(Value, frozen=True):
    """The last failure since a page was delivered, and when to try again."""

    action: e.ActionName
    cause: str
    error: str
    attempt: int
    retry_at: datetime


class FailureReason(Value, frozen=True):
    """Why a FAILED process gave up; `what` and `retry_at` as in `SyncFailed`."""

    action: e.ActionName
    reason: str
    error: str
    resumable: bool
    what: str = ""
    retry_at: datetime | None = None

    def put_off(self, retry_at: datetime | None) -> Retry | None:
        """Return the wait with which the sync goes on, if it has to wait; it counts as no try."""
        if retry_at is None:
            return None
        return Retry(action=self.action, cause=PATIENCE, error=self.error, attempt=0, retry_at=retry_at)


class Missing(Value, frozen=True):
    """What the sink has and no page of a whole sync had: each is asked for by its id before it is deleted.

    Attributes:
        known: How many contacts the sink had of the source when the first were found missing.
        asked: How many of them no page had, as far as they have been found.
        came: How many of those came after all, when they were asked for: the listing was short.
        last: The last that was found; they are found in the order of their ids.
        is_over: Whether all have been found.
        kept: Why none may be deleted; empty if those that are gone may.
    """

    known: int
    asked: int = 0
    came: int = 0
    last: str = ""
    is_over: bool = False
    kept: str = ""


class Progress(Value, frozen=True):
    """The totals, which grow with each page delivered.

    `total` is what the source said there is in all; `before`, known in the end, what was in the sink of it by
    syncs before.
    """

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
    blanking: Blanking = Blanking()
    before: int = 0

    @property
    def delivered(self) -> int:
        """Records that are in the sink as in the source: created, updated, deleted, or so already."""
        return self.created + self.updated + self.unchanged + self.deleted

    @property
    def found_anything(self) -> bool:
        """Whether anything was written."""
        return bool(self.created or self.updated or self.deleted)

    @property
    def totals(self) -> Totals:
        """The counts that the last event of a completed sync carries."""
        return Totals(
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

"""What can happen to a process: one frozen value for each event, in the past tense.

These names and fields are the storage format. A field may be added with a default; anything else
needs a higher `schema` on the class and an upcaster from the schema before it (log/codec.py), so that every
log ever written stays readable. No event holds a key, a token or a whole record: ids, counts and reasons are
enough to replay. This file knows nothing of the log, the network or the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias, TypeVar, cast, get_args

from msgspec import UNSET, UnsetType, field

from syncfsm.core.blanking import Blanking
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.place import FrontierMark, Reject, ToldGone
from syncfsm.core.totals import Totals
from syncfsm.core.value import Value

T = TypeVar("T")

Mode = Literal["initial", "ongoing", "webhook", "rejects"]
ResumeTo = Literal["INITIALIZING", "FETCHING"]
ActionName = Literal["check", "fetch", "deliver", "finish"]
ActionPart = Literal["", "look-up"]
"""A part of an action that can fail by itself: what a transform asks for, before a page is delivered."""


class EventBase(Value, frozen=True):
    """The base of all events. `schema` is the version of the stored shape."""

    schema: ClassVar[int] = 1


class SyncStarted(EventBase, frozen=True):
    """Somebody asked for a sync.

    Attributes:
        mode: `initial` for all records, `ongoing` for those that are new, `webhook` for those that webhooks
            told of, `rejects` for those that the sync `parent` could not deliver.
        parent: The sync whose rejects these are, or after which an ongoing one is a sweep.
        record_ids: The only records to ask for; empty where it is not known which.
        since: The least creation or change of the records to ask for; null for all.
        changed_by: The attribute that says when a record last changed, where `since` is of that one.
        deletes_missing: Whether the sink is to delete, in the end, what no page had.
        may_be_gone: Those of `record_ids` that webhooks said are gone; null where that was not kept.
    """

    schema: ClassVar[int] = 2

    source: str
    object: str
    sink: str
    mode: Mode
    page_size: int
    order: Order
    options: Options
    parent: str | None = None
    record_ids: tuple[str, ...] = ()
    since: datetime | None = None
    changed_by: str | None = None
    deletes_missing: bool = False
    may_be_gone: tuple[ToldGone, ...] | None = None


class FetchingBegan(EventBase, frozen=True):
    """The checks of source and sink found all in order; `found` is what they saw."""

    found: dict[str, str]


class NothingNewFound(EventBase, frozen=True):
    """The checks of an ongoing sync found what the last ones did, and its first page had no row: the end."""

    as_of: datetime
    elapsed_ms: int


class PageFetched(EventBase, frozen=True):
    """A page came and was anchored; it is not delivered yet. What is unset is not in the log, to be short.

    Attributes:
        cursor: Where the page begins, in rows; null for the first page.
        offset: The offset asked for; less than `cursor` by the margin.
        limit: The rows asked for.
        count: The rows that came.
        record_ids: The rows taken from it, in order.
        malformed: Rows that cannot be placed or decoded; rejected when the page is delivered.
        frontier: The new frontier, null if the page moved none.
        peek: The id of the row the next page must begin with.
        has_more, next_cursor: Whether another page follows, and where it begins; null at the end.
        margin: Rows before the cursor that the next request asks for again.
        shift: Rows before the cursor that had gone away (negative: had come) since the last page.
        as_of: The instant the source says the page reflects; when it came, where that is earlier.
        ids_digest: Digest of all ids taken so far, whatever the order and the page size.
        elapsed_ms: How long the request took, whenever that was: a page asked for ahead came earlier.
        is_total: Whether rows that share a sort key come in a fixed order.
        gone: Records asked for by their ids that the source has no more; the sink is to delete them.
        total: The rows that the source says there are; null if it does not say.
        token, next_token: The source's own cursors of this page, null for the first, and of the next.
        absent: Records that webhooks told of and that the source does not have yet; they are asked for again.
        confirmed: Records that no page had and that do not come by their ids either: deleted in the end.
        from_key: The sort key from which on rows were asked for, where offsets are counted from there.
    """

    cursor: int | None
    offset: int
    limit: int
    count: int
    record_ids: tuple[str, ...]
    malformed: tuple[Reject, ...]
    frontier: FrontierMark | None
    peek: str | None
    has_more: bool
    next_cursor: int | None
    margin: int
    shift: int
    as_of: datetime
    ids_digest: str
    elapsed_ms: int
    is_total: bool = True
    gone: tuple[str, ...] = ()
    total: int | None = None
    token: str | None = None
    next_token: str | None = None
    absent: tuple[str, ...] | UnsetType = UNSET
    confirmed: tuple[str, ...] | UnsetType = UNSET
    from_key: str | UnsetType = UNSET


class MissingFound(EventBase, frozen=True):
    """The sink has contacts that no page had; they are asked for by their ids next, a page of them at a time.

    Attributes:
        record_ids: Those that are asked for next; empty once all have been.
        known: How many contacts the sink has of the source.
        kept: Why none may be deleted, whatever is missing; empty if that is not so.
    """

    record_ids: tuple[str, ...]
    known: int
    kept: str = ""


class PageDelivered(EventBase, frozen=True):
    """The sink has taken the page; only now does the frontier move.

    `left_out` says what the sink left out, whole records (which are among the unchanged) or parts of them.
    What is gone is `deleted`, or `unchanged` where the sink did not have it. `blanking` counts the contacts
    that lost a value, by field, and those that had one; left out where there is none or the sink cannot tell.
    """

    cursor: int | None
    created: int
    updated: int
    unchanged: int
    rejected: int
    elapsed_ms: int
    left_out: dict[str, int] = field(default_factory=dict)
    deleted: int = 0
    blanking: Blanking | UnsetType = UNSET


class RecordRejected(EventBase, frozen=True):
    """One record could not be transformed, or the sink refused it; the page went on without it."""

    record_id: str
    reason: str
    cursor: int | None


class RetryScheduled(EventBase, frozen=True):
    """An action, or `what` part of it, failed; tried again, not before `retry_at`. `attempt` is from 1."""

    action: ActionName
    cause: str
    error: str
    attempt: int
    wait_s: float
    retry_at: datetime
    cursor: int | None
    status: int | None = None
    what: ActionPart = ""


class PagesShifted(EventBase, frozen=True):
    """A page was not anchored: rows before it went away. The next request goes back `step_back` rows."""

    cursor: int | None
    offset: int
    expected: str | None
    found: str | None
    step_back: int
    elapsed_ms: int


class SyncCompleted(EventBase, frozen=True):
    """Every page was delivered.

    Attributes:
        totals: The counts of its pages.
        watermark: Where a next, ongoing sync takes up; null where only single records were asked for.
        digest: Digest of all ids taken.
        missing: Contacts that no page had, that did not come by their ids either, and that the sink deleted.
        kept: Why it deleted none, though it was asked to; empty if it could.
        asked: Contacts that the sink had and no page did; each was asked for by its id.
        came: Those of them that came after all and were delivered: the listing was short.
        before: What syncs before have left in the sink, by the log; 0 where only some records were asked for.
    """

    totals: Totals
    watermark: datetime | None
    digest: str
    missing: int = 0
    kept: str = ""
    asked: int = 0
    came: int = 0
    before: int = 0


class SyncFailed(EventBase, frozen=True):
    """The sync gave up. `resumable` if going on may help, not before `retry_at`; `what` as of a retry."""

    action: ActionName
    reason: str
    error: str
    resumable: bool
    cursor: int | None
    what: ActionPart = ""
    retry_at: datetime | None = None


class SyncCancelled(EventBase, frozen=True):
    """Somebody stopped the sync for good."""

    by: str
    why: str


class SyncResumed(EventBase, frozen=True):
    """A failed sync goes on: to FETCHING, or to INITIALIZING if it never got further.

    `page_size` and `options` are null where they stay as they were; nobody may ask before `retry_at`.
    """

    by: str
    why: str
    to: ResumeTo
    page_size: int | None = None
    options: Options | None = None
    retry_at: datetime | None = None


Event: TypeAlias = (
    SyncStarted
    | FetchingBegan
    | NothingNewFound
    | PageFetched
    | MissingFound
    | PageDelivered
    | RecordRejected
    | RetryScheduled
    | PagesShifted
    | SyncCompleted
    | SyncFailed
    | SyncCancelled
    | SyncResumed
)
"""Every event there is. Whoever reads events says what each of them is to it: a `match` ends in
`assert_never`, so that the type checker names all places that have not decided about a new one, and a table
is made by `by_event`."""

EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in get_args(Event)}


def by_event(
    table: Mapping[type[Event], T], *others: type[Event], otherwise: T | None = None
) -> dict[type[Event], T]:
    """Return a table that says of each event what it is to a reader.

    Args:
        table: What some are.
        others: All the others, by name.
        otherwise: What each of those is.
    """
    whole = {**table, **dict.fromkeys(others, cast("T", otherwise))}
    undecided = [name for name, cls in EVENT_TYPES.items() if cls not in whole]
    assert not undecided, f"this table does not say what is to become of {', '.join(undecided)}"
    return whole


class Recorded(Value, frozen=True):
    """The envelope: an event with its place and time in the log.

    Attributes:
        stream: The id of the process.
        version: 1, 2, 3 … within the stream.
        at: When it happened, by the injected clock, UTC.
        event: What happened.
        meta: What an embedding program wants to remember beside it.
        position: The place in the whole log; null until appended.
        digest: Chains this event to the one before it; null until appended.
    """

    stream: str
    version: int
    at: datetime
    event: Event
    meta: dict[str, str] = field(default_factory=dict)
    position: int | None = None
    digest: str | None = None

    @property
    def type(self) -> str:
        """The event's type, which is also the trigger of its transition."""
        return type(self.event).__name__

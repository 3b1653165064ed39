"""The values that the page rule speaks of: rows, requests, and what to do with a page that came."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from syncfsm.core.options import Order, Pagination
from syncfsm.core.paging.place import FrontierMark, Reject, ToldGone
from syncfsm.core.value import Value


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


class PageRequest(Value, frozen=True):
    """One request for rows: `limit` of them from `offset`, in `order`. `cursor` is the frontier's place.

    With `record_ids`, those records only, in any order: `offset` is then the place in the list that they are
    from, which the source need not know, and `limit` is their number. By pages with numbers, `offset` is a
    multiple of `limit`. By cursors, `token` is the one that came with the page before, and `offset` counts
    the rows taken.

    With `since`, only records created since then; with `changed_by`, an attribute that says when a record
    last changed, only those changed since then, and in the order of that attribute.

    With `from_key`, only the rows from that sort key on in the order asked for, and `offset` counts those;
    some before it may come too, where a filter is less precise than the key.

    Where up to `singly_max` of `record_ids` do not come, each of them is asked for by itself: what a source
    says of one record is worth more than that a list leaves it out.
    """

    cursor: int | None
    offset: int
    limit: int
    order: Order
    record_ids: tuple[str, ...] = ()
    since: datetime | None = None
    changed_by: str | None = None
    token: str | None = None
    singly_max: int = 0
    from_key: str | None = None

    @property
    def number(self) -> int:
        """The number of the page of `limit` rows that begins at `offset`, counted from 1."""
        assert self.offset % self.limit == 0, "a page with a number begins where whole pages end"
        return self.offset // self.limit + 1


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
    gone: tuple[str, ...] = ()
    next_token: str | None = None
    absent: tuple[str, ...] = ()


class Shifted(Value, frozen=True):
    """A page that is not anchored: what was expected first, what came, how far to go back."""

    expected: str | None
    found: str | None
    step_back: int


class Unsafe(Value, frozen=True):
    """Rows among which the rule cannot hold; `what` the source did ends a sentence that began with it."""

    reason: str
    what: str


class Unasked(Value, frozen=True):
    """A row that came though only others were asked for: the source does not know how to list records."""

    found: str


Verdict = Taken | Shifted | Unsafe | Unasked


class Told(Value, frozen=True):
    """What webhooks said of the records of a list, and how far it has been asked for.

    Attributes:
        may_be_gone: Those that were said to be gone; null where it was not kept what was said.
        unsettled: Those of the list that did not come yet, or are still to be asked for.
        is_last: Whether this is the last time that they are asked for.
    """

    may_be_gone: tuple[ToldGone, ...] | None
    unsettled: frozenset[str] = frozenset()
    is_last: bool = False


class PageRule(Value, frozen=True):
    """What stays the same for all pages of a sync."""

    page_size: int
    order: Order
    limit_max: int  # the page size where a short page is the end, which leaves no room for a peek
    confirm_end: bool
    record_ids: tuple[str, ...] = ()  # the only records to ask for; empty where it is not known which
    deletes_gone: bool = False  # whether the sink deletes those that do not come; else they are rejected
    told: Told | None = None  # what webhooks said of them, where it decides what becomes of those
    singly_max: int = 0
    proves_end: bool = False  # whether the end is believed only once nothing comes from the last row on
    since: datetime | None = None
    changed_by: str | None = None
    pagination: Pagination = "offset"

    def is_before(self, key: str, other: str) -> bool:
        """Whether a row with `key` comes before one with `other`."""
        return key > other if self.order == "newest" else key < other

"""What every source and every transform promises.

A source answers with values: a page, or a `Failure` where the world got in the way. It never tries again
by itself and never sleeps but for its own rate limit; when to try again is for the engine to decide. Any
source must pass the contract suite in tests/contracts/source.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, cast

from msgspec import field

from syncfsm.core.failure import Failure
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Reject
from syncfsm.core.value import Value

T = TypeVar("T")


class Record(Value, frozen=True):
    """One record of a page. See `pagination.Row`.

    Attributes:
        id: The record's id; empty if it has none.
        key: The sort key; compared as text.
        raw: The record as it came, JSON.
        problem: Why it cannot be delivered; empty if it can.
    """

    id: str
    key: str
    raw: bytes
    problem: str = ""


class Page(Value, frozen=True):
    """The rows that answered a request.

    Attributes:
        records: The rows, in the order asked for.
        as_of: The instant they reflect, UTC.
        is_dated: Whether that goes by the source's own clock. Where it does not, nothing later than our own
            time is believed.
        is_total: Whether rows that share a sort key come in the same order at each request. Where they do
            not, paging asks for all of them again with every page.
        total: How many rows the source says there are in all; `None` if it does not say.
        next_token: Where pages have cursors, the one of the next page; `None` on the last. Text without any
            secret: it is written into the log.
        not_found: Of records that were each asked for by itself, since they did not come with the page, those
            of which the source says that there are none such; `None` if none was.
        is_followed: Whether the source says that more rows follow, even where fewer came than were asked for.
        asked: The request that the rows answer, where the source has made another one; `None` for the one
            that it was given.
        took_ms: How long the source took to answer, without what the request waited for its turn; `None`
            where nobody knows.
    """

    records: tuple[Record, ...]
    as_of: datetime
    is_total: bool = True
    total: int | None = None
    next_token: str | None = None
    not_found: tuple[str, ...] | None = None
    is_dated: bool = False
    is_followed: bool = False
    asked: PageRequest | None = None
    took_ms: int | None = None


class Source(Protocol):
    """Where records come from: what it says of itself, and three things that it does.

    One that has a method `heed` is told the limits of the sync at hand: see `core.options.Limited`. One whose
    ids no other account of its kind has, such as UUIDs, may say so by `ids_are_unique = True`: two accounts
    of it can then come into one sink. Those of any other would take each other's places there.

    One that stands being asked again before it has answered says by `reads_per_s` how many requests it may be
    asked in a second: pages are then read ahead. One that serves pages of some size best says so by
    `best_page_size`, for syncs that ask for none. And one that can leave out what lies before a sort key says
    by `heeds_from_key` in which of its orders, so that no offset need be large.
    """

    @property
    def name(self) -> str:
        """The name of the source, the same for every sync of it; no secret in it."""
        ...

    @property
    def object(self) -> str:
        """The kind of records: `people`."""
        ...

    @property
    def kind(self) -> str:
        """What its items call their source, and what its `name` begins with, up to a colon if there is one.

        With an account it names that too: `attio@acme`. By this name a sink is asked to delete what is gone.
        """
        ...

    @property
    def options(self) -> Options:
        """The rules of its pages and the default limits.

        `pagination`, `termination`, `confirm_end` and `limit_max` are rules: see `Options`. A sync may have
        other limits, but no other rules.
        """
        ...

    @property
    def orders(self) -> Sequence[Order]:
        """The orders that it has, the preferred one first."""
        ...

    @property
    def heeds_since(self) -> bool:
        """Whether it can leave out what was there before `request.since`, as ongoing syncs ask it to."""
        ...

    @property
    def changed_by(self) -> str | None:
        """The name of what says when a record last changed; `None` where nothing does."""
        ...

    async def check(self) -> dict[str, str] | Failure:
        """Check credentials, permissions and object; return what was seen, without secrets.

        What tells whose records these are is named `workspace_id`, or `workspace` where it has no id that
        stays: no process goes on with another one than it, or the last one into its sink, began with.
        """
        ...

    async def fetch(self, request: PageRequest) -> Page | Failure:
        """Return the rows for one request.

        Where pages are read ahead, it is called again before earlier calls have returned, and may be
        cancelled.

        With `request.record_ids`, return those records that are still there, in any order, and no others;
        `offset` and `order` then say nothing, but that keys are those of the order. Where up to
        `request.singly_max` of them do not come, a source that can asks for each by itself, and says in
        `Page.not_found` which are not there, by its own word for that.

        By numbered pages, it is the page `request.number` of `request.limit` rows. By cursors, it is the page
        of `request.token`, and the first one where that is `None`; a token that leads nowhere is a failure,
        never an end.

        With `request.from_key`, which comes only in an order in which it says that it heeds it, leave out
        what lies before that sort key; a few rows too many do no harm, and `request.offset` counts them too.

        With `request.since`, which comes only where it `heeds_since`, return only records created since then,
        or changed since then by the attribute `request.changed_by`, which is then the sort key too.
        """
        ...

    async def aclose(self) -> None:
        """Release what is held. Closing twice is harmless."""
        ...


SAYS = ("name", "object", "kind", "options", "orders", "heeds_since", "changed_by")
"""What a source says of itself."""


class Transformed(Value, Generic[T], frozen=True):
    """A page made ready for the sink: the items, and the records that could not be made into one.

    `left_out` says what of the records could not be told, in the transform's own fixed words, and how many
    times.
    """

    items: tuple[T, ...]
    rejects: tuple[Reject, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


class Transform(Protocol[T]):
    """Makes a whole page ready at once, so that what it looks up, it looks up once a page."""

    async def __call__(self, records: Sequence[Record]) -> Transformed[T] | Failure:
        """Return the items for the records, or the failure of a look-up."""
        ...


class PreparingTransform(Transform[T], Protocol[T]):
    """A transform that looks things up, and can begin to before a page is due."""

    async def prepare(self, records: Sequence[Record]) -> None:
        """Look up what the records of a page that came early will need, so that it is known by then.

        What goes wrong is no matter: it will be met when the page is due.
        """
        ...


def preparing(transform: Transform[Any]) -> Callable[[Sequence[Record]], Awaitable[None]] | None:
    """Return what prepares for pages that came early, if a transform can: its method `prepare`."""
    is_able = callable(getattr(type(transform), "prepare", None))
    return cast("PreparingTransform[Any]", transform).prepare if is_able else None


class CheckingTransform(Transform[T], Protocol[T]):
    """A transform that can tell whether the source has what it needs."""

    async def check_source(self, *, tries_look_ups: bool = False) -> Failure | None:
        """Return why it could not make items, if it could not. Asks once when a sync begins.

        With `tries_look_ups`, look up something as for a page, for who wants to know beforehand.
        """
        ...


async def check_transform(transform: Transform[Any], *, tries_look_ups: bool = False) -> Failure | None:
    """Let a transform check that the source has what it needs, if it can: by a method `check_source`."""
    if not callable(getattr(type(transform), "check_source", None)):
        return None
    able = cast("CheckingTransform[Any]", transform)
    return await able.check_source(tries_look_ups=tries_look_ups)

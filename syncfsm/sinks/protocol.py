"""What every sink promises.

Delivery is at least once for each page, so a sink is idempotent: keyed by (source, external id), the same
item again changes nothing and is counted as unchanged. An upsert is all or nothing but for its rejects, and
when it returns, what it took is safe: the log will say that it was delivered. Any sink must pass the
contract suite in tests/contracts/sink.py.

What a sink may do besides has protocols of its own: `Deleting` for items whose records are gone,
`Enumerable` for telling which items it has, `Emptiable`, so that no sync goes on from what is not there any
more, `Inspectable` for a preflight, `Foretelling`, so that no sync empties a field of too many items, and
`Marked` for knowing by itself who it is and how far it got. `capabilities` tells which of them a sink has;
one without takes part in all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec import field

from syncfsm.core.blanking import Blanking
from syncfsm.core.failure import Failure
from syncfsm.core.marks import Mark
from syncfsm.core.options import Limited
from syncfsm.core.paging.place import Reject
from syncfsm.core.value import Value

T_contra = TypeVar("T_contra", contravariant=True)

NOT_THERE = "not there yet: a sync makes it"
"""What an inspection finds where a check would make a file or a table."""


class UpsertResult(Value, frozen=True):
    """What became of the items of one page; the four counts add up to the items given.

    Attributes:
        created: Items that the sink did not have.
        updated: Items that it had otherwise.
        unchanged: Items for which nothing was written: it has them so, or was told to leave them out.
        rejects: Items that it refuses.
        left_out: What was left out, in the sink's words, and how many: whole items, which are among the
            unchanged, or parts of items. The words are fixed ones, never taken from an item.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: tuple[Reject, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


class Sink(Protocol[T_contra]):
    """Where items go to.

    One that takes so many items at once best says so by `best_page_size`, for syncs that ask for no other.
    """

    @property
    def name(self) -> str:
        """The name of the sink, the same for every sync into it; no secret in it."""
        ...

    async def check(self) -> dict[str, str] | Failure:
        """Check that it can be written; return what was seen, without secrets."""
        ...

    async def upsert(self, items: Sequence[T_contra]) -> UpsertResult | Failure:
        """Create what is new, update what has changed, leave the rest."""
        ...

    async def finish(self) -> Failure | None:
        """Put the house in order after the last page."""
        ...

    async def aclose(self) -> None:
        """Release what is held. Closing twice is harmless; whatever is asked afterwards opens it again."""
        ...


class Inspectable(Protocol):
    """A sink that can be looked at without being touched, for a preflight."""

    async def inspect(self) -> dict[str, str] | Failure:
        """Return what `check` would find, or the failure it would meet, and write and make nothing.

        Beside `sink`, its name, it says what is there already.
        """
        ...


class Emptiable(Protocol):
    """A sink that can tell whether it has lost everything: a file that may be deleted or replaced."""

    async def is_empty(self) -> bool:
        """Whether it has nothing at all, or is not there; false if that cannot be told. Makes nothing."""
        ...


class Deleting(Protocol):
    """A sink that can delete."""

    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Delete items, or mark them as deleted; return how many there were that were not deleted already.

        Deleting again, or what it never had, changes nothing. An item that comes again is created anew.

        Args:
            source: The source as its items call it.
            record_ids: The external ids of the items.
        """
        ...


class Enumerable(Deleting, Protocol):
    """A sink that can tell what it has, and so what of it is missing in the source."""

    async def known(self, source: str) -> frozenset[str] | Failure:
        """Return the external ids of all items of a source, as its items call it, that are not deleted."""
        ...


class Foretelling(Protocol[T_contra]):
    """A sink that can tell what an upsert would empty, before anything is written."""

    async def would_blank(self, items: Sequence[T_contra]) -> Blanking | Failure:
        """Return how many of the items that it has lose a value by an upsert of these, field by field.

        Of its items, those count that are among these and not deleted. An upsert of the same items follows,
        unless that would be too much.
        """
        ...


class Marked(Protocol[T_contra]):
    """A sink that has a name of its own, and a mark for each source object that came into it.

    So the same sink is known wherever its file is, and an older copy of it that was put back is not believed
    to have what came since. Looking at either makes nothing and changes nothing, and where that cannot be
    looked at, there is none.
    """

    def sink_id(self) -> str | None:
        """Return its id: random, made when the sink is made, and as long-lived as it; `None` before."""
        ...

    def marks(self) -> tuple[Mark, ...]:
        """Return its marks, one for each source object."""
        ...

    async def upsert_marked(self, items: Sequence[T_contra], mark: Mark) -> UpsertResult | Failure:
        """Do what `upsert` does, and set the mark of its source object in the same transaction.

        A mark of the same process and a later version stays: it is of another worker, who was faster.
        """
        ...

    async def set_mark(self, mark: Mark) -> Failure | None:
        """Set the mark of its source object. See `upsert_marked`."""
        ...


class Capabilities(NamedTuple):
    """What a sink can do besides what every sink does; `None` where it cannot."""

    inspectable: Inspectable | None
    emptiable: Emptiable | None
    deleting: Deleting | None
    enumerable: Enumerable | None
    foretelling: Foretelling[Any] | None
    limited: Limited | None
    marked: Marked[Any] | None


def capabilities(sink: Sink[Any]) -> Capabilities:
    """Return what a sink can do, by the methods of its class; one that answers to any name has none."""

    def able(*methods: str) -> Any:
        return sink if all(callable(getattr(type(sink), method, None)) for method in methods) else None

    return Capabilities(
        inspectable=able("inspect"),
        emptiable=able("is_empty"),
        deleting=able("delete"),
        enumerable=able("delete", "known"),
        foretelling=able("would_blank"),
        limited=able("heed"),
        marked=able("sink_id", "marks", "upsert_marked", "set_mark"),
    )

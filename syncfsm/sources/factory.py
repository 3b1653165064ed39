"""What opens a source by its name: the door through which `syncfsm sync --source NAME` comes.

A package offers one by an entry point of the group `syncfsm.sources`; docs/sources.md shows a whole one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, get_args, runtime_checkable

from msgspec import field

from syncfsm.core.options import Options, Order, Pagination
from syncfsm.core.value import Value
from syncfsm.items.contact import Contact
from syncfsm.outside.authorization import Key
from syncfsm.outside.clock import Clock
from syncfsm.plugins import Registry, unfit_words
from syncfsm.sources.protocol import Source, Transform

if TYPE_CHECKING:
    import httpx


class SourceSettings(Value, frozen=True):
    """What somebody asked for.

    Attributes:
        key: What the factory's `key_variable` holds, empty if that is not set; or who provides the key.
        base_url: Where the API is; `None` for where it usually is.
        object: Which records; `None` for those that it is usually asked for.
        companies: Whether to look up the names of companies, where that takes requests of its own.
        without: What of the records to leave alone, by the source's own names: a sink keeps what it has. A
            transform that can, shows it as its `without`.
        changed_by: What says when a record last changed, for ongoing syncs; `None` if they are to bring new
            records only. A source that can, shows it as its `changed_by`.
        clock: For rate limits and moments; the machine's if `None`.
        transport: Where requests go; the network if `None`.
        options: The rules and limits of its syncs; the source's own if `None`.
        more: What this source alone can be told, by its own names.
        account: The name of the account; empty where there is only one. A source that can have several begins
            its `kind` and `name` with what `named_source` returns.
    """

    key: Key = ""
    base_url: str | None = None
    object: str | None = None
    companies: bool = True
    without: tuple[str, ...] = ()
    changed_by: str | None = None
    clock: Clock | None = None
    transport: httpx.AsyncBaseTransport | None = None
    options: Options | None = None
    more: dict[str, Any] = field(default_factory=dict)
    account: str = ""

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"<SourceSettings for {self.base_url or 'where it usually is'}>"


@runtime_checkable
class SourceFactory(Protocol):
    """Opens sources of one kind."""

    name: str
    """What it is asked for by, as its entry point is called; the kind of its sources, with which their names
    begin, up to an `@` or a colon."""

    description: str
    """One line that says what it reads."""

    key_variable: str
    """The variable of the environment that holds its key; empty if it needs none. Let it end in `_API_KEY`:
    such keys are refused among the arguments of commands."""

    pagination: Pagination
    """How its pages are asked for."""

    orders: tuple[Order, ...]
    """The orders that it has, the preferred one first."""

    def open(self, settings: SourceSettings) -> Source:
        """Open a source; nothing is asked of it yet.

        Raises:
            ConfigurationError: A setting is missing or cannot work.
        """
        ...

    def transform(self, source: Any, settings: SourceSettings) -> Transform[Contact]:
        """Return what makes contacts of the records of a source that `open` returned."""
        ...


_NEEDED = ("name", "description", "key_variable", "pagination", "orders", "open", "transform")


def _unfit(factory: Any) -> str:
    words = unfit_words(factory, SourceFactory, _NEEDED)
    if words:
        return words
    if factory.pagination not in get_args(Pagination):
        return f"has the pagination {factory.pagination!r}, and not one of {', '.join(get_args(Pagination))}"
    if not factory.orders or not set(factory.orders) <= set(get_args(Order)):
        return f"has the orders {factory.orders!r}, and not some of {', '.join(get_args(Order))}"
    return ""


SOURCES: Registry[SourceFactory] = Registry("source", _unfit)
"""The sources that are installed."""

"""What opens a sink by its name: the door through which `--sink NAME:WHERE` and `open_sink` come.

A package offers one by an entry point of the group `syncfsm.sinks`; docs/sources.md shows a whole one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import field

from syncfsm.core.value import Value
from syncfsm.items.contact import Contact
from syncfsm.outside.clock import Clock
from syncfsm.plugins import Registry, unfit_words
from syncfsm.sinks.protocol import Sink

if TYPE_CHECKING:
    import httpx


class SinkSettings(Value, frozen=True):
    """What somebody asked for.

    Attributes:
        key: What the factory's `key_variable` holds; empty if that is not set, or there is none.
        where: What comes after the colon, which may be nothing.
        clock: For the times that the sink writes, and for its rate limit; the machine's if `None`.
        transport: Where requests go; the network if `None`.
        more: What this sink alone can be told, by its own names.
    """

    key: str = ""
    where: str = ""
    clock: Clock | None = None
    transport: httpx.AsyncBaseTransport | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Leave out the key, and the place, in which a password may be."""
        return "<SinkSettings>"


@runtime_checkable
class SinkFactory(Protocol):
    """Opens sinks of one kind."""

    name: str
    """What it is asked for by: what comes before the colon."""

    description: str
    """One line that says what it writes."""

    key_variable: str
    """The variable of the environment that holds its key; empty if it needs none."""

    example: str
    """How it is asked for: `sqlite:FILE`."""

    def open(self, settings: SinkSettings) -> Sink[Contact]:
        """Open the sink.

        Raises:
            ConfigurationError: The settings say too little, or what cannot work, or the key is missing.
        """
        ...


_NEEDED = ("name", "description", "key_variable", "example", "open")

SINKS: Registry[SinkFactory] = Registry("sink", partial(unfit_words, protocol=SinkFactory, needed=_NEEDED))
"""The sinks that are installed."""

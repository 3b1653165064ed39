"""What opens a sink by its name: the door through which `--sink NAME:WHERE` and `open_sink` come.

A package offers one by an entry point of the group `syncfsm.sinks`; docs/sources.md shows a whole one.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol, runtime_checkable

from syncfsm.clock import Clock
from syncfsm.contact import Contact
from syncfsm.plugins import Registry, unfit_words
from syncfsm.sinks.protocol import Sink


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

    def open(self, where: str, *, clock: Clock | None = None) -> Sink[Contact]:
        """Open the sink at what comes after the colon, which may be nothing.

        Raises:
            ConfigurationError: That says too little, or something that cannot work, or the key is missing.
        """
        ...


_NEEDED = ("name", "description", "key_variable", "example", "open")

SINKS: Registry[SinkFactory] = Registry("sink", partial(unfit_words, protocol=SinkFactory, needed=_NEEDED))
"""The sinks that are installed."""

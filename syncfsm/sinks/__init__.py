"""The sinks: `Sink` is what they promise, `open_sink` opens one by its URL.

Whoever writes a sink finds here what it takes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.marks import Mark
from syncfsm.core.paging.place import Reject
from syncfsm.errors import ConfigurationError
from syncfsm.outside.safe_words import word
from syncfsm.plugins import OWN
from syncfsm.sinks.factory import SINKS, SinkFactory, SinkSettings
from syncfsm.sinks.postgres.same_place import KIND as POSTGRES
from syncfsm.sinks.postgres.same_place import kind_of
from syncfsm.sinks.protocol import (
    Deleting,
    Emptiable,
    Enumerable,
    Inspectable,
    Marked,
    Sink,
    UpsertResult,
    capabilities,
)
from syncfsm.sinks.quo.sink import QuoSink
from syncfsm.sinks.same_sink import FILE_SINKS

if TYPE_CHECKING:
    import httpx

    from syncfsm.items.contact import Contact
    from syncfsm.outside.clock import Clock

__all__ = [
    "Deleting",
    "Emptiable",
    "Enumerable",
    "Failure",
    "FailureKind",
    "Inspectable",
    "Mark",
    "Marked",
    "QuoSink",
    "Reject",
    "Sink",
    "SinkFactory",
    "SinkSettings",
    "UpsertResult",
    "capabilities",
    "open_sink",
]


def open_sink(
    url: str,
    *,
    key: str | None = None,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    more: Mapping[str, Any] | None = None,
) -> Sink[Contact]:
    """Open the sink at `sqlite:contacts.db`, `jsonl:people.jsonl`, `postgresql://…`, `quo:`, or a package's.

    Args:
        url: The kind of sink and its file; of PostgreSQL, as libpq takes it, with `schema` and `table` as two
            more parameters; of Quo, nothing, or where its API is.
        key: What it is opened with; what its variable of the environment holds if `None`.
        clock: For the times that the sink writes, and for its rate limit; the machine's if `None`.
        transport: Where its requests go; the network if `None`.
        more: What this sink alone can be told: of Quo, `partner_key`, `require_phone`, `default_region`.

    Raises:
        ConfigurationError: The URL names no known kind of sink, or the sink's key is missing.
    """
    _, separator, where = url.partition(":")
    kind = kind_of(url)
    is_known = bool(separator) and bool(word(kind)) and kind in SINKS.names()
    is_nowhere = not where.removeprefix("//") if kind in FILE_SINKS else _lacks_slashes(kind, where)
    if not is_known or is_nowhere:
        others = [name for name in SINKS.names() if name not in OWN["sink"]]
        brought = "".join(f", {name}:" for name in others)
        raise ConfigurationError(
            f"no sink is known as {_shown(url)}: use sqlite:contacts.db, jsonl:people.jsonl, "
            f"postgresql://USER@HOST/DATABASE or quo:{brought}"
        )

    def opened(factory: SinkFactory) -> Sink[Contact]:
        given = os.environ.get(factory.key_variable, "") if key is None else key
        settings = SinkSettings(
            key=given, where=where, clock=clock, transport=transport, more=dict(more or {})
        )
        return factory.open(settings)

    return SINKS.use(kind, opened)


def _lacks_slashes(kind: str, where: str) -> bool:
    return kind == POSTGRES and not where.startswith("//")


def _shown(url: str) -> str:
    """Return a URL as a message may repeat it: without all that could be a password or a key."""
    kind, separator, _ = url.partition(":")
    has_secret = "@" in url or "?" in url or not word(kind)
    return repr(f"{word(kind) or '…'}{separator}…" if has_secret else url)

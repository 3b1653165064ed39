"""The sinks: `Sink` is what they promise, `open_sink` opens one by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm.errors import ConfigurationError
from syncfsm.outside import word
from syncfsm.plugins import OWN
from syncfsm.sinks.protocol import Sink, UpsertResult

if TYPE_CHECKING:
    from syncfsm.clock import Clock
    from syncfsm.contact import Contact

__all__ = ["Sink", "UpsertResult", "open_sink"]


def open_sink(url: str, *, clock: Clock | None = None) -> Sink[Contact]:
    """Open the sink at `sqlite:contacts.db`, `jsonl:people.jsonl`, `quo:`, or one that a package brings.

    Args:
        url: The kind of sink and its file; of Quo, nothing, or where its API is.
        clock: For the times that the sink writes, and for its rate limit; the machine's if `None`.

    Raises:
        ConfigurationError: The URL names no known kind of sink, or the sink's key is missing.
    """
    from syncfsm.sinks.factory import SINKS  # noqa: PLC0415 - installed packages are searched when asked for

    kind, separator, where = url.partition(":")
    is_known = bool(separator) and bool(word(kind)) and kind in SINKS.names()
    if not is_known or (kind in {"sqlite", "jsonl"} and not where.removeprefix("//")):
        others = [name for name in SINKS.names() if name not in OWN["sink"]]
        brought = "".join(f", {name}:" for name in others)
        raise ConfigurationError(
            f"no sink is known as {_shown(url)}: use sqlite:contacts.db, jsonl:people.jsonl or quo:{brought}"
        )
    return SINKS.use(kind, lambda factory: factory.open(where, clock=clock))


def _shown(url: str) -> str:
    """Return a URL as a message may repeat it: without all that could be a password or a key."""
    kind, separator, _ = url.partition(":")
    has_secret = "@" in url or "?" in url or not word(kind)
    return repr(f"{word(kind) or '…'}{separator}…" if has_secret else url)

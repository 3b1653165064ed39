"""The sinks: `Sink` is what they promise, `open_sink` opens one by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm.errors import ConfigurationError
from syncfsm.outside import word
from syncfsm.sinks.protocol import Sink, UpsertResult

if TYPE_CHECKING:
    from syncfsm.clock import Clock
    from syncfsm.contact import Contact

__all__ = ["Sink", "UpsertResult", "open_sink"]


def open_sink(url: str, *, clock: Clock | None = None) -> Sink[Contact]:
    """Open the sink at `sqlite:contacts.db`, `jsonl:people.jsonl` or `quo:`.

    Args:
        url: The kind of sink and its file; of Quo, nothing, or where its API is.
        clock: For the times that the sink writes, and for its rate limit; the machine's if `None`.

    Raises:
        ConfigurationError: The URL names no known kind of sink, or the sink's key is missing.
    """
    kind, separator, path = url.partition(":")
    if kind == "quo" and separator:
        from syncfsm.sinks.quo.api import BASE_URL  # noqa: PLC0415 - a sink is loaded when it is used
        from syncfsm.sinks.quo.sink import from_environment  # noqa: PLC0415 - likewise

        return from_environment(path or BASE_URL, clock=clock)
    path = path.removeprefix("//")
    if not path or kind not in {"sqlite", "jsonl"}:
        raise ConfigurationError(
            f"no sink is known as {_shown(url)}: use sqlite:contacts.db, jsonl:people.jsonl or quo:"
        )
    if kind == "jsonl":
        from syncfsm.sinks.jsonl import JsonlSink  # noqa: PLC0415 - a sink is loaded when it is used

        return JsonlSink(path)
    from syncfsm.sinks.sqlite import SqliteSink  # noqa: PLC0415 - likewise

    return SqliteSink(path, clock=clock)


def _shown(url: str) -> str:
    """Return a URL as a message may repeat it: without all that could be a password or a key."""
    kind, separator, _ = url.partition(":")
    has_secret = "@" in url or "?" in url or not word(kind)
    return repr(f"{word(kind) or '…'}{separator}…" if has_secret else url)

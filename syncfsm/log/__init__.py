"""The event log: `EventLog` says what it promises, `open_log` and `open_dry_run` open one by its URL.

Whoever writes a log of another kind finds here what it must promise; docs/extending.md says what it is made
of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncfsm.errors import ConfigurationError
from syncfsm.files.paths import path_in
from syncfsm.log.protocol import (
    Auditable,
    Captures,
    EventLog,
    EventStore,
    Inbox,
    Restorable,
    Routes,
    Scanned,
    StoredEvent,
    Tally,
)

if TYPE_CHECKING:
    from pathlib import Path

    from syncfsm.log.dry_run import DryRunLog
else:

    def __getattr__(name: str) -> Any:  # a backend is loaded when it is used
        if name == "DryRunLog":
            from syncfsm.log.dry_run import DryRunLog  # noqa: PLC0415 - see above

            return DryRunLog
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Auditable",
    "Captures",
    "DryRunLog",
    "EventLog",
    "EventStore",
    "Inbox",
    "Restorable",
    "Routes",
    "Scanned",
    "StoredEvent",
    "Tally",
    "open_dry_run",
    "open_log",
]


def open_log(url: str | Path, **options: Any) -> EventLog:
    """Open the log at `sqlite:path`, or at a plain path.

    Args:
        url: `sqlite:sync.db`, `sync.db`, or `:memory:` for one that is gone when closed.
        **options: `read_only`, `create` (make the file if it is missing; the default),
            `synchronous` ("NORMAL" or "FULL") and `busy_timeout_s`.

    Raises:
        ConfigurationError: The URL names no known kind of log.
        LogError: The file is no log, cannot be opened or cannot be written.
    """
    from syncfsm.log.sqlite.store import SqliteLog  # noqa: PLC0415 - a backend is loaded when it is used

    return SqliteLog(_file_of(url), **options)


def open_dry_run(url: str | Path) -> DryRunLog:
    """Open the log at `sqlite:path`, or at a plain path, to try things on; not a byte is written anywhere.

    Of a file that is not there, or empty, it is an empty log.

    Raises:
        ConfigurationError, LogError: As `open_log`.
    """
    from syncfsm.log.sqlite.dry_run import dry_run  # noqa: PLC0415 - likewise

    return dry_run(_file_of(url))


def _file_of(url: str | Path) -> str:
    """Return the path of a log's file."""
    if not str(url):
        raise ConfigurationError("the log has no name: name a file")
    scheme, _, rest = str(url).partition(":")
    if scheme != "sqlite" and rest.startswith("//"):
        raise ConfigurationError(f"no log is known for {scheme}:// - use sqlite:PATH or a plain path")
    return path_in(url)

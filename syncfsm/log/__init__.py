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
    Prunable,
    Restorable,
    Routes,
    Scanned,
    StoredEvent,
    Tally,
)
from syncfsm.postgres.driver import is_postgres, require_driver

if TYPE_CHECKING:
    from pathlib import Path

    from syncfsm.log.dry_run import DryRunLog
    from syncfsm.log.pruning.pruning import prune
else:

    def __getattr__(name: str) -> Any:  # a backend is loaded when it is used
        if name == "DryRunLog":
            from syncfsm.log.dry_run import DryRunLog  # noqa: PLC0415 - see above

            return DryRunLog
        if name == "prune":
            from syncfsm.log.pruning.pruning import prune  # noqa: PLC0415 - likewise

            return prune
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Auditable",
    "Captures",
    "DryRunLog",
    "EventLog",
    "EventStore",
    "Inbox",
    "Prunable",
    "Restorable",
    "Routes",
    "Scanned",
    "StoredEvent",
    "Tally",
    "log_name",
    "open_dry_run",
    "open_log",
    "prune",
]


def open_log(url: str | Path, **options: Any) -> EventLog:
    """Open the log at `sqlite:path`, at a plain path, or at `postgresql://user@host/database`.

    Args:
        url: `sqlite:sync.db`, `sync.db`, or `:memory:` for one that is gone when closed; or the URL of a
            PostgreSQL database, with `?schema=NAME` for another schema than `syncfsm`.
        **options: `read_only`, `create` (make it if it is missing; the default), `busy_timeout_s` (how
            long to wait for whoever holds it); for a file also `synchronous` ("NORMAL" or "FULL"), and for
            PostgreSQL `within` (see `PostgresLog`).

    Raises:
        ConfigurationError: The URL names no known kind of log, or the extra that it needs is not installed.
        LogError: It is no log, cannot be opened or cannot be written.
    """
    if is_postgres(url):
        require_driver()
        from syncfsm.log.postgres.store import PostgresLog  # noqa: PLC0415 - a backend is loaded when used

        return PostgresLog(str(url), **options)
    from syncfsm.log.sqlite.store import SqliteLog  # noqa: PLC0415 - likewise

    return SqliteLog(_file_of(url), **options)


def open_dry_run(url: str | Path) -> DryRunLog:
    """Open a log, named as for `open_log`, to try things on; not a byte is written anywhere.

    Of one that is not there, or empty, it is an empty log.

    Raises:
        ConfigurationError, LogError: As `open_log`.
    """
    if is_postgres(url):
        require_driver()
        from syncfsm.log.postgres.dry_run import dry_run as postgres_dry_run  # noqa: PLC0415 - likewise

        return postgres_dry_run(str(url))
    from syncfsm.log.sqlite.dry_run import dry_run  # noqa: PLC0415 - likewise

    return dry_run(_file_of(url))


def log_name(url: str | Path) -> str:
    """Return how a log is called to people, and in the commands they are told: its path, or its URL.

    Of a URL that may hold a password, all that is no secret.

    Raises:
        ConfigurationError: As `open_log`.
    """
    if is_postgres(url):
        require_driver()
        from syncfsm.postgres.address import parse  # noqa: PLC0415 - see above

        return parse(str(url)).name
    return str(url)


def _file_of(url: str | Path) -> str:
    """Return the path of a log's file."""
    if not str(url):
        raise ConfigurationError("the log has no name: name a file")
    scheme, _, rest = str(url).partition(":")
    if scheme != "sqlite" and rest.startswith("//"):
        raise ConfigurationError(
            f"no log is known for {scheme}:// - use sqlite:PATH or a plain path, or postgresql://HOST/DATABASE"
        )
    return path_in(url)

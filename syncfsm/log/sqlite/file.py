"""The open file of a log: one connection, held by all the parts of a `SqliteLog`, and its errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from sqlite_utils import Database

from syncfsm.errors import LogUnwritable
from syncfsm.files.in_place import identity
from syncfsm.files.paths import MEMORY
from syncfsm.log.sqlite.connect import connect, translated

_SUFFIXES = ("", "-wal", "-shm")
"""Of the files that a log is while it is written."""


class LogFile:
    """A log's file and its connection.

    Args:
        path: The file, or `:memory:`.
        read_only: Whether nothing is to be written.
        create: Whether to make the file if it is missing.
        synchronous: What SQLite waits for at the end of a transaction.
        busy_timeout_s: How long to wait for whoever holds the file.
        traceless: Whether to leave every byte of it, and of what lies beside it, as it is.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        read_only: bool = False,
        create: bool = True,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        busy_timeout_s: float = 5.0,
        traceless: bool = False,
    ) -> None:
        self.path = str(path)
        self.connection = connect(
            self.path,
            read_only=read_only,
            create=create,
            synchronous=synchronous,
            busy_timeout_s=busy_timeout_s,
            traceless=traceless,
        )
        self._busy_timeout_s = busy_timeout_s
        self._db = Database(self.connection)
        self._is_writer = not read_only
        place = Path(self.path).absolute()
        self._places = [] if self.path == MEMORY else [Path(f"{place}{suffix}") for suffix in _SUFFIXES]
        self._identities = list(map(identity, self._places))

    def one(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        """Return the first row of a query; null if there is none."""
        with self.translated():
            return self.connection.execute(sql, values).fetchone()

    def all(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self.translated():
            return self.connection.execute(sql, values).fetchall()

    def translated(self) -> AbstractContextManager[None]:
        """Turn SQLite's errors into this package's."""
        return translated(self.path)

    def atomic(self) -> AbstractContextManager[Any]:
        """Let what is written within it be written whole or not at all."""
        return self._db.atomic()

    @contextmanager
    def at_once(self) -> Iterator[float]:
        """Let nothing within it wait for whoever holds the file; what it would wait is yielded, seconds."""
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield self._busy_timeout_s
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout_s * 1000)}")

    def check_in_place(self) -> None:
        """Refuse to write where nobody would read it: into a file that is not at its path any more.

        Raises:
            LogUnwritable: Another file is there than the one that was opened, or none. What was written last
                is in the `-wal` file, and who writes and reads is told by the `-shm` file: they count too.
        """
        moved = self._moved()
        if moved is not None:
            what = "" if moved == self._places[0] else f", or a part of it, {moved.name},"
            raise LogUnwritable(
                f"the log {self._places[0]}{what} was moved, replaced or deleted while it was in use: "
                "nothing more is written to it; run again"
            )

    def close(self) -> None:
        """Close the connection. Closing twice is harmless.

        The last one to close a log empties its `-wal` file, so that one file is the log, but not where that
        is somebody who only reads. So whoever has written does it first, as far as nobody is in the way.
        """
        if self._is_writer and self._moved() is None:
            with suppress(sqlite3.Error):
                self.connection.execute("PRAGMA busy_timeout = 0")
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()

    def _moved(self) -> Path | None:
        """Return the file that is not the one that was opened; null if all are."""
        for place, was in zip(self._places, self._identities, strict=True):
            if identity(place) != was:
                return place
        return None

"""The open file of a log: one connection, held by all the parts of a `SqliteLog`, and its errors in words."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from sqlite_utils import Database

from syncfsm.errors import LogUnwritable
from syncfsm.files.in_place import identity
from syncfsm.files.paths import MEMORY
from syncfsm.log.sqlite.connect import connect, translated


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
        self._db = Database(self.connection)
        self._place = None if self.path == MEMORY else Path(self.path).absolute()
        self._identity = identity(self._place)

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

    def check_in_place(self) -> None:
        """Refuse to write where nobody would read it: into a file that is not at its path any more.

        Raises:
            LogUnwritable: Another file is there than the one that was opened, or none.
        """
        if self._place is not None and identity(self._place) != self._identity:
            raise LogUnwritable(
                f"the log {self._place} was moved, replaced or deleted while it was in use: nothing more is "
                "written to it; run again"
            )

    def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        self.connection.close()

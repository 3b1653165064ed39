"""The file of a SQLite sink: opened when needed, looked at without a trace, known to be in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from syncfsm.files.in_place import InPlace
from syncfsm.files.paths import MEMORY
from syncfsm.files.private import make_private
from syncfsm.files.sqlite import LOG_APPLICATION_ID, lacks_shm, mending_uri, traceless_uri

T = TypeVar("T")

_HEAD_BYTES = 100

_WAL_PAGES = 4000
"""How much is committed before it is carried over into the file itself: 16 MB. By the usual 4 MB, each one or
two commits would do so, and write and sync leaves that the next one touches again."""


class OfALog(sqlite3.DatabaseError):
    """The file is a log, this sync's or another's."""


class NotInPlace(sqlite3.DatabaseError):
    """The file that is open is not at its path any more, or was cut short."""


class SinkFile:
    """A SQLite file with contacts.

    Args:
        path: Where it is, or `:memory:`.
        busy_timeout_s: How long to wait for another writer.
        prepare: Makes its tables, or brings them up to date.
    """

    def __init__(
        self, path: str, busy_timeout_s: float, prepare: Callable[[sqlite3.Connection], None]
    ) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._prepare = prepare
        self._opened: Database | None = None
        self._parts: tuple[InPlace, ...] = ()

    def db(self) -> Database:
        """Return the database; opened when it is first needed."""
        if self._opened is None:
            if self._path != MEMORY:
                make_private(self._path)
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=self._busy_timeout_s)
            try:
                _check_no_log(connection)  # before anything is changed
                connection.execute("PRAGMA journal_mode = WAL")
                # A page that the log calls delivered must survive a power cut, even if the log does not.
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._opened = Database(connection)
            self._parts = () if self._path == MEMORY else _parts(Path(self._path))
        return self._opened

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Let what is written within be written whole or not at all, and where it is looked for.

        Raises:
            sqlite3.DatabaseError: It cannot be; or the file is not in its place, before or afterwards.
        """
        db = self.db()
        self.check_in_place()
        with db.atomic():
            yield db
        self.check_in_place()

    def check_in_place(self) -> None:
        """Raise if the file that is open is not the one at its path, and leave it, so that that is opened."""
        if not self.is_in_place():
            self.close()
            raise NotInPlace

    def is_in_place(self) -> bool:
        """Whether what is open, if anything is, is at its path and as long as it was."""
        return all(part.is_kept() for part in self._parts)

    @contextmanager
    def glance(self, *, mends: bool = False) -> Iterator[Database]:
        """Open the file so that no trace is left of it, and wait for nobody.

        What a killed writer left can be unreadable so, until somebody puts its `-shm` file in order: `mends`.
        """
        path = Path(self._path)
        uri, wait_s = (mending_uri(path), self._busy_timeout_s) if mends else (traceless_uri(path), 0.0)
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=wait_s)) as connection:
            _check_no_log(connection)
            yield Database(connection)

    def seen(self, look: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return what is seen in the file as it is at its path; otherwise where that cannot be looked at."""
        if self._opened is not None and self.is_in_place():
            return look(self._opened.conn)
        path = Path(self._path)
        if self._path == MEMORY or not path.exists():
            return otherwise
        for mends in (True,) if lacks_shm(path) else (False, True):
            with suppress(sqlite3.DatabaseError, ValueError), self.glance(mends=mends) as db:
                return look(db.conn)
        return otherwise

    @property
    def opened(self) -> Database | None:
        """The database, if it is open."""
        return self._opened

    def close(self) -> None:
        """Close it. Closing twice is harmless."""
        if self._opened is not None:
            self._opened.conn.close()
            self._opened = None
            self._parts = ()


def _check_no_log(connection: sqlite3.Connection) -> None:
    """Raise if a file says of itself that it is a log."""
    if connection.execute("PRAGMA application_id").fetchone() == (LOG_APPLICATION_ID,):
        raise OfALog


def _is_whole(path: Path) -> bool:
    """Whether a file is as long as it says itself: a VACUUM makes it shorter, and so does who cuts it."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    page_bytes, pages = int.from_bytes(head[16:18]), int.from_bytes(head[28:32])
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    return len(head) == _HEAD_BYTES and path.stat().st_size >= pages * page_bytes


def _parts(path: Path) -> tuple[InPlace, ...]:
    """Return the file, and the one beside it in which SQLite writes first, and makes shorter at times."""
    wal = path.with_name(f"{path.name}-wal")
    return (
        InPlace(path, may_shrink=_is_whole),
        *([InPlace(wal, may_shrink=lambda _wal: True)] if wal.exists() else ()),
    )

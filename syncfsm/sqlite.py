"""What SQLite's error codes mean to a user: shared by the log and the sink that write SQLite files."""

from __future__ import annotations

import sqlite3

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_READONLY: "it is read-only; give write permission to the file and its folder",
    sqlite3.SQLITE_PERM: "writing is not permitted; give write permission to the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder exists and can be written",
    sqlite3.SQLITE_BUSY: "another program holds it locked; wait for that program or stop it",
    sqlite3.SQLITE_LOCKED: "another program holds it locked; wait for that program or stop it",
    sqlite3.SQLITE_IOERR: "the disk refused to read or write; check the disk",
}


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code; the extended ones say more than a user needs."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def unwritable_advice(error: sqlite3.Error) -> str | None:
    """Return what is wrong with the file and what to do, or `None` if the error is of another kind."""
    return _ADVICE.get(_code(error))


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection holds the file for now."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, or no SQLite file at all."""
    return _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

"""What the log and the sink that write SQLite files share: what marks a log, and what SQLite's codes mean.

SQLite's own sentences are not repeated: that of a text which is no UTF-8 quotes the text.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

LOG_APPLICATION_ID = int.from_bytes(b"sFSM")
"""Marks a file as the log of a sync (SQLite's `application_id`), which no sink may write to."""

_WAL_HEADER_BYTES = 32
_SHM_HEADER_BYTES = 48
_SHM_IS_INIT = 12
_LOOKS = 5

_READ_ONLY = "it is read-only; give write permission to the file and its folder"

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: "writing is not permitted; give write permission to the file and its folder",
    sqlite3.SQLITE_BUSY: "another program holds it locked; wait for that program or stop it",
    sqlite3.SQLITE_LOCKED: "another program holds it locked; wait for that program or stop it",
    sqlite3.SQLITE_IOERR: "the disk refused to read or write; check the disk",
}


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code; the extended ones say more than a user needs."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def unwritable_advice(error: sqlite3.Error, path: str) -> str | None:
    """Return what is wrong with the file and what to do, or `None` if the error is of another kind."""
    if _code(error) == sqlite3.SQLITE_CANTOPEN or Path(path).is_dir():
        return _unopenable_advice(Path(path))
    return _ADVICE.get(_code(error))


def unwritable_reason(path: Path) -> str | None:
    """Return why a file could not be written, and what to do, without touching it; `None` if it could be."""
    folder = path.absolute().parent
    may_write = os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    return None if may_write and not path.is_dir() else _unopenable_advice(path)


def _unopenable_advice(path: Path) -> str:
    """Say why a file cannot be opened: SQLite has one code for all the reasons."""
    if path.is_dir():
        return "it is a folder; name a file"
    if not path.absolute().parent.is_dir():
        return "its folder does not exist; make it"
    if not os.access(path.absolute().parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return _READ_ONLY
    return "it cannot be opened; check its permissions"


def error_name(error: sqlite3.Error) -> str:
    """Return SQLite's name for an error: `SQLITE_CORRUPT`. Its sentence may quote what is stored."""
    if _is_text_broken(error):
        return "a text that is no UTF-8"
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection holds the file for now."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, or no SQLite file at all."""
    return _is_text_broken(error) or _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _is_text_broken(error: sqlite3.Error) -> bool:
    return "Could not decode to UTF-8" in str(error)  # which Python notices, and SQLite does not


def traceless_uri(path: Path) -> str:
    """Return the URI by which SQLite reads a file and leaves it, and its folder, as they are byte for byte.

    Without a `-wal` file all is in the file itself. With one, somebody writes or was killed, and what is in
    it counts: it is read, with the `-shm` file beside it, which is left alone.
    """
    how = "readonly_shm=1" if _has_wal(path) else "immutable=1"
    return f"file:{quote(str(path.absolute()))}?mode=ro&{how}"


def mending_uri(path: Path) -> str:
    """Return the URI by which SQLite opens a file, and puts in order what a killed writer left of it."""
    return f"file:{quote(str(path.absolute()))}?mode=rw"


def lacks_shm(path: Path) -> bool:
    """Whether a file cannot be read without a trace: its `-wal` counts, and the `-shm` would be made anew.

    One that a killed writer left unfinished counts as none: who may not write it would try for ten seconds.
    """
    return _has_wal(path) and not any(_is_in_order(Path(f"{path}-shm")) for _ in range(_LOOKS))


def _is_in_order(shm: Path) -> bool:
    """Whether the index of a `-wal` file begins as a finished one does: with two equal headers.

    See https://www.sqlite.org/walformat.html, section 2.1. A writer that is alive makes them differ for a
    moment, so that one look is not enough.
    """
    try:
        with shm.open("rb") as file:
            head = file.read(2 * _SHM_HEADER_BYTES)
    except OSError:
        return False
    first, second = head[:_SHM_HEADER_BYTES], head[_SHM_HEADER_BYTES:]
    return len(second) == _SHM_HEADER_BYTES and first == second and first[_SHM_IS_INIT] == 1


def _has_wal(path: Path) -> bool:
    """Whether there is a `-wal` file with anything in it beside its header."""
    wal = Path(f"{path}-wal")
    return wal.exists() and wal.stat().st_size > _WAL_HEADER_BYTES

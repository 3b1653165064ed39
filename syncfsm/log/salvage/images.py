"""What an audit asks of a SQLite file: its bytes, one moment of it, and what SQLite itself says of it.

A log that is being written keeps its last pages beside the file, in the WAL. Its bytes are then those that
SQLite sees, copied into memory; otherwise the file itself is read, a page at a time.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from syncfsm.core.describe import plural
from syncfsm.files.paths import MEMORY
from syncfsm.log.salvage.btree import Image

DAMAGES_MAX = 10
"""Lines that SQLite's own check may have."""


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all that is read within it be of one moment, whoever writes meanwhile."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):  # a damaged file is read all the same
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # nothing was written


@contextmanager
def image_of(connection: sqlite3.Connection, path: str) -> Iterator[Image]:
    """Yield the bytes of a log as its connection sees them."""
    if path == MEMORY or _has_wal(path):
        yield Image(connection.serialize())
    else:
        with file_image(path) as image:
            yield image


def _has_wal(path: str) -> bool:
    wal = Path(f"{path}-wal")
    return wal.exists() and wal.stat().st_size > 0


@contextmanager
def file_image(path: str, page_bytes: int | None = None) -> Iterator[Image]:
    """Yield the bytes of a file, without the WAL that may lie beside it."""
    with Path(path).open("rb") as file:
        if not Path(path).stat().st_size:
            yield Image(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield Image(data, page_bytes)


def shortfall(image: Image) -> str | None:
    """Return how much a file lacks, if it was cut short."""
    if not image.page_count:
        return "the file is empty: nothing is left"
    if image.is_stump:
        return "the file was cut short: next to nothing is left"
    if image.pages_missing:
        return f"the file was cut short: {plural(image.pages_missing, 'page')} missing at its end"
    return None


def damages(connection: sqlite3.Connection, path: str) -> list[str]:
    """Return what is wrong with a log's file, apart from its events; first what the rest may come of."""
    found = integrity(connection)
    if path == MEMORY or _has_wal(path):
        return found
    with file_image(path) as image:
        return [*filter(None, [shortfall(image)]), *found]


def integrity(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong with its file: pages, indexes, column types."""
    factory = connection.text_factory
    connection.text_factory = lambda text: text.decode(errors="replace")
    try:
        rows = connection.execute(f"PRAGMA integrity_check({DAMAGES_MAX})").fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        rows = [(str(error),)]
    finally:
        connection.text_factory = factory
    lines = [line for (text,) in rows for line in str(text).splitlines() if not line.startswith("***")]
    return [] if lines == ["ok"] else [f"SQLite says: {line}" for line in lines]

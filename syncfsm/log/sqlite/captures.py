"""The table `captures` of a SQLite log: what came from outside, compressed; may be deleted, unlike events."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncfsm.core.capture import Captured, Exchange, Forgotten
from syncfsm.errors import LogUnwritable, ProcessNotFound

LEVEL = 6
"""zlib's own default: Attio's JSON becomes about a tenth."""

_INSERT = "INSERT INTO captures (stream, version, at, request, as_of, body) VALUES (?, ?, ?, ?, ?, ?)"


def insert(
    connection: sqlite3.Connection, stream: str, version: int, at: str, exchanges: Sequence[Exchange]
) -> None:
    """Write exchanges within the transaction of the events that they led to."""
    connection.executemany(
        _INSERT,
        (
            (stream, version, at, exchange.request, exchange.as_of, zlib.compress(exchange.body, LEVEL))
            for exchange in exchanges
        ),
    )


def select(connection: sqlite3.Connection, stream: str) -> Iterator[Captured]:
    """Yield what is kept of a process, in the order in which it came."""
    if _has_table(connection):
        sql = "SELECT id, version, request FROM captures WHERE stream = ? ORDER BY id"
        for id_, version, request in connection.execute(sql, (stream,)):
            yield Captured(id=id_, version=version, request=request)


def exchange(connection: sqlite3.Connection, id_: int) -> Exchange:
    """Return one exchange with its body."""
    sql = "SELECT request, as_of, body FROM captures WHERE id = ?"
    found = connection.execute(sql, (id_,)).fetchone()
    if found is None:
        raise ProcessNotFound(f"capture {id_} was forgotten meanwhile")
    request, as_of, body = found
    return Exchange(request=request, as_of=as_of, body=zlib.decompress(body))


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many exchanges are kept of each process that has any."""
    if not _has_table(connection):
        return {}
    return dict(connection.execute("SELECT stream, count(*) FROM captures GROUP BY stream"))


def forget(connection: sqlite3.Connection, path: str, before: str, stream: str | None) -> Forgotten:
    """Delete what came before a moment, and see that its bytes are gone from the log's files.

    SQLite only unlinks what is deleted: `secure_delete` writes zeros over it, and a truncating checkpoint
    empties the write-ahead log, where copies of old pages are. `VACUUM` then gives the room back; it needs as
    much for a while, and where there is none, the bytes are gone all the same.
    """
    bytes_before = _file_bytes(path)
    connection.execute("PRAGMA secure_delete = ON")
    sql = "DELETE FROM captures WHERE at < ?1 AND (?2 IS NULL OR stream = ?2)"
    deleted = connection.execute(sql, (before, stream)).rowcount
    _checkpoint(connection, path, deleted)
    connection.execute("VACUUM")
    _checkpoint(connection, path, deleted)
    return Forgotten(exchanges=deleted, freed_bytes=max(0, bytes_before - _file_bytes(path)))


def _checkpoint(connection: sqlite3.Connection, path: str, deleted: int) -> None:
    """Empty the write-ahead log.

    Raises:
        LogUnwritable: Another program is reading from it.
    """
    (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise LogUnwritable(
            f"{deleted} captured answers are deleted, but another program is reading {path}, and what it "
            f"reads is still in {path}-wal: run the same command again when that program is done"
        )


def _has_table(connection: sqlite3.Connection) -> bool:
    """Whether the log has the table: an older one that is only read has not been brought up to date."""
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'captures'"
    return bool(connection.execute(sql).fetchone()[0])


def _file_bytes(path: str) -> int:
    files = (Path(f"{path}{suffix}") for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())

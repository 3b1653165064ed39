"""The table `captures` of a SQLite log: what came from outside, compressed; may be deleted, unlike events."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from syncfsm.core.capture import Captured, Exchange, Forgotten
from syncfsm.core.times import format_time
from syncfsm.errors import LogUnwritable, ProcessNotFound
from syncfsm.log.sqlite.checksums import seal
from syncfsm.log.sqlite.file import LogFile

LEVEL = 6
"""zlib's own default: Attio's JSON becomes about a tenth."""

_INSERT = "INSERT INTO captures (stream, version, at, request, as_of, body) VALUES (?, ?, ?, ?, ?, ?)"


def insert(
    connection: sqlite3.Connection, stream: str, version: int, at: str, exchanges: Sequence[Exchange]
) -> None:
    """Write exchanges within the transaction of the events that they led to."""
    for exchange in exchanges:
        values = (stream, version, at, exchange.request, exchange.as_of, zlib.compress(exchange.body, LEVEL))
        inserted = connection.execute(_INSERT, values)
        seal(connection, "captures", inserted.lastrowid)


class SqliteCaptures:
    """The `Captures` of a log."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def captures(self, process_id: str) -> list[Captured]:
        """See `Captures.captures`."""
        sql = "SELECT id, version, request FROM captures WHERE stream = ? ORDER BY id"
        return [
            Captured(id=id_, version=version, request=request)
            for id_, version, request in self._file.all(sql, (process_id,))
        ]

    def exchange(self, capture_id: int) -> Exchange:
        """See `Captures.exchange`."""
        found = self._file.one("SELECT request, as_of, body FROM captures WHERE id = ?", (capture_id,))
        if found is None:
            raise ProcessNotFound(f"capture {capture_id} was forgotten meanwhile")
        request, as_of, body = found
        return Exchange(request=request, as_of=as_of, body=zlib.decompress(body))

    def capture_counts(self) -> dict[str, int]:
        """See `Captures.capture_counts`."""
        return dict(self._file.all("SELECT stream, count(*) FROM captures GROUP BY stream"))

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """See `Captures.forget`: see that its bytes are gone from the log's files, too.

        SQLite only unlinks what is deleted: `secure_delete` writes zeros over it, and a truncating
        checkpoint empties the write-ahead log, where copies of old pages are. `VACUUM` then gives the room
        back; it needs as much for a while, and where there is none, the bytes are gone all the same.
        """
        connection, path = self._file.connection, self._file.path
        bytes_before = _file_bytes(path)
        sql = "DELETE FROM captures WHERE at < ?1 AND (?2 IS NULL OR stream = ?2)"
        with self._file.translated():
            connection.execute("PRAGMA secure_delete = ON")
            deleted = connection.execute(sql, (format_time(before), process_id)).rowcount
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


def _file_bytes(path: str) -> int:
    files = (Path(f"{path}{suffix}") for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())

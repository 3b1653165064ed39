"""The table `inbox` of a SQLite log: what webhooks told of, until a process saw to it and a while longer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from syncfsm.core.notices import Notice, Put, Waiting, first_batch
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.times import format_time
from syncfsm.log.sqlite.checksums import given, seal
from syncfsm.log.sqlite.file import LogFile

_INSERT = """
    INSERT INTO inbox (source, object, key, record_ids, received_at, gone) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (source, object, key) DO NOTHING
"""

_WAITING = """
    SELECT inbox.id, record_ids, failed.id, coalesce(gone, 'null') FROM inbox
    LEFT JOIN processes AS failed ON failed.id = process AND failed.state = 'FAILED'
    WHERE inbox.source = ? AND inbox.object = ? AND (received_at <= ? OR received_at > ?)
        AND (process IS NULL OR process IN (SELECT id FROM processes WHERE state IN ('CANCELLED', 'FAILED')))
    ORDER BY failed.updated_at, failed.id, inbox.id
"""
"""Null comes first: what no process has tried, before what has failed longest ago."""

WAITING_COUNT = """
    SELECT count(*) FROM inbox
    WHERE process IS NULL OR process IN (SELECT id FROM processes WHERE state IN ('CANCELLED', 'FAILED'))
"""

_CLEAR = """
    DELETE FROM inbox WHERE received_at < ?
        AND process IN (SELECT id FROM processes WHERE state = 'COMPLETED')
"""

_EVER = "9999"
"""After every time that a log writes, as text."""

_ids = msgspec.json.Decoder(tuple[str, ...])
_gone = msgspec.json.Decoder(tuple[ToldGone, ...] | None)


class SqliteInbox:
    """An `Inbox`."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def receive(self, notice: Notice) -> bool:
        """See `Inbox.receive`.

        Whoever sent it is told next that it is kept, and sends it no more. So it must survive a power cut,
        even where events need not: they can be fetched again, a notice cannot.
        """
        connection = self._file.connection
        with self._file.translated(), _durable(connection), self._file.atomic():
            inserted = connection.execute(_INSERT, _values(notice))
            is_new = inserted.rowcount == 1
            if is_new:
                seal(connection, "inbox", inserted.lastrowid)
        self._file.check_in_place()  # last, for the same reason
        return is_new

    def waiting(
        self, source: str, object_: str, *, until: datetime | None = None, now: datetime | None = None
    ) -> Waiting:
        """See `Inbox.waiting`."""
        latest, future = (format_time(at) if at else _EVER for at in (until, now))
        with self._file.translated():
            rows = self._file.connection.execute(_WAITING, (source, object_, latest, future))
            return first_batch(
                Put(number, _ids.decode(encoded), failed, _gone.decode(gone))
                for number, encoded, failed, gone in rows
            )

    def clear_inbox(self, before: datetime) -> int:
        """See `Inbox.clear_inbox`."""
        with self._file.translated():
            return self._file.connection.execute(_CLEAR, (format_time(before),)).rowcount


def _values(notice: Notice) -> tuple[Any, ...]:
    ids = msgspec.json.encode(notice.record_ids).decode()
    gone = msgspec.json.encode(notice.gone).decode()
    return notice.source, notice.object, notice.key, ids, format_time(notice.received_at), gone


def take(connection: sqlite3.Connection, stream: str, notices: Sequence[int]) -> None:
    """Give notices to a process, within the transaction of the event that begins it."""
    for id_ in notices:
        for (digest,) in connection.execute("SELECT digest FROM inbox WHERE id = ?", (id_,)).fetchall():
            values = (stream, given(digest, stream) if digest else None, id_)
            connection.execute("UPDATE inbox SET process = ?, digest = ? WHERE id = ?", values)


@contextmanager
def _durable(connection: sqlite3.Connection) -> Iterator[None]:
    """Let what is committed within it survive a power cut, whatever the log is opened with."""
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA synchronous = {level}")

"""The table `inbox` of a SQLite log: what webhooks told of, until a process saw to it and a while longer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from syncfsm.core.notices import RECORD_IDS_MAX, Notice, Waiting
from syncfsm.core.times import format_time

_INSERT = """
    INSERT INTO inbox (source, object, key, record_ids, received_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source, object, key) DO NOTHING
"""

_WAITING = """
    SELECT inbox.id, record_ids, failed.id FROM inbox
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


def insert(connection: sqlite3.Connection, notice: Notice) -> bool:
    """Write a notice, unless one with its key is there; whoever sent it is told then, and sends it no more.

    So it must survive a power cut, even where events need not: they can be fetched again, a notice cannot.
    """
    values = (
        notice.source,
        notice.object,
        notice.key,
        msgspec.json.encode(notice.record_ids).decode(),
        format_time(notice.received_at),
    )
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    try:
        return connection.execute(_INSERT, values).rowcount == 1
    finally:
        connection.execute(f"PRAGMA synchronous = {level}")


def waiting(
    connection: sqlite3.Connection,
    source: str,
    object_: str,
    until: datetime | None,
    now: datetime | None,
) -> Waiting:
    """Return the notices that wait. See `EventLog.waiting`."""
    latest, future = (format_time(at) if at else _EVER for at in (until, now))
    notices: list[int] = []
    record_ids: dict[str, None] = {}
    whose: str | None = None
    for number, encoded, failed in connection.execute(_WAITING, (source, object_, latest, future)):
        more = dict.fromkeys(_ids.decode(encoded))
        if notices and (failed != whose or len(record_ids | more) > RECORD_IDS_MAX):
            break
        notices.append(number)
        record_ids |= more
        whose = failed
    return Waiting(notices=tuple(notices), record_ids=tuple(record_ids), failed=whose)


def take(connection: sqlite3.Connection, stream: str, notices: Sequence[int]) -> None:
    """Give notices to a process, within the transaction of the event that begins it."""
    connection.executemany("UPDATE inbox SET process = ? WHERE id = ?", ((stream, id_) for id_ in notices))


def clear(connection: sqlite3.Connection, before: datetime) -> int:
    """Delete old notices that were seen to."""
    return connection.execute(_CLEAR, (format_time(before),)).rowcount

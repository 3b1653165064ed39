"""The table `inbox` of a SQLite log: what webhooks told of, until a process saw to it and a while longer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from syncfsm.inbox import RECORD_IDS_MAX, Notice, Waiting
from syncfsm.log.codec import format_time

_INSERT = """
    INSERT INTO inbox (source, object, key, record_ids, received_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source, object, key) DO NOTHING
"""

_WAITING = """
    SELECT id, record_ids FROM inbox
    WHERE source = ? AND object = ? AND received_at <= ? AND (process IS NULL OR process IN (
        SELECT id FROM processes WHERE state IN ('CANCELLED', 'FAILED')
    ))
    ORDER BY id
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


def waiting(connection: sqlite3.Connection, source: str, object_: str, until: datetime | None) -> Waiting:
    """Return the notices that wait. See `EventLog.waiting`."""
    latest = format_time(until) if until else _EVER
    notices: list[int] = []
    record_ids: dict[str, None] = {}
    for number, encoded in connection.execute(_WAITING, (source, object_, latest)):
        more = dict.fromkeys(_ids.decode(encoded))
        if notices and len(record_ids | more) > RECORD_IDS_MAX:
            break
        notices.append(number)
        record_ids |= more
    return Waiting(notices=tuple(notices), record_ids=tuple(record_ids))


def take(connection: sqlite3.Connection, stream: str, notices: Sequence[int]) -> None:
    """Give notices to a process, within the transaction of the event that begins it."""
    connection.executemany("UPDATE inbox SET process = ? WHERE id = ?", ((stream, id_) for id_ in notices))


def clear(connection: sqlite3.Connection, before: datetime) -> int:
    """Delete old notices that were seen to."""
    return connection.execute(_CLEAR, (format_time(before),)).rowcount

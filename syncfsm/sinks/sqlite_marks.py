"""What a SQLite sink says of itself: two small tables, written in the transactions of its contacts."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from syncfsm.core.marks import Mark
from syncfsm.core.times import format_time, parse_time
from syncfsm.errors import CorruptLog

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS syncfsm_sink (id TEXT NOT NULL) STRICT",
    """
    CREATE TABLE IF NOT EXISTS syncfsm_marks (
        source    TEXT NOT NULL,
        object    TEXT NOT NULL,
        process   TEXT NOT NULL,
        version   INTEGER NOT NULL,
        watermark TEXT,
        PRIMARY KEY (source, object)
    ) STRICT, WITHOUT ROWID
    """,
)

_NAME_ONCE = "INSERT INTO syncfsm_sink (id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM syncfsm_sink)"

_SET = """
    INSERT INTO syncfsm_marks (source, object, process, version, watermark) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source, object) DO UPDATE SET
        process = excluded.process, version = excluded.version, watermark = excluded.watermark
    WHERE process <> excluded.process OR version <= excluded.version
"""

_TABLES = "SELECT count(*) FROM sqlite_schema WHERE name IN ('syncfsm_sink', 'syncfsm_marks')"


def prepare(connection: sqlite3.Connection, sink_id: str) -> None:
    """Make the tables, and give the sink its id where it has none yet; within a transaction."""
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(_NAME_ONCE, (sink_id,))


def sink_id(connection: sqlite3.Connection) -> str | None:
    """Return the id, if the sink has one."""
    if not _has_tables(connection):
        return None
    found = connection.execute("SELECT id FROM syncfsm_sink").fetchone()
    return str(found[0]) if found else None


def marks(connection: sqlite3.Connection) -> tuple[Mark, ...]:
    """Return all marks."""
    if not _has_tables(connection):
        return ()
    rows = connection.execute("SELECT source, object, process, version, watermark FROM syncfsm_marks")
    return tuple(
        Mark(
            source=source,
            object=object_,
            process=process,
            version=version,
            watermark=_moment(watermark),
        )
        for source, object_, process, version, watermark in rows
    )


def _moment(text: str | None) -> datetime | None:
    """Return a watermark; what is none says nothing."""
    try:
        return parse_time(text) if text else None
    except CorruptLog:
        return None


def set_mark(connection: sqlite3.Connection, mark: Mark) -> None:
    """Set one mark, unless it is an earlier one of the same process; within a transaction."""
    watermark = format_time(mark.watermark) if mark.watermark else None
    connection.execute(_SET, (mark.source, mark.object, mark.process, mark.version, watermark))


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute(_TABLES).fetchone()[0] == 2)

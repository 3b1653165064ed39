"""What a sink in PostgreSQL says of itself: two small tables in the schema of its contacts.

A schema may have several sinks, each with a table of its own; so both tables say of which one they speak.
They are written in the transactions of the contacts, and dumped and restored with them.
"""

from __future__ import annotations

from datetime import datetime

from syncfsm.core.marks import Mark
from syncfsm.core.times import format_time, parse_time
from syncfsm.errors import CorruptLog
from syncfsm.postgres.connection import Connection
from syncfsm.sinks.postgres.place import MARKS, SINKS, Place

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS {sinks} (sink text PRIMARY KEY, id text NOT NULL)",
    """
    CREATE TABLE IF NOT EXISTS {marks} (
        sink      text NOT NULL,
        source    text NOT NULL,
        object    text NOT NULL,
        process   text NOT NULL,
        version   bigint NOT NULL,
        watermark text,
        PRIMARY KEY (sink, source, object)
    )
    """,
)

_NAME_ONCE = "INSERT INTO {sinks} (sink, id) VALUES (%s, %s) ON CONFLICT (sink) DO NOTHING"

_SET = """
    INSERT INTO {marks} AS m (sink, source, object, process, version, watermark)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (sink, source, object) DO UPDATE SET
        process = excluded.process, version = excluded.version, watermark = excluded.watermark
    WHERE m.process <> excluded.process OR m.version <= excluded.version
"""

_ALL = """
    SELECT s.id, m.source, m.object, m.process, m.version, m.watermark
    FROM {sinks} AS s LEFT JOIN {marks} AS m USING (sink) WHERE sink = %s
"""

_THERE = """
    SELECT count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname IN (%s, %s)
"""


class Marks:
    """The marks of one sink, over whatever connection."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def are_there(self, connection: Connection) -> bool:
        """Whether both tables are there."""
        found = self._place.run(connection, _THERE, self._place.address.schema, SINKS, MARKS)
        return found.fetchone() == (2,)

    def prepare(self, connection: Connection) -> None:
        """Make the tables; within a transaction that nobody else makes them in."""
        for statement in _SCHEMA:
            self._place.run(connection, statement)

    def name(self, connection: Connection, sink_id: str) -> None:
        """Give the sink its id where it has none yet."""
        self._place.run(connection, _NAME_ONCE, self._place.table, sink_id)

    def forget(self, connection: Connection) -> None:
        """Forget all that is said of a table that is not there any more."""
        for statement in ("DELETE FROM {sinks} WHERE sink = %s", "DELETE FROM {marks} WHERE sink = %s"):
            self._place.run(connection, statement, self._place.table)

    def set(self, connection: Connection, mark: Mark) -> None:
        """Set one mark, unless it is an earlier one of the same process; within a transaction."""
        watermark = format_time(mark.watermark) if mark.watermark else None
        values = (mark.source, mark.object, mark.process, mark.version, watermark)
        self._place.run(connection, _SET, self._place.table, *values)

    def standing(self, connection: Connection) -> tuple[str | None, tuple[Mark, ...]]:
        """Return the id of the sink, if it has one, and its marks."""
        if not self.are_there(connection):
            return None, ()
        rows = self._place.run(connection, _ALL, self._place.table).fetchall()
        marks = tuple(_mark(*row[1:]) for row in rows if row[1] is not None)
        return (rows[0][0] if rows else None), marks


def _mark(source: str, object_: str, process: str, version: int, watermark: str | None) -> Mark:
    return Mark(source=source, object=object_, process=process, version=version, watermark=_moment(watermark))


def _moment(text: str | None) -> datetime | None:
    """Return a watermark; what is none says nothing."""
    try:
        return parse_time(text) if text else None
    except CorruptLog:
        return None

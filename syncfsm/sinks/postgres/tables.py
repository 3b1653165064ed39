"""The table of contacts in PostgreSQL: made where it is missing, refused where it is something else's."""

from __future__ import annotations

from typing import NamedTuple

from syncfsm.postgres.connection import Connection
from syncfsm.sinks.postgres.marks import Marks
from syncfsm.sinks.postgres.place import Place
from syncfsm.sinks.postgres.rows import LISTS, NAMES

_SCHEMA = """
    CREATE TABLE {table} (
        external_id   text NOT NULL,
        source        text NOT NULL,
        first_name    text,
        last_name     text,
        company       text,
        role          text,
        phone_numbers text[] NOT NULL DEFAULT '{{}}',
        emails        text[] NOT NULL DEFAULT '{{}}',
        source_url    text,
        synced_at     timestamptz NOT NULL,
        deleted_at    timestamptz,
        PRIMARY KEY (source, external_id)
    )
"""

_LOCK = "SELECT pg_catalog.pg_advisory_xact_lock(%s)"

_LOCK_ID = int.from_bytes(b"sFSMsink")
"""Held while tables are made: of two that say IF NOT EXISTS at once, one may fail all the same (23505)."""

_LOOK = """
    SELECT
        n.oid IS NOT NULL,
        pg_catalog.current_setting('transaction_read_only') = 'on',
        CASE
            WHEN c.oid IS NOT NULL THEN (
                SELECT bool_and(pg_catalog.has_any_column_privilege(c.oid, needed))
                FROM unnest('{{SELECT,INSERT,UPDATE}}'::text[]) AS needed
            ) AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            WHEN n.oid IS NOT NULL THEN pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
            ELSE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
        END,
        c.oid::bigint,
        c.relkind IN ('r', 'p'),
        ARRAY(
            SELECT a.attname::text || ' ' || t.typcategory::text || coalesce(e.typcategory::text, '')
            FROM pg_catalog.pg_attribute AS a
            JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ),
        EXISTS (
            SELECT FROM pg_catalog.pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 2
                AND ARRAY(
                    SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                    WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:1])
                    ORDER BY a.attnum
                ) @> '{{external_id,source}}'::text[]
        )
    FROM (VALUES (%s::text, %s::text)) AS asked (schema, name)
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = asked.schema
    LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = asked.name
"""


class Look(NamedTuple):
    """What there is where the contacts are to be, and what may be done with it.

    Attributes:
        has_schema: Whether the schema is there.
        is_read_only: Whether the server takes no writes.
        is_allowed: Whether the user may make what is missing, and write what is there.
        oid: What the server calls the table, for as long as it is that one; `None` where there is none.
        is_ours: Whether it has the columns and the key that this sink needs.
    """

    has_schema: bool
    is_read_only: bool
    is_allowed: bool
    oid: int | None
    is_ours: bool


def look(connection: Connection, place: Place) -> Look:
    """Return what there is; nothing is touched."""
    found = place.run(connection, _LOOK, place.address.schema, place.table).fetchone()
    assert found is not None, "it has one row whatever there is"
    has_schema, is_read_only, is_allowed, oid, is_table, columns, has_key = found
    is_ours = bool(is_table) and has_key and _fits(columns)
    return Look(has_schema, is_read_only, bool(is_allowed), oid, is_ours)


def _fits(columns: list[str]) -> bool:
    """Whether there are columns for all that is written: texts, lists of texts, and moments.

    The letters are PostgreSQL's categories of types, so that a `varchar(80)` will do.
    """
    categories = dict(column.rsplit(" ", 1) for column in columns)
    wanted = {name: "AS" if name in LISTS else "S" for name in NAMES} | {"synced_at": "D", "deleted_at": "D"}
    return all(categories.get(name) == category for name, category in wanted.items())


def prepare(connection: Connection, place: Place, sink_id: str) -> None:
    """Make what is missing, whoever else is about to, and give the sink its id where it has none yet."""
    marks = Marks(place)
    with connection.transaction():
        place.run(connection, _LOCK, _LOCK_ID)
        found = look(connection, place)
        if not found.has_schema:
            place.run(connection, "CREATE SCHEMA {schema}")
        if not marks.are_there(connection):
            marks.prepare(connection)
        if found.oid is None:
            marks.forget(connection)  # what is said there is of another table, which is gone
            place.run(connection, _SCHEMA)
        marks.name(connection, sink_id)

"""The tables of the queue, in the schema of the log: Procrastinate's own, and whose turn it is.

Made under a lock of the schema's, so that of two workers that start at once, one does it. Procrastinate's
migrations come with it as files; which of them the schema has had, is recorded here.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import sql

from syncfsm.errors import LogError
from syncfsm.postgres.address import Address, parse
from syncfsm.postgres.connection import Connection, connect
from syncfsm.postgres.errors import refusal_advice

TURNS = """
CREATE TABLE IF NOT EXISTS turns (
    sync text PRIMARY KEY,
    account text NOT NULL,
    process text,
    worker text,
    since timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    told_of text
);
CREATE INDEX IF NOT EXISTS turns_due ON turns (due_at);
CREATE TABLE IF NOT EXISTS account_waits (
    account text PRIMARY KEY,
    not_before timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS queue_migrations (
    name text PRIMARY KEY
);
"""
"""Whose turn it is. `worker` is on `sync` since then, at `process`; `told_of` is the process whose standing
still was told of. `due_at` is when to look at it again, whatever became of its job. Nobody is asked for an
account before `not_before`."""

_MAKING = "syncfsm queue"


def made_ready(url: str) -> None:
    """Make the tables of the queue where they are missing, and bring them up to date.

    Args:
        url: The log, which is there.

    Raises:
        LogError: They cannot be made.
    """
    address = parse(url)
    try:
        _prepare(address)
    except psycopg.Error as error:
        raise LogError(
            f"the queue of workers cannot be made at {address.name}: {refusal_advice(error)}"
        ) from None


def _prepare(address: Address) -> None:
    with queue_connection(address, "making the queue") as connection, connection.transaction():
        migrations = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
        had = _had(connection)
        is_made = all(_is_there(connection, table) for table in ("turns", "account_waits"))
        if is_made and had.issuperset(migration.name for migration in migrations):
            return  # also for a user who may make nothing there
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", (_MAKING, address.schema)
        )
        connection.execute(TURNS.encode())
        _bring_up_to_date(connection, migrations, address)


def _bring_up_to_date(connection: Connection, migrations: list[Path], address: Address) -> None:
    """Make Procrastinate's tables, or run the migrations that have come since.

    Raises:
        LogError: They are there, and nobody recorded which migrations they have had.
    """
    had = _had(connection)
    if had:
        for migration in migrations:
            if migration.name not in had:
                connection.execute(migration.read_text(encoding="utf-8").encode())
    elif _is_there(connection, "procrastinate_jobs"):
        raise LogError(
            f"{address.name} has tables of Procrastinate that somebody else made, of whatever version: give "
            "the log a schema of its own, by ?schema=NAME"
        )
    else:
        connection.execute(SchemaManager.get_schema().encode())
    _record(connection, migrations)


def _had(connection: Connection) -> set[str]:
    """Return the names of the migrations that the schema has had."""
    if not _is_there(connection, "queue_migrations"):
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM queue_migrations")}


def _is_there(connection: Connection, table: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return found is not None and bool(found[0])


def _record(connection: Connection, migrations: list[Path]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO queue_migrations VALUES (%s) ON CONFLICT DO NOTHING",
            [(migration.name,) for migration in migrations],
        )


def queue_connection(address: Address, purpose: str) -> Connection:
    """Return a connection that finds the tables of the queue, which Procrastinate calls by their bare names.

    Raises:
        psycopg.Error: It cannot be made.
    """
    connection = connect(address, purpose=purpose)
    connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(address.schema)))
    return connection

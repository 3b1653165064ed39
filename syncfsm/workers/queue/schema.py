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
    migrations = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    with queue_connection(address, "making the queue") as connection, connection.transaction():
        if _is_ready(connection, migrations):
            return
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", (_MAKING, address.schema)
        )
        connection.execute(TURNS.encode())
        is_there = connection.execute("SELECT to_regclass('procrastinate_jobs') IS NOT NULL").fetchone()
        if is_there is not None and not is_there[0]:
            connection.execute(SchemaManager.get_schema().encode())
            _record(connection, migrations)
        else:
            _migrate(connection, migrations)


def _is_ready(connection: Connection, migrations: list[Path]) -> bool:
    """Whether nothing is left to make, which a worker may not be allowed to: `log migrate` has made it."""
    made = connection.execute(
        "SELECT to_regclass('turns') IS NOT NULL AND to_regclass('account_waits') IS NOT NULL "
        "AND to_regclass('queue_migrations') IS NOT NULL AND to_regclass('procrastinate_jobs') IS NOT NULL"
    ).fetchone()
    if made is None or not made[0]:
        return False
    had = {name for (name,) in connection.execute("SELECT name FROM queue_migrations")}
    return had >= {migration.name for migration in migrations}


def _migrate(connection: Connection, migrations: list[Path]) -> None:
    """Run the migrations that have come since; where none were recorded, all there are count as had."""
    had = {name for (name,) in connection.execute("SELECT name FROM queue_migrations")}
    pending = [migration for migration in migrations if had and migration.name not in had]
    for migration in pending:
        connection.execute(migration.read_text(encoding="utf-8").encode())
    _record(connection, migrations)


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

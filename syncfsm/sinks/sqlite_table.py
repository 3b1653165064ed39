"""The table `contacts`: made where it is missing, and told from another program's of the same name."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database

from syncfsm.sinks.sqlite_rows import NAMES

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS contacts (
        external_id   TEXT NOT NULL,
        source        TEXT NOT NULL,
        first_name    TEXT,
        last_name     TEXT,
        company       TEXT,
        role          TEXT,
        phone_numbers TEXT NOT NULL,
        emails        TEXT NOT NULL,
        source_url    TEXT,
        synced_at     TEXT NOT NULL,
        deleted_at    TEXT,
        PRIMARY KEY (external_id, source)
    ) STRICT, WITHOUT ROWID
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the table, or let one of an older version mark what is deleted."""
    connection.execute(_SCHEMA)
    db = Database(connection)
    if is_ours(db) and "deleted_at" not in _columns(db):
        try:
            db.execute("ALTER TABLE contacts ADD COLUMN deleted_at TEXT")
        except sqlite3.OperationalError:
            if "deleted_at" not in _columns(db):  # else another process was first
                raise


def _columns(db: Database) -> dict[str, int]:
    """Return the place of each column of `contacts` in its key; 0 if it is not in it."""
    return {name: key for _, name, _, _, _, key in db.execute("PRAGMA table_info(contacts)")}


def is_ours(db: Database) -> bool:
    """Whether the table `contacts` has the columns and the key that this sink needs."""
    columns = _columns(db)
    wanted = {*NAMES, "synced_at"}
    return wanted <= columns.keys() and {name for name in columns if columns[name]} == {
        "external_id",
        "source",
    }

"""Changing a log as somebody with an editor would, past the triggers that guard its events."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from syncfsm.log.sqlite.checksums import SEALED

_GUARDS = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'events_refuse_%'"


def edit(path: Path, *statements: str) -> None:
    """Run statements on a log whose guards are taken away meanwhile, and put back."""
    connection = sqlite3.connect(path, isolation_level=None)
    guards = connection.execute(_GUARDS).fetchall()
    if "DROP TABLE prunings" in statements:
        guards = [(name, sql) for name, sql in guards if "prun" not in name]
        connection.execute("DROP TRIGGER events_refuse_unpruned")
    for name, _ in guards:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in guards:
        connection.execute(sql)
    connection.close()


WITHOUT_PRUNINGS = (
    "DROP TABLE prunings",
    "DROP TABLE pruning_now",
    """CREATE TRIGGER events_refuse_delete
    BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    "DELETE FROM _sqlite_migrations WHERE name >= 'm010'",
)
"""Make a log as one was before anything could be pruned."""

WITHOUT_SIDES = (
    *WITHOUT_PRUNINGS,
    "DROP TABLE sides",
    "DROP INDEX processes_by_position",
    "DROP INDEX processes_by_end",
    "CREATE INDEX processes_by_route ON processes (source, object, sink, mode, position)",
    "CREATE INDEX processes_by_fetching ON processes (source, sink, fetching_position)",
    "DELETE FROM _sqlite_migrations WHERE name >= 'm009'",
)
"""Make a log as one was before there were sides."""


def without_guards(path: Path) -> None:
    """Make a log as one was before what would replace an event was refused, and rows had checksums."""
    edit(path, *WITHOUT_SIDES)
    with sqlite3.connect(path) as connection:
        for name in ("events_refuse_replace", "events_tally"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DROP TABLE tally")
        for table in SEALED:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN digest")
        connection.execute("ALTER TABLE inbox DROP COLUMN gone")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name >= 'm007'")
    connection.close()

"""Rows of a SQLite log: the statements that write them, and their values to and fro."""

from __future__ import annotations

from typing import Any

from syncfsm.core.process import Process
from syncfsm.log import sides
from syncfsm.log.codec import SNAPSHOT_SCHEMA, to_snapshot
from syncfsm.log.columns import MODEL, model_values
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.sqlite.schema import FETCHING_POSITION

SNAPSHOT_VERSION_MIN = 9
"""A process of fewer events is folded and has no snapshot, which would be longer than all of them: so it is
with most, in a log of ongoing syncs."""

INSERT_EVENT = """
    INSERT INTO events (stream, version, type, schema, at, data, meta, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

RESTORE_EVENT = """
    INSERT INTO events (position, stream, version, type, schema, at, data, meta, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

UPSERT_PROCESS = f"""
    INSERT INTO processes ({MODEL}, snapshot, snapshot_schema, position)
    VALUES (
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        (SELECT position FROM events WHERE stream = ? AND version = 1)
    )
    ON CONFLICT (id) DO UPDATE SET
        state = excluded.state, version = excluded.version, updated_at = excluded.updated_at,
        watermark = excluded.watermark, created = excluded.created, updated = excluded.updated,
        unchanged = excluded.unchanged, deleted = excluded.deleted, missing = excluded.missing,
        snapshot = coalesce(excluded.snapshot, snapshot),
        snapshot_schema = iif(excluded.snapshot IS NULL, snapshot_schema, excluded.snapshot_schema)
"""  # noqa: S608 - the columns are ours

_SET_FETCHING_POSITION = f"UPDATE processes SET fetching_position = {FETCHING_POSITION} WHERE id = ?"  # noqa: S608


def _of_sides(*statements: str) -> tuple[str, ...]:
    return tuple(statement.format(s="", id="?") for statement in statements)


SIDE_BEGINS = _of_sides(sides.BEGUN)
SIDE_FETCHES = (_SET_FETCHING_POSITION, *_of_sides(sides.FETCHING))
SIDE_IS_DONE = _of_sides(sides.DONE, sides.ADDED, sides.COUNTED_ANEW)
"""What is written for a process, behind its own row: each takes its id."""


def event_values(row: StoredEvent) -> tuple[Any, ...]:
    """Return the values for `INSERT_EVENT`."""
    return row.stream, row.version, row.type, row.schema, row.at, row.data, row.meta, row.digest


def process_values(process: Process) -> tuple[Any, ...]:
    """Return the values for `UPSERT_PROCESS`."""
    snapshot = to_snapshot(process) if process.version >= SNAPSHOT_VERSION_MIN else None
    return (*model_values(process), snapshot, SNAPSHOT_SCHEMA, process.id)

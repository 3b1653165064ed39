"""Rows of a SQLite log: the statements that write them, and their values to and fro."""

from __future__ import annotations

from typing import Any

from syncfsm.core.process import Process
from syncfsm.core.times import format_time
from syncfsm.log.codec import SNAPSHOT_SCHEMA, to_snapshot
from syncfsm.log.protocol import StoredEvent

COLUMNS = "position, stream, version, type, schema, at, data, meta, digest"

INSERT_EVENT = """
    INSERT INTO events (stream, version, type, schema, at, data, meta, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

MODEL = "id, source, object, sink, mode, started_at, state, version, updated_at, watermark"

UPSERT_PROCESS = f"""
    INSERT INTO processes ({MODEL}, snapshot, snapshot_schema)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        state = excluded.state, version = excluded.version, updated_at = excluded.updated_at,
        watermark = excluded.watermark, snapshot = coalesce(excluded.snapshot, snapshot),
        snapshot_schema = iif(excluded.snapshot IS NULL, snapshot_schema, excluded.snapshot_schema)
"""  # noqa: S608 - the columns are ours

LAST_WATERMARK = """
    WITH completed AS (
        SELECT position, mode, watermark, data ->> '$.changed_by' AS changed_by
        FROM processes JOIN events ON stream = id AND events.version = 1
        WHERE source = ? AND object = ? AND sink = ?
            AND state = 'COMPLETED' AND mode IN ('initial', 'ongoing')
    )
    SELECT max(watermark) FROM completed
    WHERE (mode = 'initial' OR changed_by IS ?)
        AND position >= (SELECT max(position) FROM completed WHERE mode = 'initial')
"""
"""By the place at which a process began, not by the time: that is what a wrong clock has made wrong."""

BROUGHT = """
    WITH completed AS (
        SELECT started.position, mode, done.data FROM processes
        JOIN events AS started ON started.stream = id AND started.version = 1
        JOIN events AS done ON done.stream = id AND done.version = processes.version
        WHERE source = ? AND object = ? AND sink = ? AND state = 'COMPLETED'
    )
    SELECT sum(
        (data ->> '$.totals.created') - coalesce(data ->> '$.totals.deleted', 0)
        + iif(
            mode = 'initial',
            (data ->> '$.totals.updated') + (data ->> '$.totals.unchanged'),
            -coalesce(data ->> '$.missing', 0)
        )
    ) FROM completed
    WHERE position >= (SELECT max(position) FROM completed WHERE mode = 'initial')
"""
"""An initial sync has seen all that it leaves; what it took for missing is none of that."""


def stored_event(values: tuple[Any, ...]) -> StoredEvent:
    """Return a row of `events`, its columns in the order of `COLUMNS`."""
    position, stream, version, type_, schema, at, data, meta, digest = values
    return StoredEvent(
        position=position,
        stream=stream,
        version=version,
        type=type_,
        schema=schema,
        at=at,
        data=data,
        meta=meta,
        digest=digest,
    )


def event_values(row: StoredEvent) -> tuple[Any, ...]:
    """Return the values for `INSERT_EVENT`."""
    return row.stream, row.version, row.type, row.schema, row.at, row.data, row.meta, row.digest


def process_values(process: Process) -> tuple[Any, ...]:
    """Return the values for `UPSERT_PROCESS`."""
    return (
        process.id,
        process.source,
        process.object,
        process.sink,
        process.mode,
        format_time(process.started_at),
        process.state.value,
        process.version,
        format_time(process.updated_at),
        format_time(process.watermark) if process.watermark else None,
        to_snapshot(process),
        SNAPSHOT_SCHEMA,
    )

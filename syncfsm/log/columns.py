"""What is stored of an event and of a process, column by column: alike in every database."""

from __future__ import annotations

from typing import Any

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.routes import Brief
from syncfsm.core.times import format_time, parse_time
from syncfsm.log.protocol import StoredEvent

COLUMNS = "position, stream, version, type, schema, at, data, meta, digest"
"""Of an event, in the order of `StoredEvent`."""

MODEL = (
    "id, source, object, sink, mode, started_at, state, version, updated_at, watermark, changed_by, "
    "created, updated, unchanged, deleted, missing"
)
"""What the read model says of a process, as its state has it; the places of two of its events come beside."""

BRIEF = "id, mode, state, started_at"
"""What `ReadModel.select` tells of a process."""


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


def model_values(process: Process) -> tuple[Any, ...]:
    """Return the values of the columns of `MODEL`."""
    progress = process.progress
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
        process.changed_by,
        progress.created,
        progress.updated,
        progress.unchanged,
        progress.deleted,
        progress.missing,
    )


def brief(row: tuple[Any, ...]) -> Brief:
    """Return what a row of the columns of `BRIEF` says."""
    id_, mode, state, started_at = row
    return Brief(id=id_, mode=mode, state=State(state), started_at=parse_time(started_at))

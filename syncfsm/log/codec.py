"""Event ⇄ row, and the digest that chains the rows: the only place that knows how an event is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from hashlib import blake2b
from typing import Any

import msgspec

from syncfsm.core.events import EVENT_TYPES, Event, Recorded, SyncStarted
from syncfsm.core.process import Process
from syncfsm.core.times import format_time
from syncfsm.errors import CorruptLog
from syncfsm.log import short_start
from syncfsm.log.protocol import StoredEvent

SNAPSHOT_SCHEMA = 5
"""Raise it whenever the shape of `Process` or the meaning of `fold` changes: older snapshots are then
ignored, and the stream is folded from its beginning."""

SNAPSHOT_BYTES_MAX = 65_536
"""A larger snapshot (many ids at the frontier) is left out but for every 50th version."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("SyncStarted", short_start.SCHEMA_WHOLE): lambda whole: whole,  # of which nothing is left out yet
}
"""Old shape → next shape, by (event type, the schema it reads). Pure."""

_FILLERS: dict[type[Event], tuple[Upcaster, ...]] = {SyncStarted: (short_start.filled,)}
"""What makes an event of today's shape whole, where that leaves out what it need not say."""

_snapshot_encoder = msgspec.json.Encoder(order="deterministic")
_snapshot_decoder = msgspec.json.Decoder(Process)
_shape_decoder = msgspec.json.Decoder(dict[str, Any])
_meta_decoder = msgspec.json.Decoder(dict[str, str])


def to_rows(events: Sequence[Recorded], digest: str) -> list[StoredEvent]:
    """Return the rows to store, chained to the `digest` of the event before them (empty for the first).

    Their positions are 0: the log gives them out.
    """
    rows = []
    for record in events:
        row = _to_row(record, digest)
        digest = row.digest
        rows.append(row)
    return rows


def _to_row(record: Recorded, previous: str) -> StoredEvent:
    schema, data = stored(record.event)
    unchained = StoredEvent(
        position=0,
        stream=record.stream,
        version=record.version,
        type=record.type,
        schema=schema,
        at=format_time(record.at),
        data=data.decode(),
        meta=msgspec.json.encode(record.meta).decode(),
        digest="",
    )
    return msgspec.structs.replace(unchained, digest=chain(previous, unchained))


def chain(previous: str, row: StoredEvent) -> str:
    """Return the digest of a row: of the digest before it and all that the row says but its position."""
    content = [previous, row.stream, row.version, row.type, row.schema, row.at, row.data, row.meta]
    return blake2b(msgspec.json.encode(content), digest_size=16).hexdigest()


def from_row(row: StoredEvent) -> Recorded:
    """Return the event of a row. See `from_columns`."""
    columns = (row.position, row.version, row.type, row.schema, row.at, row.data, row.meta, row.digest)
    return next(from_columns(row.stream, (columns,)))


def from_columns(stream: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Recorded]:
    """Yield the events of one stream, of rows that come as plain tuples, as a table gives them.

    A replay spends its time here, so that nothing is made of a row but its event.

    Args:
        stream: The stream that all rows are of.
        rows: The other fields of `StoredEvent`, in their order.

    Raises:
        CorruptLog: One cannot be decoded; the message says where.
    """
    for position, version, type_name, schema, at, data, meta, digest in rows:
        try:
            recorded = Recorded(
                stream=stream,
                version=version,
                at=datetime.fromisoformat(at),
                event=decode(type_name, schema, data),
                meta=_meta_decoder.decode(meta),
                position=position,
                digest=digest,
            )
        except (CorruptLog, msgspec.DecodeError, ValueError) as error:
            raise CorruptLog(f"position {position} (process {stream}, version {version}): {error}") from error
        yield recorded


def to_snapshot(process: Process) -> str | None:
    """Return the state as text, or `None` where it is not worth its size at this version."""
    encoded: bytes = _snapshot_encoder.encode(process)
    if len(encoded) > SNAPSHOT_BYTES_MAX and process.version % 50:
        return None
    return encoded.decode()


def from_snapshot(text: str | None, schema: int | None) -> Process | None:
    """Return the state, or `None` where the stream has to be folded from its beginning."""
    if text is None or schema != SNAPSHOT_SCHEMA:
        return None
    try:
        return _snapshot_decoder.decode(text)
    except msgspec.DecodeError:
        return None


def stored(event: Event) -> tuple[int, bytes]:
    """Return the schema of an event, and its data as JSON, fields in the order of their definition."""
    if isinstance(event, SyncStarted):
        return short_start.stored(event)
    return event.schema, msgspec.json.encode(event)


def decode(type_name: str, schema: int, data: bytes | str) -> Event:
    """Return the event that was stored, brought up to today's shape.

    Raises:
        CorruptLog: The type is unknown, the schema is newer than this code, or the data does not fit.
    """
    read = _reader(type_name, schema)
    try:
        return read(data)
    except msgspec.DecodeError as error:
        raise CorruptLog(f"the data of a stored {type_name} does not fit its type: {error}") from error


@cache
def _reader(type_name: str, schema: int) -> Callable[[bytes | str], Event]:
    """Return what makes an event of data stored as this type with this schema; looked up once for each."""
    cls = EVENT_TYPES.get(type_name)
    if cls is None or schema > cls.schema:
        raise CorruptLog(
            f"event type {type_name} with schema {schema} is unknown to this version of syncfsm: "
            "read this log with the version that wrote it, or a newer one"
        )
    steps = [*_upcasters(cls, schema), *_FILLERS.get(cls, ())]
    return partial(_upcast, cls, steps) if steps else msgspec.json.Decoder(cls).decode


def _upcasters(cls: type[Event], schema: int) -> list[Upcaster]:
    """Return the steps from a stored schema to today's."""
    steps = [(cls.__name__, step) for step in range(schema, cls.schema)]
    for type_name, step in steps:
        if (type_name, step) not in UPCASTERS:
            raise CorruptLog(f"no {type_name} was ever written with schema {step}")
    return [UPCASTERS[step] for step in steps]


def _upcast(cls: type[Event], upcasters: Iterable[Upcaster], data: bytes | str) -> Event:
    shape = _shape_decoder.decode(data)
    for upcaster in upcasters:
        shape = upcaster(shape)
    return msgspec.convert(shape, cls)

"""Event ⇄ row, and the digest that chains the rows: the only place that knows how an event is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from syncfsm.errors import CorruptLog
from syncfsm.events import EVENT_TYPES, Event, Recorded
from syncfsm.log.protocol import StoredEvent
from syncfsm.process import Process

SNAPSHOT_SCHEMA = 3
"""Raise it whenever the shape of `Process` or the meaning of `fold` changes: older snapshots are then
ignored, and the stream is folded from its beginning."""

SNAPSHOT_BYTES_MAX = 65_536
"""A larger snapshot (many ids at the frontier) is left out but for every 50th version."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""Old shape → next shape, by (event type, the schema it reads). Pure."""

_snapshot_encoder = msgspec.json.Encoder(order="deterministic")
_snapshot_decoder = msgspec.json.Decoder(Process)


def format_time(at: datetime) -> str:
    """Return a moment as the log writes it: ISO 8601, UTC, microseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the moment that `format_time` wrote."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise CorruptLog(f"not a time: {text!r}") from error


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
    event = record.event
    unchained = StoredEvent(
        position=0,
        stream=record.stream,
        version=record.version,
        type=record.type,
        schema=event.schema,
        at=format_time(record.at),
        data=encode(event).decode(),
        meta=msgspec.json.encode(record.meta).decode(),
        digest="",
    )
    return msgspec.structs.replace(unchained, digest=chain(previous, unchained))


def chain(previous: str, row: StoredEvent) -> str:
    """Return the digest of a row: of the digest before it and all that the row says but its position."""
    content = [previous, row.stream, row.version, row.type, row.schema, row.at, row.data, row.meta]
    return blake2b(msgspec.json.encode(content), digest_size=16).hexdigest()


def from_row(row: StoredEvent) -> Recorded:
    """Return the event of a row.

    Raises:
        CorruptLog: It cannot be decoded; the message says where.
    """
    try:
        return Recorded(
            stream=row.stream,
            version=row.version,
            at=parse_time(row.at),
            event=decode(row.type, row.schema, row.data),
            meta=msgspec.json.decode(row.meta, type=dict[str, str]),
            position=row.position,
            digest=row.digest,
        )
    except (CorruptLog, msgspec.DecodeError, ValueError) as error:
        raise CorruptLog(
            f"position {row.position} (process {row.stream}, version {row.version}): {error}"
        ) from error


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


def encode(event: Event) -> bytes:
    """Return the event's data as JSON, fields in the order of their definition."""
    return msgspec.json.encode(event)


def decode(type_name: str, schema: int, data: bytes | str) -> Event:
    """Return the event that was stored, brought up to today's shape.

    Raises:
        CorruptLog: The type is unknown, the schema is newer than this code, or the data does not fit.
    """
    cls = EVENT_TYPES.get(type_name)
    if cls is None or schema > cls.schema:
        raise CorruptLog(
            f"event type {type_name} with schema {schema} is unknown to this version of syncfsm: "
            "read this log with the version that wrote it, or a newer one"
        )
    try:
        if schema == cls.schema:
            return _decoder(cls).decode(data)
        return msgspec.convert(_upcast(type_name, schema, cls.schema, data), cls)
    except msgspec.DecodeError as error:
        raise CorruptLog(f"the data of a stored {type_name} does not fit its type: {error}") from error


@cache
def _decoder(cls: type[Event]) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(cls)


def _upcast(type_name: str, schema: int, target: int, data: bytes | str) -> dict[str, Any]:
    shape: dict[str, Any] = msgspec.json.decode(data)
    for step in range(schema, target):
        upcaster = UPCASTERS.get((type_name, step))
        if upcaster is None:
            raise CorruptLog(f"no {type_name} was ever written with schema {step}")
        shape = upcaster(shape)
    return shape

"""Event ⇄ row, and the digest that chains the rows: the only place that knows how an event is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from syncfsm.errors import CorruptLog
from syncfsm.events import Recorded, decode, encode
from syncfsm.log.protocol import StoredEvent
from syncfsm.process import Process

SNAPSHOT_SCHEMA = 2
"""Raise it whenever the shape of `Process` or the meaning of `fold` changes: older snapshots are then
ignored, and the stream is folded from its beginning."""

SNAPSHOT_BYTES_MAX = 65_536
"""A larger snapshot (many ids at the frontier) is left out but for every 50th version."""

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

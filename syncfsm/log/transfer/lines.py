"""The lines of an export: a header, one for each event, and an end that tells a whole file from a cut one.

An event's `data` and `meta` are JSON within a string, exactly as the log has them: the digest is of these
bytes, and tools that rewrite JSON (`300.0` as `300`) would break it.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from syncfsm.log.protocol import StoredEvent

FORMAT = "syncfsm.log"
FORMAT_VERSION = 1
LINE_BYTES_MAX = 64 * 2**20
"""The longest line of an export, in bytes."""


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="line"):
    """The base of all lines; `line` says which it is."""


class HeaderLine(Line, frozen=True, tag="header"):
    """The first line. `redacted` says that ids, names and texts are pseudonyms."""

    format: str
    version: int
    redacted: bool


class EventLine(Line, frozen=True, tag="event"):
    """One event: all that its digest covers, and the digest."""

    stream: str
    version: int
    type: str
    schema: int
    at: str
    data: str
    meta: str
    digest: str


class EndLine(Line, frozen=True, tag="end"):
    """The last line: what there was before it."""

    processes: int
    events: int


AnyLine: TypeAlias = "HeaderLine | EventLine | EndLine"

_encoder = msgspec.json.Encoder()


def to_bytes(line: AnyLine) -> bytes:
    """Return a line as it is written."""
    return _encoder.encode(line) + b"\n"


def event_line(row: StoredEvent) -> EventLine:
    """Return the line of a stored event; its position stays behind."""
    return EventLine(
        stream=row.stream,
        version=row.version,
        type=row.type,
        schema=row.schema,
        at=row.at,
        data=row.data,
        meta=row.meta,
        digest=row.digest,
    )


def stored(line: EventLine) -> StoredEvent:
    """Return the event of a line, without a position."""
    return StoredEvent(
        position=0,
        stream=line.stream,
        version=line.version,
        type=line.type,
        schema=line.schema,
        at=line.at,
        data=line.data,
        meta=line.meta,
        digest=line.digest,
    )

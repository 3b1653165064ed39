"""The lines of an export: a header, one for each event, and an end that tells a whole file from a cut one.

An event's `data` and `meta` are JSON within a string, exactly as the log has them: the digest is of these
bytes, and tools that rewrite JSON (`300.0` as `300`) would break it.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from syncfsm.core.pruning import Pruning
from syncfsm.log.protocol import StoredEvent

FORMAT = "syncfsm.log"
FORMAT_VERSION = 2
"""The newest that is known. An export of a log from which nothing was pruned is of the first."""

FIRST_VERSION = 1
LINE_BYTES_MAX = 64 * 2**20
"""The longest line of an export, in bytes."""


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="line"):
    """The base of all lines; `line` says which it is."""


class HeaderLine(Line, frozen=True, tag="header"):
    """The first line. `redacted` says that ids, names and texts are pseudonyms."""

    format: str
    version: int
    redacted: bool


class PruningLine(Line, frozen=True, tag="pruning"):
    """One pruning of the log, as `Pruning` has it, and its digest. They come before all events."""

    pruning: Pruning
    digest: str


class EventLine(Line, frozen=True, omit_defaults=True, tag="event"):
    """One event: all that its digest covers, and the digest; its position where prunings speak of it."""

    stream: str
    version: int
    type: str
    schema: int
    at: str
    data: str
    meta: str
    digest: str
    position: int = 0


class EndLine(Line, frozen=True, tag="end"):
    """The last line: what there was before it."""

    processes: int
    events: int


AnyLine: TypeAlias = "HeaderLine | PruningLine | EventLine | EndLine"

_encoder = msgspec.json.Encoder()


def to_bytes(line: AnyLine) -> bytes:
    """Return a line as it is written."""
    return _encoder.encode(line) + b"\n"


def event_line(row: StoredEvent, *, has_position: bool = False) -> EventLine:
    """Return the line of a stored event; its position stays behind, unless it is asked for."""
    return EventLine(
        stream=row.stream,
        version=row.version,
        type=row.type,
        schema=row.schema,
        at=row.at,
        data=row.data,
        meta=row.meta,
        digest=row.digest,
        position=row.position if has_position else 0,
    )


def stored(line: EventLine) -> StoredEvent:
    """Return the event of a line."""
    return StoredEvent(
        position=line.position,
        stream=line.stream,
        version=line.version,
        type=line.type,
        schema=line.schema,
        at=line.at,
        data=line.data,
        meta=line.meta,
        digest=line.digest,
    )

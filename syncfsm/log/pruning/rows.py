"""Pruning ⇄ row, the digest that chains the rows, and what is asked of them, as SQL for every database.

In a template, `{s}` stands for what is written before the name of a table, and `{v}` for a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from syncfsm.core.machine import State
from syncfsm.core.pruning import Deeds, Pruning
from syncfsm.core.times import format_time, parse_time
from syncfsm.errors import CorruptLog
from syncfsm.log.protocol.prunable import Candidate, Links
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.sides import LEFT

COLUMNS = (
    "number, source, object, sink, mode, changed_by, first_position, last_position, end_position, "
    "wrote_position, watermark, items_left, at, data, digest"
)
SELECT = f"SELECT {COLUMNS} FROM {{s}}prunings ORDER BY number"  # noqa: S608 - all ours, here and below
WHERE = f"SELECT {COLUMNS} FROM {{s}}prunings WHERE {{has}} ORDER BY number"  # noqa: S608
LAST = "SELECT number, digest FROM {s}prunings ORDER BY number DESC LIMIT 1"
INSERT = f"INSERT INTO {{s}}prunings ({COLUMNS}) VALUES ({', '.join(['{v}'] * 15)})"  # noqa: S608
LAST_AT = "SELECT max(at) FROM {s}prunings"
REACH = """
    SELECT coalesce(max(end_position), 0), coalesce(max(wrote_position), 0) FROM {s}prunings
    WHERE source = {v} AND object = {v} AND sink = {v}
"""

CANDIDATES = f"""
    SELECT id, source, object, sink, mode, coalesce(changed_by, ''), state, version, position,
        fetching_position,
        (SELECT e.position FROM {{s}}events AS e WHERE e.stream = p.id AND e.version = p.version),
        CASE WHEN state = 'COMPLETED' THEN watermark END, created, updated, unchanged,
        deleted, missing,
        CASE WHEN state = 'COMPLETED' THEN {LEFT.format(p="p")} ELSE 0 END
    FROM {{s}}processes AS p
    WHERE state IN ('COMPLETED', 'FAILED', 'CANCELLED') AND updated_at < {{v}}
        AND NOT EXISTS (SELECT 1 FROM {{s}}inbox AS i WHERE i.process = p.id)
    ORDER BY p.position
"""  # noqa: S608

PARENTS = "SELECT stream, data FROM {s}events WHERE version = 1 AND data LIKE {v}"
HAVING = "SELECT DISTINCT stream FROM {s}events WHERE type = {v}"
CHILD = '%"parent":"%'

AT_WORK = "INSERT INTO {s}pruning_now (stream) VALUES ({v})"
_THESE = "IN (SELECT stream FROM {s}pruning_now)"
MOVED = f"SELECT id, version FROM {{s}}processes WHERE id {_THESE}"  # noqa: S608
PLACES = f"""
    SELECT position, stream, version, type, at, digest FROM {{s}}events WHERE stream {_THESE}
    ORDER BY position
"""  # noqa: S608
DELETED = (
    f"DELETE FROM {{s}}captures WHERE stream {_THESE}",  # noqa: S608
    f"DELETE FROM {{s}}events WHERE stream {_THESE}",  # noqa: S608
    f"DELETE FROM {{s}}processes WHERE id {_THESE}",  # noqa: S608
    "DELETE FROM {s}pruning_now",
)

_decoder = msgspec.json.Decoder(Deeds)


class _Begun(msgspec.Struct):
    parent: str | None = None


_begun = msgspec.json.Decoder(_Begun)


def candidate(row: tuple[Any, ...]) -> Candidate:
    """Return what a row of `CANDIDATES` says."""
    found = Candidate(*row)
    return found._replace(state=State(found.state), items_left=int(found.items_left))


def links(
    begun: Iterable[tuple[str, str]], rejecting: Iterable[tuple[str]], delivering: Iterable[tuple[str]]
) -> Links:
    """Return what rows of `PARENTS` and of `HAVING` say."""
    found = ((stream, _begun.decode(data).parent) for stream, data in begun)
    return Links(
        parents={stream: parent for stream, parent in found if parent},
        rejecting=[stream for (stream,) in rejecting],
        delivering=[stream for (stream,) in delivering],
    )


def to_row(pruning: Pruning, previous: str) -> tuple[Any, ...]:
    """Return the values for `INSERT`, chained to the digest of the pruning before."""
    watermark = format_time(pruning.watermark) if pruning.watermark else None
    values = (
        *(pruning.number, pruning.source, pruning.object, pruning.sink, pruning.mode, pruning.changed_by),
        *(pruning.first_position, pruning.last_position, pruning.end_position, pruning.wrote_position),
        *(watermark, pruning.items_left, format_time(pruning.at)),
        msgspec.json.encode(pruning.deeds).decode(),
    )
    return (*values, chained(previous, values))


def to_rows(prunings: Iterable[StoredPruning]) -> Iterator[tuple[Any, ...]]:
    """Yield the values for `INSERT` of all prunings of a log, in order, chained anew."""
    previous = ""
    for pruning, _ in prunings:
        yield (row := to_row(pruning, previous))
        previous = row[-1]


def chained(previous: str, values: tuple[Any, ...]) -> str:
    """Return the digest of a row: of the digest before it, and of all that the row says."""
    return blake2b(msgspec.json.encode([previous, *values]), digest_size=16).hexdigest()


def from_row(row: tuple[Any, ...]) -> StoredPruning:
    """Return what a row of `COLUMNS` says.

    Raises:
        CorruptLog: It cannot be decoded.
    """
    number, source, object_, sink, mode, changed_by, first, last, end, wrote, *rest = row
    watermark, left, at, data, digest = rest
    try:
        pruning = Pruning(
            number=number,
            source=source,
            object=object_,
            sink=sink,
            mode=mode,
            changed_by=changed_by,
            first_position=first,
            last_position=last,
            end_position=end,
            wrote_position=wrote,
            watermark=parse_time(watermark) if watermark else None,
            items_left=left,
            at=parse_time(at),
            deeds=_decoder.decode(data),
        )
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise CorruptLog(f"what is kept of pruning {number} cannot be read: {error}") from error
    return StoredPruning(pruning, digest)


def unchained(prunings: Iterable[StoredPruning]) -> Iterator[str]:
    """Yield what is wrong with the prunings of a log, in words: nothing where they are as written."""
    previous = ""
    for number, (pruning, digest) in enumerate(prunings, start=1):
        if pruning.number != number:
            yield f"pruning {number} is missing among those that it keeps"
            return
        if to_row(pruning, previous)[-1] != digest:
            yield f"what is kept of pruning {number} was changed: its digest does not match"
            return
        previous = digest

"""Does a log that was tampered with say so? A copy with one event changed is given to the verifier."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import cast

from msgspec.structs import replace

from syncfsm.log import EventLog, StoredEvent
from syncfsm.log.verify import verify


class _Tampered:
    """A log whose rows are not what was written; everything else is the real log's."""

    def __init__(self, inner: EventLog, rows: Sequence[StoredEvent]) -> None:
        self._inner = inner
        self._rows = rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def rows(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        return (row for row in self._rows if process_id in {None, row.stream})


def unnoticed(log: EventLog, chance: random.Random) -> str | None:
    """Change one event of a copy; return which, if the verifier finds nothing."""
    rows = list(log.rows())
    if not rows:
        return None
    place = chance.randrange(len(rows))
    field = chance.choice(("data", "at", "type", "meta"))
    text = getattr(rows[place], field)
    spot = chance.randrange(len(text))
    flipped = text[:spot] + chr(ord(text[spot]) ^ 1) + text[spot + 1 :]
    rows[place] = replace(rows[place], **{field: flipped})
    _, findings = verify(cast("EventLog", _Tampered(log, rows)))
    return None if findings else f"{field} of position {rows[place].position} was changed, and nobody saw it"

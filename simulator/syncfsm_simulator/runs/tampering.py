"""Does a log that was tampered with say so? A copy with events changed is given to the verifier."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import cast

from msgspec.structs import replace

from syncfsm.core.events import Recorded
from syncfsm.log import EventLog, StoredEvent
from syncfsm.log.checks.audit import Audit
from syncfsm.log.checks.verify import verify
from syncfsm.log.codec import from_row
from syncfsm.log.protocol import Scanned

_Rows = list[StoredEvent]


class _Tampered:
    """A log whose events are not what was written; its read model is the real log's."""

    def __init__(self, inner: EventLog, rows: _Rows) -> None:
        self._inner = inner
        self._rows = rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def stored_events(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        return (row for row in self._rows if process_id in {None, row.stream})

    def scan(self) -> Iterator[Scanned]:
        return (Scanned(position=row.position, row=row) for row in self._rows)

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        last = until if until is not None else after + len(self._rows)
        return (from_row(row) for row in self.stored_events(process_id) if after < row.version <= last)


def unnoticed(log: EventLog, chance: random.Random) -> str | None:
    """Change, drop or swap events of a copy; return what was done, if the verifier finds nothing."""
    rows = list(log.stored_events())
    if not rows:
        return None
    tamper = chance.choice((_change, _drop, _swap) if len(rows) > 1 else (_change, _drop))
    done = tamper(rows, chance)
    tampered = _Tampered(log, rows)
    is_noticed = _is_noticed(tampered) or verify(cast("EventLog", tampered))[1]
    return None if is_noticed else f"{done}, and nobody saw it"


def _is_noticed(log: _Tampered) -> bool:
    """Whether the events alone tell: as a rule they do, and what a log knows besides takes longer to ask."""
    audit = Audit()
    for place in log.scan():
        audit.take(place)
    return bool(audit.findings())


def _change(rows: _Rows, chance: random.Random) -> str:
    place = chance.randrange(len(rows))
    field = chance.choice(("data", "at", "type", "meta"))
    text = getattr(rows[place], field)
    spot = chance.randrange(len(text))
    rows[place] = replace(rows[place], **{field: text[:spot] + chr(ord(text[spot]) ^ 1) + text[spot + 1 :]})
    return f"{field} of position {rows[place].position} was changed"


def _drop(rows: _Rows, chance: random.Random) -> str:
    row = rows.pop(chance.randrange(len(rows)))
    return f"position {row.position} was dropped"


def _swap(rows: _Rows, chance: random.Random) -> str:
    place = chance.randrange(len(rows))
    other = (place + 1) % len(rows)
    one, two = rows[place], rows[other]
    rows[place] = replace(two, position=one.position, version=one.version)
    rows[other] = replace(one, position=two.position, version=two.version)
    return f"positions {one.position} and {two.position} were swapped"

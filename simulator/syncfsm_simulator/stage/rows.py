"""The people of an incident: a list of rows that moves as its steps say, and how it answers a request.

Nobody is in it: ids count 1, 2, 3, and sort keys only keep the order. Where a row stands is what matters:
*passed* by the sync, *next*, or at the *end*. No I/O, no chance.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

from msgspec.structs import replace

from syncfsm.core.options import Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Frontier
from syncfsm.sources.protocol import Record
from syncfsm_simulator.stage.incident import Step

MIDDLE = 10**9
"""The place of the first row, with room for as many before it as after it."""

NAMELESS = Record(id="", key="", raw=b"", problem="came without an id")


def person(number: int) -> str:
    """Return the id of the row that came as number so and so."""
    return f"person-{number:06}"


class Rows:
    """Rows in order.

    Args:
        people: How many there are at the start.
        order: Which come first.
        limit_max: The most rows in an answer.

    Attributes:
        rows: All rows that are there.
        passed: How many of them the sync has passed.
        is_total: Whether rows that tie come in a fixed order.
        at_start: The ids of the rows of the start.
        deleted: The ids of the rows that went away.
        unnamed: The ids of rows that came without their id.
        undecoded: The ids of rows that came malformed.
        came: How many rows came since the start.
    """

    def __init__(self, people: int, order: Order, limit_max: int) -> None:
        self.rows: list[Record] = []
        self.passed = 0
        self.is_total = True
        self.deleted: set[str] = set()
        self.unnamed: set[str] = set()
        self.undecoded: set[str] = set()
        self.came = 0
        self._born = 0
        self._keys: dict[str, str] = {}
        self._sign = -1 if order == "newest" else 1
        self._limit_max = limit_max
        self._first = self._last = MIDDLE
        self._taken_to = 0
        self._has_ties = False
        self._join(people)
        self.at_start = frozenset(row.id for row in self.rows)

    def copy(self) -> Self:
        """Return rows that move on their own."""
        twin = copy.copy(self)
        twin.rows = list(self.rows)
        twin.deleted, twin.unnamed, twin.undecoded = set(self.deleted), set(self.unnamed), set(self.undecoded)
        return twin

    @property
    def ahead(self) -> int:
        """How many rows the sync has not passed."""
        return len(self.rows) - self.passed

    @property
    def survivors(self) -> frozenset[str]:
        """The rows that were there from the start to now."""
        return self.at_start - self.deleted

    def deliver(self) -> None:
        """Pass the rows that the last answer gave to take."""
        self.passed = max(self.passed, self._taken_to)

    # ── moves ────────────────────────────────────────────────────────────────────────────────

    def move(self, step: Step) -> None:
        """Let rows go and come as a step says."""
        gone = min(step.gone, self.passed)
        self._remove(self.passed - gone, self.passed)
        self.passed -= gone
        self.rows[:0] = reversed([self._record(self._before_first()) for _ in range(step.came)])
        self.passed += step.came
        self._remove(self.passed, self.passed + step.next_gone)
        self._squeeze_in(step.next_came)
        self._remove(max(self.passed, len(self.rows) - step.left), len(self.rows))
        self._join(step.joined)
        self.came += step.came + step.next_came + step.joined
        self.is_total = self.is_total if step.shuffled is None else not step.shuffled

    def _remove(self, start: int, stop: int) -> None:
        self.deleted.update(row.id for row in self.rows[start:stop])
        del self.rows[start:stop]

    def _squeeze_in(self, count: int) -> None:
        """Let rows come at the cursor; they share the key of the row they come before."""
        key = self.rows[self.passed].key if self.ahead else self._key(self._last)
        self.rows[self.passed : self.passed] = [self._record(key) for _ in range(count)]

    def _join(self, count: int) -> None:
        for _ in range(count):
            self._last += 1
            self.rows.append(self._record(self._key(self._last)))

    def _before_first(self) -> str:
        key = self._key(self._first)
        self._first -= 1
        return key

    def _record(self, key: str) -> Record:
        self._born += 1
        record = Record(id=person(self._born), key=key, raw=b"")
        self._keys[record.id] = key
        return record

    def _key(self, place: int) -> str:
        return f"{MIDDLE + self._sign * (place - MIDDLE):010}"

    # ── answers ──────────────────────────────────────────────────────────────────────────────

    def answer(
        self, request: PageRequest, step: Step, page_size: int, frontier: Frontier | None
    ) -> tuple[Record, ...]:
        """Let the rows move, and return those that answer a request of a sync.

        Args:
            request: Which are asked for.
            step: How they move, and how they come.
            page_size: How many the sync will take.
            frontier: How far it has taken them.
        """
        if request.record_ids:
            return self._listed(request.record_ids, step)
        self.move(step)
        if step.happens == "unordered":
            return (self._record(self._key(self._last + 1)), self._record(self._key(self._first)))
        limit = min(request.limit, self._limit_max)
        seen = self.rows[request.offset : self.passed][:limit]
        if step.happens == "ties":
            key = frontier.key if frontier else self._key(MIDDLE)
            return (*seen, *(self._record(key) for _ in range(limit - len(seen))))
        start = max(request.offset, self.passed)
        count = min(max(0, limit - len(seen) - step.twice), len(self.rows) - start)
        taken = min(page_size, max(0, count))
        self._taken_to = start + taken
        self._tie(start, taken, step, frontier)
        return (*seen, *self._spoiled(self.rows[start : start + count], taken, step))

    def _tie(self, start: int, taken: int, step: Step, frontier: Frontier | None) -> None:
        """Let the last rows taken share a sort key; all of them, if they share the frontier's."""
        if self._has_ties:
            self.rows[start:] = [self._untied(row) for row in self.rows[start:]]
        if not step.tied or not taken:
            return
        last = start + taken
        placed = taken - step.nameless
        goes_on = frontier is not None and step.tied > placed
        key = frontier.key if frontier and goes_on else self.rows[last - 1].key
        first = start if step.tied >= placed else last - step.tied
        self.rows[first:last] = [replace(row, key=key) for row in self.rows[first:last]]
        self._has_ties = True

    def _untied(self, row: Record) -> Record:
        """Return a row as it was before a page that came otherwise let it share a key."""
        key = self._keys[row.id]
        return row if row.key == key else replace(row, key=key)

    def _spoiled(self, fresh: Sequence[Record], taken: int, step: Step) -> list[Record]:
        """Return new rows as they come: without id, malformed, twice. The first keeps its id if any does."""
        first = 0 if step.nameless >= taken else 1
        nameless = {*range(first, first + step.nameless), *([taken] if step.nameless_peek else [])}
        others = [place for place in range(taken) if place not in nameless]
        malformed = set(others[: step.malformed])
        self.unnamed.update(fresh[place].id for place in nameless if place < len(fresh))
        self.undecoded.update(fresh[place].id for place in malformed)
        come = [
            NAMELESS if place in nameless else _malformed(row) if place in malformed else row
            for place, row in enumerate(fresh)
        ]
        return [*come[:1], *(come[:1] * step.twice), *come[1:]]

    def _listed(self, record_ids: Sequence[str], step: Step) -> tuple[Record, ...]:
        """Return records asked for by their ids: those that are still there."""
        there = record_ids[: max(0, len(record_ids) - step.gone)]
        self.deleted.update(record_ids[len(there) :])
        self.undecoded.update(there[: step.malformed])
        known = dict(zip((row.id for row in self.rows), self.rows, strict=True))
        rows = [known[record_id] for record_id in there]
        strange = [self._record(self._key(self._last))] if step.happens == "unasked" else []
        come = [*map(_malformed, rows[: step.malformed]), *rows[step.malformed :]]
        return (*strange, *come, *come[:1] * step.twice)


def _malformed(row: Record) -> Record:
    return replace(row, problem="cannot be decoded")

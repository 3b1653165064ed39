"""How the world moves while it is read: people come, change and go before each request.

What moves when is a matter of faults: see effects/moves.py.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from syncfsm.outside.clock import Clock
from syncfsm_simulator.world.world import World


class Changes:
    """Moves the people of a world, and remembers whom it touched.

    Args:
        world: Whose people.
        clock: True time.
        peek: Tells the id of the person with whom the next page must begin, if that is known.
        page_size: People in a page, for moves of whole pages.

    Attributes:
        at_start: The ids of everybody there when it began.
        updated: The ids of people who were changed.
        deleted: The ids of people who are gone.
        counts: How many times somebody was created, updated, deleted.
        is_told: Whether webhooks tell of what happens.
    """

    def __init__(self, world: World, clock: Clock, *, peek: Callable[[], str | None], page_size: int) -> None:
        self.at_start = frozenset(world.entities("people"))
        self.updated: set[str] = set()
        self.deleted: set[str] = set()
        self.counts: Counter[str] = Counter(created=0, updated=0, deleted=0)
        self.is_told = False
        self._world = world
        self._clock = clock
        self.page_size = page_size
        self._peek = peek

    @property
    def survivors(self) -> frozenset[str]:
        """Everybody who was there from the start to now."""
        return self.at_start - self.deleted

    @property
    def untouched(self) -> frozenset[str]:
        """Everybody who was there from the start to now and did not change."""
        return self.survivors - self.updated

    @property
    def everybody(self) -> list[str]:
        """The ids of everybody who is there."""
        return list(self._world.entities("people"))

    @property
    def peek(self) -> str:
        """The id of the person with whom the next page must begin; empty if that is not known."""
        return self._peek() or ""

    def create(self, count: int) -> None:
        """Let so many people come, created now."""
        for _ in range(count):
            self._world.create_person(self._clock.now())
        self.counts["created"] += count

    def bring(self, count: int, age_s: float) -> None:
        """Let so many people come at once who all say that they were created so long ago, seconds."""
        now = self._clock.now()
        created_at = now - timedelta(seconds=age_s)
        for _ in range(count):
            self._world.create_person(now, created_at)
        self.counts["created"] += count

    def update(self, record_ids: Sequence[str]) -> None:
        """Change the titles of these people."""
        for record_id in record_ids:
            self._world.update_person(record_id, self._clock.now())
        self.updated.update(record_ids)
        self.counts["updated"] += len(record_ids)

    def delete(self, record_ids: Sequence[str]) -> None:
        """Let those of these people go who are there."""
        there = [record_id for record_id in record_ids if record_id in self._world.entities("people")]
        for record_id in there:
            self._world.delete_person(record_id)
        self.deleted.update(there)
        self.counts["deleted"] += len(there)

    def merge(self, record_ids: Sequence[str]) -> None:
        """Make one of these two people, under a new id; nothing if they are not two."""
        if len(record_ids) == 2:
            one, other = record_ids
            self._world.merge("people", one, other, self._clock.now(), {"type": "system", "id": None})
            self.deleted.update(record_ids)
            self.counts.update(created=1, deleted=2)

    def anybody(self, count: int, rng: random.Random) -> list[str]:
        """Return the ids of so many people, or of all."""
        people = self.everybody
        return rng.sample(people, min(count, len(people)))

    def around_peek(self, rng: random.Random) -> list[str]:
        """Return a page of people, newest first, around the one with whom the next page must begin."""
        people = self._world.entities("people")
        ordered = sorted(people, key=lambda record_id: people[record_id].created_at, reverse=True)
        peek = self.peek
        place = ordered.index(peek) if peek in people else rng.randrange(len(ordered) + 1)
        start = max(0, place - rng.randrange(self.page_size + 1))
        return ordered[start : start + self.page_size]

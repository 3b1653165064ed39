"""How the world moves while it is read: people come, change and go before each request."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from syncfsm.outside.clock import Clock
from syncfsm_simulator.stage.faults import WORLD, Faults, Strike
from syncfsm_simulator.world.records import HISTORY
from syncfsm_simulator.world.world import World


class Changes:
    """Moves the people of a world, and remembers whom it touched.

    Args:
        world: Whose people.
        faults: What moves before which request.
        clock: True time.
        peek: Tells the id of the person with whom the next page must begin, if that is known.
        page_size: People in a page, for moves of whole pages.

    Attributes:
        at_start: The ids of everybody there when it began.
        updated: The ids of people who were changed.
        deleted: The ids of people who are gone.
        counts: How many times somebody was created, updated, deleted.
    """

    def __init__(
        self, world: World, faults: Faults, clock: Clock, *, peek: Callable[[], str | None], page_size: int
    ) -> None:
        self.at_start = frozenset(world.entities("people"))
        self.updated: set[str] = set()
        self.deleted: set[str] = set()
        self.counts: Counter[str] = Counter(created=0, updated=0, deleted=0)
        self._world = world
        self._faults = faults
        self._clock = clock
        self._peek = peek
        self._page_size = page_size

    @property
    def survivors(self) -> frozenset[str]:
        """Everybody who was there from the start to now."""
        return self.at_start - self.deleted

    @property
    def untouched(self) -> frozenset[str]:
        """Everybody who was there from the start to now and did not change."""
        return self.survivors - self.updated

    def before_request(self) -> None:
        """Move the world as the seed says."""
        visit = self._faults.visit(WORLD)
        for strike in visit.strikes:
            self._move(strike, visit.rng)

    def _move(self, strike: Strike, rng: random.Random) -> None:
        match strike.kind:
            case "created":
                self._create(strike.times)
            case "updated":
                self._update(self._anybody(strike.times, rng))
            case "deleted":
                self._delete(self._anybody(strike.times, rng))
            case "imported":
                self._import(rng)
            case "peek_deleted":
                self._delete([self._peek() or ""])
            case "page_deleted":
                self._delete(self._around_peek(rng))
            case "all_updated":
                self._update(list(self._world.entities("people")))
            case "all_deleted":
                self._delete(list(self._world.entities("people")))

    def _create(self, count: int) -> None:
        for _ in range(count):
            self._world.create_person(self._clock.now())
        self.counts["created"] += count

    def _import(self, rng: random.Random) -> None:
        """Let people come at once with one `created_at`: that of the import, or one out of their past."""
        now = self._clock.now()
        is_old = rng.random() < 0.5
        created_at = now - timedelta(seconds=rng.uniform(0, HISTORY.total_seconds())) if is_old else now
        count = rng.randrange(1, 2 * self._page_size + 2)
        for _ in range(count):
            self._world.create_person(now, created_at)
        self.counts["created"] += count

    def _update(self, record_ids: Sequence[str]) -> None:
        for record_id in record_ids:
            self._world.update_person(record_id, self._clock.now())
        self.updated.update(record_ids)
        self.counts["updated"] += len(record_ids)

    def _delete(self, record_ids: Sequence[str]) -> None:
        there = [record_id for record_id in record_ids if record_id in self._world.entities("people")]
        for record_id in there:
            self._world.delete_person(record_id)
        self.deleted.update(there)
        self.counts["deleted"] += len(there)

    def _anybody(self, count: int, rng: random.Random) -> list[str]:
        people = list(self._world.entities("people"))
        return rng.sample(people, min(count, len(people)))

    def _around_peek(self, rng: random.Random) -> list[str]:
        """Return a page of people, newest first, around the one with whom the next page must begin."""
        people = self._world.entities("people")
        ordered = sorted(people, key=lambda record_id: people[record_id].created_at, reverse=True)
        peek = self._peek() or ""
        place = ordered.index(peek) if peek in people else rng.randrange(len(ordered) + 1)
        start = max(0, place - rng.randrange(self._page_size + 1))
        return ordered[start : start + self._page_size]

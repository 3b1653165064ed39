"""How the world moves while it is read: people come, change and go, a few before each request."""

from __future__ import annotations

import random
from datetime import datetime

import msgspec

from simulator.world import World
from syncfsm.clock import Clock


class ChangeRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many people change before each request, on average.

    Attributes:
        created: People who come.
        updated: People whose title changes.
        deleted: People who go.
    """

    created: float = 0.0
    updated: float = 0.0
    deleted: float = 0.0


class Changes:
    """Moves the people of a world, and remembers whom it touched.

    Attributes:
        at_start: The ids of everybody there when it began.
        created: The ids of people who came.
        updated: The ids of people who were changed.
        deleted: The ids of people who are gone.
    """

    def __init__(self, world: World, rates: ChangeRates, rng: random.Random, clock: Clock) -> None:
        self.at_start = frozenset(world.entities("people"))
        self.created: set[str] = set()
        self.updated: set[str] = set()
        self.deleted: set[str] = set()
        self._world = world
        self._rates = rates
        self._rng = rng
        self._clock = clock

    def calm(self) -> None:
        """Let the world stand still from now on."""
        self._rates = ChangeRates()

    @property
    def counts(self) -> dict[str, int]:
        """How many people came, changed and went."""
        return {"created": len(self.created), "updated": len(self.updated), "deleted": len(self.deleted)}

    @property
    def survivors(self) -> frozenset[str]:
        """Everybody who was there from the start to now."""
        return self.at_start - self.deleted

    @property
    def untouched(self) -> frozenset[str]:
        """Everybody who was there from the start to now and did not change."""
        return self.survivors - self.updated

    def before_request(self) -> None:
        """Move the world a little."""
        now = self._clock.now()
        for _ in range(self._count(self._rates.created)):
            self.created.add(self._world.create_person(now))
        for _ in range(self._count(self._rates.updated)):
            self._update(now)
        for _ in range(self._count(self._rates.deleted)):
            self._delete()

    def _count(self, rate: float) -> int:
        """Return a whole number that is `rate` on average."""
        return int(rate + self._rng.random())

    def _update(self, now: datetime) -> None:
        if person := self._somebody():
            self._world.update_person(person, now)
            self.updated.add(person)

    def _delete(self) -> None:
        if person := self._somebody():
            self._world.delete_person(person)
            self.deleted.add(person)

    def _somebody(self) -> str | None:
        people = self._world.entities("people")
        if not people:
            return None
        ids = list(people)
        return ids[self._rng.randrange(len(ids))]

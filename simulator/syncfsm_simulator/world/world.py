"""The workspace behind the fake: people and companies from a seed, and how they change.

The same seed makes the same world, and person number i does not depend on how many follow, only on how many
companies there are to work for. A record has every attribute of its object, unset ones as an empty list. The
attribute `created_at` lies a little before the record's own `created_at`, as it does in production; sorts
and filters see the attribute. This file knows nothing of HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from syncfsm_simulator.world import population
from syncfsm_simulator.world.entity import Actor, Change, Entity, Value, time_text, wrapped
from syncfsm_simulator.world.ids import Ids
from syncfsm_simulator.world.population import uuid
from syncfsm_simulator.world.records import TIED, Maker
from syncfsm_simulator.world.schema import OBJECTS, UPDATED_AT, Attribute


class World:
    """The people and companies of one workspace.

    Args:
        seed: The number that decides everything.
        people: How many people there are at the start.
        companies: How many companies; one for each fifty people if `None`.
        tied: The share of people who share their `created_at` with the one before them.
        updated_at: Whether records have an attribute `updated_at`, which Attio's do not.
        now: When the world begins.

    Attributes:
        slug: The workspace's slug.
        objects: The objects, by slug.
        ids: Their ids, and those of the attributes and options.
    """

    def __init__(
        self,
        seed: int,
        *,
        people: int = 5000,
        companies: int | None = None,
        tied: float = TIED,
        updated_at: bool = False,
        now: datetime,
    ) -> None:
        self.slug = "northwind-labs"
        self._seed = seed
        self._has_updated_at = updated_at
        self.objects = {
            slug: kind.having(UPDATED_AT) if updated_at else kind for slug, kind in OBJECTS.items()
        }
        self._attributes = {
            slug: {attribute.slug: attribute for attribute in kind.attributes}
            for slug, kind in self.objects.items()
        }
        self.ids = Ids(self._rng("workspace"))
        self._actor: Actor = {"type": "workspace-member", "id": self.member_id}
        self._watchers: list[Callable[[Change], None]] = []
        self._entities: dict[str, dict[str, Entity]] = {slug: {} for slug in OBJECTS}
        self._touched: dict[str, list[str]] = {slug: [] for slug in OBJECTS}
        self._maker = Maker(seed, now, tied=tied, objects=self.objects, workspace=self.slug, ids=self.ids)
        for index in range(-(-people // 50) if companies is None else companies):
            self._add("companies", self._maker.company(index))
        self._maker.employers = list(self._entities["companies"])
        for _ in range(people):
            self._add("people", self._maker.person())

    @property
    def workspace_id(self) -> str:
        """The workspace's id."""
        return self.ids.workspace

    @property
    def member_id(self) -> str:
        """The id of its one member, who made everything."""
        return self.ids.member

    @property
    def object_ids(self) -> dict[str, str]:
        """The ids of the objects, by slug."""
        return self.ids.objects

    def entities(self, slug: str) -> Mapping[str, Entity]:
        """Return the records of an object by id."""
        return self._entities[slug]

    def touched(self, slug: str, since: int = 0) -> Sequence[str]:
        """Return the ids of the records created, changed or deleted, from the change number `since` on."""
        return self._touched[slug][since:]

    def ids_of(self, slug: str) -> dict[str, str]:
        """Return the ids that every record of an object carries."""
        return self.ids.of_object(slug)

    def attribute(self, slug: str, name: str) -> Attribute | None:
        """Return an attribute of an object by its slug or id, or nothing."""
        known = self._attributes[slug]
        if name in known:
            return known[name]
        by_id = {self.ids.of_attribute(slug, each)["attribute_id"]: known[each] for each in known}
        return by_id.get(name)

    def watch(self, watcher: Callable[[Change], None]) -> None:
        """Have every change told from now on, when it has happened."""
        self._watchers.append(watcher)

    # ── what the simulator does to people ────────────────────────────────────────────────────

    def create_person(self, at: datetime, created_at: datetime | None = None) -> str:
        """Add a person now; with another `created_at`, as an import that sets it would."""
        record_id = self._add("people", self._maker.person(at, created_at or at))
        self._tell(Change("created", "people", record_id, self._actor))
        return record_id

    def update_person(self, record_id: str, at: datetime) -> None:
        """Change a person's title; never `created_at`."""
        rng = self._rng(f"update:{len(self._touched['people'])}")
        title = f"{rng.choice(population.TITLES)} {rng.randrange(1000)}"
        self.write("people", record_id, {"job_title": [self._value(at, "text", title)]}, at)

    def delete_person(self, record_id: str) -> None:
        """Take a person away."""
        self._take("people", record_id)
        self._tell(Change("deleted", "people", record_id, self._actor))

    # ── what anybody does through the API ────────────────────────────────────────────────────

    def create(self, slug: str, values: Mapping[str, Sequence[Value]], at: datetime, actor: Actor) -> Entity:
        """Add a record with these values."""
        record_id = uuid(self._rng(f"created:{slug}:{len(self._touched[slug])}"))
        entity = self._maker.entity(
            slug, record_id, created_at=time_text(at), recorded_at=time_text(at), by=actor
        )
        for attribute, held in values.items():
            entity.set(attribute, held)
        self._add(slug, entity)
        self._tell(Change("created", slug, record_id, actor))
        return entity

    def write(
        self,
        slug: str,
        record_id: str,
        values: Mapping[str, Sequence[Value]],
        at: datetime,
        actor: Actor | None = None,
        *,
        is_told: bool = True,
    ) -> None:
        """Set attributes of a record; by the workspace's one member where no `actor` is named.

        Not all writes are told: those that replace an attribute's whole history fire no webhook.
        """
        entity = self._entities[slug][record_id]
        for attribute, held in values.items():
            entity.set(attribute, held)
        if self._has_updated_at:
            entity.set("updated_at", [self._value(at, "timestamp", time_text(at))])
        self._touched[slug].append(record_id)
        if is_told:
            self._tell(Change("updated", slug, record_id, actor or self._actor, tuple(values)))

    def delete(self, slug: str, record_id: str, actor: Actor) -> None:
        """Take a record away, and every reference to it."""
        self._take(slug, record_id)
        self._repoint(slug, (record_id,), None)
        self._tell(Change("deleted", slug, record_id, actor))

    def merge(self, slug: str, primary_id: str, secondary_id: str, at: datetime, actor: Actor) -> str:
        """Make one record of two, under a new id, and return it.

        It keeps what the primary record has, and what only the secondary one has; of attributes with
        several values, those of both.
        """
        primary, secondary = (self._entities[slug][record_id] for record_id in (primary_id, secondary_id))
        new_id = uuid(self._rng(f"merged:{slug}:{len(self._touched[slug])}"))
        entity = self._maker.entity(
            slug, new_id, created_at=primary.created_at, recorded_at=time_text(at), by=actor
        )
        for attribute in self.objects[slug].attributes:
            ours, theirs = primary.held(attribute.slug), secondary.held(attribute.slug)
            entity.set(attribute.slug, [*ours, *theirs] if attribute.is_multiselect else ours or theirs)
        entity.set("record_id", [self._value(at, "text", new_id)])
        for record_id in (primary_id, secondary_id):
            self._take(slug, record_id)
        self._add(slug, entity)
        self._repoint(slug, (primary_id, secondary_id), new_id)
        self._tell(Change("merged", slug, new_id, actor, merged=(primary_id, secondary_id)))
        return new_id

    def _repoint(self, slug: str, gone: tuple[str, ...], new_id: str | None) -> None:
        """Let references to records that are gone point to another, or be gone as well."""
        for other, kind in self.objects.items():
            referring = [attribute.slug for attribute in kind.attributes if attribute.target == slug]
            for entity in self._entities[other].values():
                for attribute in referring:
                    held = entity.held(attribute)
                    if any(value["target_record_id"] in gone for value in held):
                        entity.set(attribute, _repointed(held, gone, new_id))
                        self._touched[other].append(entity.record_id)

    def _tell(self, change: Change) -> None:
        for watcher in self._watchers:
            watcher(change)

    def _take(self, slug: str, record_id: str) -> None:
        del self._entities[slug][record_id]
        self._touched[slug].append(record_id)

    def _add(self, slug: str, entity: Entity) -> str:
        self._entities[slug][entity.record_id] = entity
        self._touched[slug].append(entity.record_id)
        return entity.record_id

    def _value(self, at: datetime, type_: str, value: str) -> Value:
        return wrapped(time_text(at), self._actor, type_, {"value": value})

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self._seed}:{purpose}")


def _repointed(held: Sequence[Value], gone: tuple[str, ...], new_id: str | None) -> list[Value]:
    """Return references with those to records that are gone moved to the new one, or left out."""
    kept = [value for value in held if value["target_record_id"] not in gone]
    if new_id is None:
        return kept
    moved = next(value for value in held if value["target_record_id"] in gone)
    return [*kept, {**moved, "target_record_id": new_id}]

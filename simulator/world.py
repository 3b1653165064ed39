"""The workspace behind the fake: people and companies from a seed, and how they change.

The same seed makes the same world, and person number i does not depend on how many follow, only on how many
companies there are to work for. A record has every attribute of its object, unset ones as an empty list. The
attribute `created_at` lies a little before the record's own `created_at`, as it does in production; sorts
and filters see the attribute. This file knows nothing of HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from simulator import population
from simulator.population import uuid
from simulator.schema import COMPANIES, OBJECTS, PEOPLE, ObjectType

Values = dict[str, Sequence[dict[str, Any]]]

HISTORY = timedelta(days=730)
"""Records were created within this time before the world begins."""

TIED = 0.1
"""The share of people who share their `created_at` with the one before them, as after an import."""

SUPERSEDED = 0.02
"""The share of people who still carry a name that is no longer active."""


class Entity:
    """One record, with its JSON kept until it changes."""

    __slots__ = ("_encoded", "created_at", "record_id", "recorded_at", "values", "web_url")

    def __init__(
        self, record_id: str, created_at: str, recorded_at: str, web_url: str, values: Values
    ) -> None:
        self.record_id = record_id
        self.created_at = created_at
        self.recorded_at = recorded_at
        self.web_url = web_url
        self.values = values
        self._encoded: bytes | None = None

    def encoded(self, ids: Mapping[str, str]) -> bytes:
        """Return the record as Attio sends it; `ids` are those of its workspace and object."""
        if self._encoded is None:
            record = {
                "id": {**ids, "record_id": self.record_id},
                "created_at": self.recorded_at,
                "web_url": self.web_url,
                "values": self.values,
            }
            self._encoded = msgspec.json.encode(record)
        return self._encoded

    def set(self, slug: str, values: Sequence[dict[str, Any]]) -> None:
        """Change an attribute."""
        self.values[slug] = values
        self._encoded = None


class World:
    """The people and companies of one workspace.

    Args:
        seed: The number that decides everything.
        people: How many people there are at the start.
        companies: How many companies; one for each fifty people if `None`.
        tied: The share of people who share their `created_at` with the one before them.
        now: When the world begins.

    Attributes:
        slug: The workspace's slug.
        workspace_id: Its id.
        member_id: The id of its one member, who made everything.
        object_ids: The ids of the objects, by slug.
    """

    def __init__(
        self,
        seed: int,
        *,
        people: int = 5000,
        companies: int | None = None,
        tied: float = TIED,
        now: datetime,
    ) -> None:
        self.slug = "northwind-labs"
        self._seed = seed
        self._now = now
        self._tied = tied
        rng = self._rng("workspace")
        self.workspace_id = uuid(rng)
        self.object_ids = {slug: uuid(rng) for slug in OBJECTS}
        self.member_id = uuid(rng)
        self._actor = {"type": "workspace-member", "id": self.member_id}
        self._born = 0
        self._last_created_at = now
        self._entities: dict[str, dict[str, Entity]] = {slug: {} for slug in OBJECTS}
        self._touched: dict[str, list[str]] = {slug: [] for slug in OBJECTS}
        wanted = -(-people // 50) if companies is None else companies
        for index in range(wanted):
            self._add(COMPANIES, self._company(index))
        self._company_ids = list(self._entities["companies"])
        for _ in range(people):
            self._add(PEOPLE, self._person(None, None))

    def entities(self, slug: str) -> Mapping[str, Entity]:
        """Return the records of an object by id."""
        return self._entities[slug]

    def touched(self, slug: str, since: int = 0) -> Sequence[str]:
        """Return the ids of the records created, changed or deleted, from the change number `since` on."""
        return self._touched[slug][since:]

    def ids_of(self, slug: str) -> dict[str, str]:
        """Return the ids that every record of an object carries."""
        return {"workspace_id": self.workspace_id, "object_id": self.object_ids[slug]}

    def create_person(self, at: datetime, created_at: datetime | None = None) -> str:
        """Add a person now; with another `created_at`, as an import that sets it would."""
        return self._add(PEOPLE, self._person(at, created_at or at))

    def update_person(self, record_id: str, at: datetime) -> None:
        """Change a person's title; never `created_at`."""
        rng = self._rng(f"update:{len(self._touched['people'])}")
        title = f"{rng.choice(population.TITLES)} {rng.randrange(1000)}"
        self._entities["people"][record_id].set("job_title", [self._value(_time(at), "text", value=title)])
        self._touched["people"].append(record_id)

    def delete_person(self, record_id: str) -> None:
        """Take a person away."""
        del self._entities["people"][record_id]
        self._touched["people"].append(record_id)

    def _add(self, kind: ObjectType, entity: Entity) -> str:
        self._entities[kind.slug][entity.record_id] = entity
        self._touched[kind.slug].append(entity.record_id)
        return entity.record_id

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self._seed}:{purpose}")

    def _past(self, rng: random.Random) -> datetime:
        """Return a moment within the history, in whole milliseconds."""
        return self._now - timedelta(milliseconds=rng.randrange(1, HISTORY // timedelta(milliseconds=1)))

    def _value(self, at: str, type_: str, **fields: Any) -> dict[str, Any]:
        """Return one value in the wrapper that every value has."""
        return {
            "active_from": at,
            "active_until": None,
            "created_by_actor": self._actor,
            **fields,
            "attribute_type": type_,
        }

    def _person(self, at: datetime | None, created_at: datetime | None) -> Entity:
        index, self._born = self._born, self._born + 1
        rng = self._rng(f"person:{index}")
        created = created_at or (self._past(rng) if rng.random() > self._tied else self._last_created_at)
        self._last_created_at = created
        record_id, recorded = uuid(rng), at or created + timedelta(milliseconds=rng.randrange(300, 15_000))
        values = self._blank(PEOPLE, record_id, created, recorded)
        self._fill_person(values, rng, index, _time(recorded))
        return self._entity(PEOPLE, record_id, created, recorded, values)

    def _fill_person(self, values: Values, rng: random.Random, index: int, at: str) -> None:
        if name := population.name_fields(rng):
            values["name"] = [self._value(at, "personal-name", **name)]
            if rng.random() < SUPERSEDED:
                values["name"] = [self._superseded_name(at), *values["name"]]
        values["email_addresses"] = [
            self._value(at, "email-address", **fields) for fields in population.email_fields(rng, index)
        ]
        values["phone_numbers"] = [
            self._value(at, "phone-number", **fields) for fields in population.phone_fields(rng)
        ]
        if self._company_ids and rng.random() < 0.7:
            company_id = rng.choice(self._company_ids)
            values["company"] = [self._reference(at, "companies", company_id)]
        if rng.random() < 0.7:
            values["job_title"] = [self._value(at, "text", value=rng.choice(population.TITLES))]
        if rng.random() < 0.5:
            values["linkedin"] = [self._value(at, "text", value=f"https://linkedin.example/in/p{index}")]
        self._fill_history(values, rng, at)

    def _superseded_name(self, at: str) -> dict[str, Any]:
        """Return a name that is no longer active; Attio sends few of these, but clients must cope."""
        name = {"first_name": "Was", "last_name": "Called", "full_name": "Was Called"}
        return {**self._value(at, "personal-name", **name), "active_until": at}

    def _fill_history(self, values: Values, rng: random.Random, at: str) -> None:
        """Add what Attio itself finds out: a place, interactions, the strength of the connection."""
        values["primary_location"] = [self._value(at, "location", **population.location_fields(rng))]
        for slug in ("first_email_interaction", "last_email_interaction", "last_interaction"):
            values[slug] = [
                self._value(
                    at, "interaction", interaction_type="email", interacted_at=at, owner_actor=self._actor
                )
            ]
        strength = round(rng.uniform(0, 100), 2)
        values["strongest_connection_strength_legacy"] = [self._value(at, "number", value=strength)]

    def _reference(self, at: str, target: str, record_id: str) -> dict[str, Any]:
        return self._value(at, "record-reference", target_object=target, target_record_id=record_id)

    def _company(self, index: int) -> Entity:
        rng = self._rng(f"company:{index}")
        record_id, created = uuid(rng), self._past(rng)
        recorded = created + timedelta(milliseconds=rng.randrange(300, 15_000))
        at = _time(recorded)
        values = self._blank(COMPANIES, record_id, created, recorded)
        domain = f"harbor{index}.example"
        values["domains"] = [self._value(at, "domain", domain=domain, root_domain=domain)]
        if rng.random() < 0.95:
            name = f"{rng.choice(population.COMPANY_NAMES)} {index}"
            values["name"] = [self._value(at, "text", value=name)]
        values["description"] = [
            self._value(at, "text", value="An invented company. " * rng.randrange(1, 20))
        ]
        self._fill_history(values, rng, at)
        return self._entity(COMPANIES, record_id, created, recorded, values)

    def _blank(self, kind: ObjectType, record_id: str, created: datetime, recorded: datetime) -> Values:
        """Return every attribute of an object, with only what every record has."""
        values: Values = dict.fromkeys((attribute.slug for attribute in kind.attributes), ())
        at = _time(recorded)
        creator = {"referenced_actor_type": "workspace-member", "referenced_actor_id": self.member_id}
        values["record_id"] = [self._value(at, "text", value=record_id)]
        values["created_at"] = [self._value(at, "timestamp", value=_time(created))]
        values["created_by"] = [self._value(at, "actor-reference", **creator)]
        return values

    def _entity(
        self, kind: ObjectType, record_id: str, created: datetime, recorded: datetime, values: Values
    ) -> Entity:
        web_url = f"https://app.attio.example/{self.slug}/{kind.singular.lower()}/{record_id}"
        return Entity(record_id, _time(created), _time(recorded), web_url, values)


def _time(at: datetime) -> str:
    """Return a moment as Attio writes it: nanoseconds in form, milliseconds in content."""
    return at.isoformat(timespec="milliseconds")[:23] + "000000Z"

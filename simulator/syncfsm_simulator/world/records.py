"""How people and companies come to be: every record of a world is made here, from the seed.

Person number i does not depend on how many follow, only on how many companies there are to work for.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from syncfsm_simulator.world import population
from syncfsm_simulator.world.entity import Actor, Entity, Value, Values, time_text, wrapped
from syncfsm_simulator.world.ids import Ids
from syncfsm_simulator.world.population import uuid
from syncfsm_simulator.world.schema import ObjectType

HISTORY = timedelta(days=730)
"""Records were created within this time before the world begins."""

TIED = 0.1
"""The share of people who share their `created_at` with the one before them, as after an import."""

SUPERSEDED = 0.02
"""The share of people who still carry a name that is no longer active."""

SYSTEM: Actor = {"type": "system", "id": None}
"""Who writes what Attio itself finds out."""


class Maker:
    """Makes the records of one world.

    Args:
        seed: The number that decides everything.
        now: When the world begins.
        tied: The share of people who share their `created_at` with the one before them.
        objects: The objects, by slug.
        workspace: The workspace's slug.
        ids: Whose one member makes everything.

    Attributes:
        employers: The ids of the companies that people may work for.
    """

    def __init__(
        self,
        seed: int,
        now: datetime,
        *,
        tied: float,
        objects: Mapping[str, ObjectType],
        workspace: str,
        ids: Ids,
    ) -> None:
        self.employers: Sequence[str] = ()
        self._seed = seed
        self._now = now
        self._tied = tied
        self._objects = objects
        self._workspace = workspace
        self._ids = ids
        self._actor: Actor = {"type": "workspace-member", "id": ids.member}
        self._born = 0
        self._last_created_at = now

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self._seed}:{purpose}")

    def _past(self, rng: random.Random) -> datetime:
        """Return a moment within the history, in whole milliseconds."""
        return self._now - timedelta(milliseconds=rng.randrange(1, HISTORY // timedelta(milliseconds=1)))

    def _value(self, at: str, type_: str, **fields: Any) -> Value:
        """Return one value that the workspace's one member wrote."""
        return wrapped(at, self._actor, type_, fields)

    def person(self, at: datetime | None = None, created_at: datetime | None = None) -> Entity:
        """Return the next person: one out of the past, or one who comes at a moment of the present."""
        index, self._born = self._born, self._born + 1
        rng = self._rng(f"person:{index}")
        created = created_at or (self._past(rng) if rng.random() > self._tied else self._last_created_at)
        self._last_created_at = created
        record_id, recorded = uuid(rng), at or created + timedelta(milliseconds=rng.randrange(300, 15_000))
        values = self.blank("people", record_id, created, recorded, self._actor)
        self._fill_person(values, rng, index, time_text(recorded))
        return self.entity("people", record_id, created, recorded, values)

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
        if self.employers and rng.random() < 0.7:
            company_id = rng.choice(self.employers)
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
        place = population.location_fields(rng)
        values["primary_location"] = [wrapped(at, SYSTEM, "location", place)]
        email = {"interaction_type": "email", "interacted_at": at, "owner_actor": self._actor}
        for slug in ("first_email_interaction", "last_email_interaction", "last_interaction"):
            values[slug] = [wrapped(at, SYSTEM, "interaction", email)]
        strength = {"value": round(rng.uniform(0, 100), 2)}
        values["strongest_connection_strength_legacy"] = [wrapped(at, SYSTEM, "number", strength)]

    def _reference(self, at: str, target: str, record_id: str) -> dict[str, Any]:
        return self._value(at, "record-reference", target_object=target, target_record_id=record_id)

    def company(self, index: int) -> Entity:
        """Return company number `index`."""
        rng = self._rng(f"company:{index}")
        record_id, created = uuid(rng), self._past(rng)
        recorded = created + timedelta(milliseconds=rng.randrange(300, 15_000))
        at = time_text(recorded)
        values = self.blank("companies", record_id, created, recorded, self._actor)
        domain = f"harbor{index}.example"
        values["domains"] = [self._value(at, "domain", domain=domain, root_domain=domain)]
        if rng.random() < 0.95:
            name = f"{rng.choice(population.COMPANY_NAMES)} {index}"
            values["name"] = [self._value(at, "text", value=name)]
        values["description"] = [
            self._value(at, "text", value="An invented company. " * rng.randrange(1, 20))
        ]
        self._fill_history(values, rng, at)
        self._fill_company(values, rng, at)
        return self.entity("companies", record_id, created, recorded, values)

    def _fill_company(self, values: Values, rng: random.Random, at: str) -> None:
        """Add what Attio finds out of some companies."""
        for attribute in self._objects["companies"].attributes:
            if attribute.options and rng.random() < 0.7:
                option = self._ids.option("companies", attribute, rng.choice(attribute.options))
                values[attribute.slug] = [wrapped(at, SYSTEM, "select", {"option": option})]
        if rng.random() < 0.5:
            raised = {"currency_value": rng.randrange(1, 400) * 50_000, "currency_code": "USD"}
            values["funding_raised_usd"] = [wrapped(at, SYSTEM, "currency", raised)]
        if rng.random() < 0.8:
            founded = {"value": f"{rng.randrange(1890, 2026)}-{rng.randrange(1, 13):02}-01"}
            values["foundation_date"] = [wrapped(at, SYSTEM, "date", founded)]

    def blank(self, slug: str, record_id: str, created: datetime, recorded: datetime, actor: Actor) -> Values:
        """Return every attribute of an object, with only what every record has."""
        values: Values = dict.fromkeys((attribute.slug for attribute in self._objects[slug].attributes), ())
        at = time_text(recorded)
        creator = {"referenced_actor_type": actor["type"], "referenced_actor_id": actor["id"]}
        values["record_id"] = [wrapped(at, actor, "text", {"value": record_id})]
        values["created_at"] = [wrapped(at, actor, "timestamp", {"value": time_text(created)})]
        values["created_by"] = [wrapped(at, actor, "actor-reference", creator)]
        if "updated_at" in values:
            values["updated_at"] = [wrapped(at, actor, "timestamp", {"value": at})]
        return values

    def entity(
        self, slug: str, record_id: str, created: datetime, recorded: datetime, values: Values
    ) -> Entity:
        """Return a record with these values."""
        singular = self._objects[slug].singular.lower()
        web_url = f"https://app.attio.example/{self._workspace}/{singular}/{record_id}"
        return Entity(record_id, time_text(created), time_text(recorded), web_url, values)

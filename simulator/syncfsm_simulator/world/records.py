"""How people and companies come to be: every record of a world is made here, from the seed.

Person number i does not depend on how many follow, only on how many companies there are to work for.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from syncfsm_simulator.world import population
from syncfsm_simulator.world.entity import UTF8_BYTES, Actor, Entity, fields_text, text_of, time_text
from syncfsm_simulator.world.ids import Ids
from syncfsm_simulator.world.population import below, uuid
from syncfsm_simulator.world.schema import UPDATED_AT, ObjectType

HISTORY = timedelta(days=730)
"""Records were created within this time before the world begins."""

_HISTORY_MS = HISTORY // timedelta(milliseconds=1)

TIED = 0.1
"""The share of people who share their `created_at` with the one before them, as after an import."""

SUPERSEDED = 0.02
"""The share of people who still carry a name that is no longer active."""

SYSTEM = text_of({"type": "system", "id": None})
"""Who writes what Attio itself finds out, as JSON."""

Held = dict[str, str]
"""The lists of values of some attributes, as JSON."""


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
        self._member: Actor = {"type": "workspace-member", "id": ids.member}
        self._actor = text_of(self._member)
        self._has_updated_at = UPDATED_AT in objects["people"].attributes
        self._forms: dict[tuple[str, tuple[str, ...]], _Form] = {}
        self._born = 0
        self._last_created_at = now

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self._seed}:{purpose}")

    def _past(self, rng: random.Random) -> datetime:
        """Return a moment within the history, in whole milliseconds."""
        return self._now - timedelta(milliseconds=1 + below(rng, _HISTORY_MS - 1))

    def _recorded(self, rng: random.Random, created: datetime) -> datetime:
        """Return when a record out of the past was written down: soon after its `created_at`."""
        return created + timedelta(milliseconds=300 + below(rng, 14_700))

    def person(self, at: datetime | None = None, created_at: datetime | None = None) -> Entity:
        """Return the next person: one out of the past, or one who comes at a moment of the present."""
        index, self._born = self._born, self._born + 1
        rng = self._rng(f"person:{index}")
        created = created_at or (self._past(rng) if rng.random() > self._tied else self._last_created_at)
        self._last_created_at = created
        record_id, recorded = uuid(rng), time_text(at or self._recorded(rng, created))
        known = self._known_of_person(rng, index, recorded)
        return self.entity(
            "people", record_id, created_at=time_text(created), recorded_at=recorded, held=known
        )

    def _known_of_person(self, rng: random.Random, index: int, at: str) -> Held:
        by, held = _by(self._actor, at), Held()
        if name := population.name_fields(rng):
            held["name"] = _one(by, "personal-name", name)
            if rng.random() < SUPERSEDED:
                held["name"] = _with_former_name(by, held["name"], at)
        held["email_addresses"] = _several(by, "email-address", population.email_fields(rng, index))
        held["phone_numbers"] = _several(by, "phone-number", population.phone_fields(rng))
        if self.employers and rng.random() < 0.7:
            company_id = self.employers[below(rng, len(self.employers))]
            company = f'"target_object":"companies","target_record_id":"{company_id}"'
            held["company"] = _one(by, "record-reference", company)
        if rng.random() < 0.7:
            held["job_title"] = _one(by, "text", population.title_fields(rng))
        if rng.random() < 0.5:
            held["linkedin"] = _one(by, "text", f'"value":"https://linkedin.example/in/p{index}"')
        self._add_history(held, rng, at)
        return held

    def _add_history(self, held: Held, rng: random.Random, at: str) -> None:
        """Add what Attio itself finds out: a place, interactions, the strength of the connection."""
        by = _by(SYSTEM, at)
        held["primary_location"] = _one(by, "location", population.location_fields(rng))
        email = f'"interaction_type":"email","interacted_at":"{at}","owner_actor":{self._actor}'
        met = _one(by, "interaction", email)
        held["first_email_interaction"] = held["last_email_interaction"] = held["last_interaction"] = met
        strength = f'"value":{round(rng.uniform(0, 100), 2)}'
        held["strongest_connection_strength_legacy"] = _one(by, "number", strength)

    def company(self, index: int) -> Entity:
        """Return company number `index`."""
        rng = self._rng(f"company:{index}")
        record_id, created = uuid(rng), self._past(rng)
        at = time_text(self._recorded(rng, created))
        by, domain = _by(self._actor, at), f"harbor{index}.example"
        held = {"domains": _one(by, "domain", fields_text(domain=domain, root_domain=domain))}
        if rng.random() < 0.95:
            name = f"{rng.choice(population.COMPANY_NAMES)} {index}"
            held["name"] = _one(by, "text", fields_text(value=name))
        about = "An invented company. " * rng.randrange(1, 20)
        held["description"] = _one(by, "text", fields_text(value=about))
        self._add_history(held, rng, at)
        self._add_firmographics(held, rng, at)
        return self.entity("companies", record_id, created_at=time_text(created), recorded_at=at, held=held)

    def _add_firmographics(self, held: Held, rng: random.Random, at: str) -> None:
        """Add what Attio finds out of some companies."""
        by = _by(SYSTEM, at)
        for attribute in self._objects["companies"].attributes:
            if attribute.options and rng.random() < 0.7:
                option = self._ids.option("companies", attribute, rng.choice(attribute.options))
                held[attribute.slug] = _one(by, "select", fields_text(option=option))
        if rng.random() < 0.5:
            raised = fields_text(currency_value=rng.randrange(1, 400) * 50_000, currency_code="USD")
            held["funding_raised_usd"] = _one(by, "currency", raised)
        if rng.random() < 0.8:
            founded = f"{rng.randrange(1890, 2026)}-{rng.randrange(1, 13):02}-01"
            held["foundation_date"] = _one(by, "date", fields_text(value=founded))

    def entity(
        self,
        slug: str,
        record_id: str,
        *,
        created_at: str,
        recorded_at: str,
        held: Held | None = None,
        by: Actor | None = None,
    ) -> Entity:
        """Return a record with these values, and those that every record has.

        Args:
            slug: Its object.
            record_id: Its id.
            created_at: What its attribute `created_at` says.
            recorded_at: When it was written down.
            held: What it has besides.
            by: Who made it; the workspace's one member if `None`.
        """
        held, actor = held or {}, by or self._member
        written = _by(text_of(actor), recorded_at)
        creator = fields_text(referenced_actor_type=actor["type"], referenced_actor_id=actor["id"])
        held["record_id"] = _one(written, "text", f'"value":"{record_id}"')
        held["created_at"] = _one(written, "timestamp", f'"value":"{created_at}"')
        held["created_by"] = _one(written, "actor-reference", creator)
        if self._has_updated_at:
            held["updated_at"] = _one(written, "timestamp", f'"value":"{recorded_at}"')
        form = self._form(slug, tuple(held))
        held["id"], held["at"] = record_id, recorded_at
        web_url = form.web_url + record_id
        return Entity(record_id, created_at, recorded_at, web_url, (form.record % held).encode(UTF8_BYTES))

    def _form(self, slug: str, holding: tuple[str, ...]) -> _Form:
        """Return the form of the records of an object that have values of these attributes; there are few."""
        form = self._forms.get((slug, holding))
        if form is None:
            kind, ids = self._objects[slug], self._ids.of_object(slug)
            form = self._forms[slug, holding] = _form(kind, self._workspace, ids, frozenset(holding))
        return form


class _Form(msgspec.Struct, frozen=True):
    """What many records have in common: the text around what each of them has, and where they are shown."""

    record: str
    web_url: str


def _form(kind: ObjectType, workspace: str, ids: Mapping[str, str], holding: Collection[str]) -> _Form:
    """Return a form with a place for each attribute that has values, for the id, and for the time."""
    web_url = f"https://app.attio.example/{workspace}/{kind.singular.lower()}/"
    slugs = [attribute.slug for attribute in kind.attributes]
    values = ",".join(f'"{slug}":%({slug})s' if slug in holding else f'"{slug}":[]' for slug in slugs)
    head = f'{{"id":{{{fields_text(**ids)},"record_id":"%(id)s"}},"created_at":"%(at)s"'
    return _Form(f'{head},"web_url":"{web_url}%(id)s","values":{{{values}}}}}', web_url)


# Values are JSON, and so are their fields, without the braces around them.


def _by(actor: str, at: str) -> str:
    """Return how values begin that somebody wrote at a moment."""
    return f'{{"active_from":"{at}","active_until":null,"created_by_actor":{actor},'


def _one(by: str, type_: str, fields: str) -> str:
    """Return a list of one value."""
    return f'[{by}{fields},"attribute_type":"{type_}"}}]'


def _several(by: str, type_: str, each: Sequence[str]) -> str:
    """Return a list of values."""
    return f"[{','.join([_one(by, type_, fields)[1:-1] for fields in each])}]"


def _with_former_name(by: str, names: str, at: str) -> str:
    """Add a name that is no longer active; Attio sends few of these, but clients must cope."""
    former = _one(by, "personal-name", population.full_name("Was", "Called"))
    ended = former.replace('"active_until":null', f'"active_until":"{at}"')
    return f"{ended[:-1]},{names[1:]}"

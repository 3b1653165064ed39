"""How writes change records: which values are added, kept or taken away, and what must be unique.

`PATCH` adds to attributes with several values and replaces single ones, `PUT` replaces all that it names, and
an assertion adds to the attribute it matches by and replaces the rest. A value that is there already stays as
it is, with the time since when it has been there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.values import Fields, Written, fields_of, identity
from syncfsm_simulator.world.entity import Actor, Entity, Value, time_text, wrapped
from syncfsm_simulator.world.schema import Attribute
from syncfsm_simulator.world.world import World

Payload = dict[str, list[Fields]]
"""The values that a request names, by the attribute's slug."""


def read_values(world: World, slug: str, values: Any) -> Payload:
    """Return what the `values` of a request mean.

    Raises:
        ApiError: A 400, as Attio would answer.
    """
    if not isinstance(values, dict):
        received = "undefined" if values is None else type(values).__name__
        raise errors.invalid(["data", "values"], "Required", expected="object", received=received)
    payload: Payload = {}
    for name, raw in values.items():
        attribute = world.attribute(slug, name)
        if attribute is None:
            raise errors.value_not_found(f'Cannot find attribute with slug/ID "{name}".')
        if not attribute.is_writable:
            raise errors.immutable(attribute.slug)
        payload[attribute.slug] = _read(world, slug, attribute, raw)
    return payload


def _read(world: World, slug: str, attribute: Attribute, raw: Any) -> list[Fields]:
    """Return the values of one attribute: of a list, of one given alone, none for null."""
    items = [] if raw is None else raw if isinstance(raw, list) else [raw]
    found: dict[Any, Fields] = {}
    for item in items:
        fields = fields_of(Written(world, slug, attribute, item))
        found.setdefault(identity(attribute, fields), fields)
    if len(found) > 1 and not attribute.is_multiselect:
        path: list[str | int] = ["data", "values", attribute.slug]
        raise errors.invalid(path, "Array must contain at most 1 element(s)", "too_big")
    return list(found.values())


class UniqueIndex:
    """Who has which value of the attributes that must be unique. It follows the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, int] = dict.fromkeys(world.objects, 0)
        self._holders: dict[tuple[str, str, Any], str] = {}
        self._held: dict[str, list[tuple[str, str, Any]]] = {}

    def holders(self, slug: str, attribute: Attribute, values: Sequence[Fields]) -> list[str]:
        """Return the ids of the records that have one of these values, each once."""
        self._catch_up(slug)
        keys = [(slug, attribute.slug, identity(attribute, value)) for value in values]
        return list(dict.fromkeys(self._holders[key] for key in keys if key in self._holders))

    def check(self, slug: str, payload: Payload, record_id: str | None) -> None:
        """Refuse values that another record than `record_id` has.

        Raises:
            ApiError: A 400, as Attio would answer.
        """
        for attribute in _unique(self._world, slug):
            others = self.holders(slug, attribute, payload.get(attribute.slug, ()))
            if conflicting := [other for other in others if other != record_id]:
                raise errors.conflict(attribute.slug, conflicting)

    def _catch_up(self, slug: str) -> None:
        touched = self._world.touched(slug, self._seen[slug])
        self._seen[slug] += len(touched)
        for record_id in dict.fromkeys(touched):
            for key in self._held.pop(record_id, ()):
                self._holders.pop(key, None)
            entity = self._world.entities(slug).get(record_id)
            if entity is not None:
                self._held[record_id] = list(self._keys(slug, entity))
                self._holders.update(dict.fromkeys(self._held[record_id], record_id))

    def _keys(self, slug: str, entity: Entity) -> Iterator[tuple[str, str, Any]]:
        for attribute in _unique(self._world, slug):
            for value in entity.active(attribute.slug):
                yield slug, attribute.slug, identity(attribute, value)


def _unique(world: World, slug: str) -> list[Attribute]:
    return [each for each in world.objects[slug].attributes if each.is_unique and each.is_writable]


def new_values(
    world: World,
    slug: str,
    entity: Entity | None,
    payload: Payload,
    *,
    adds_to: frozenset[str],
    at: datetime,
    actor: Actor,
) -> dict[str, list[Value]]:
    """Return what the attributes of a record become; only those that change.

    Args:
        world: Where the record is.
        slug: Its object.
        entity: The record; none if it is to be created.
        payload: What was written.
        adds_to: The attributes to whose values new ones are added; those of the others are replaced.
        at: Since when new values hold.
        actor: Who wrote them.
    """
    changed = {}
    for name, written in payload.items():
        attribute = world.attribute(slug, name)
        assert attribute is not None, "`read_values` has found it"
        held = entity.active(name) if entity else []
        wrap = [wrapped(time_text(at), actor, attribute.type, fields) for fields in written]
        after = _merged(attribute, held, wrap, adds=name in adds_to)
        if after != held:
            changed[name] = after
    return changed


def _merged(attribute: Attribute, held: list[Value], written: list[Value], *, adds: bool) -> list[Value]:
    """Return the values after a write: new ones first where they are added, else in the order written."""
    known = {identity(attribute, value): value for value in held}
    if adds:
        return [*(value for value in written if identity(attribute, value) not in known), *held]
    return [known.get(identity(attribute, value), value) for value in written]


def multiselects(world: World, slug: str) -> frozenset[str]:
    """Return the attributes of an object that have several values."""
    return frozenset(each.slug for each in world.objects[slug].attributes if each.is_multiselect)

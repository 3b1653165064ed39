"""The order that a query asks for: its sorts become a key of records, or the 400 that Attio would send.

A sort names an attribute and perhaps a property of it (`field`), or a path through references. Where the
sorts leave records tied, the record id decides; records without a value come last ascending and first
descending. Attio documents neither.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from syncfsm_simulator.fakes.attio.errors import bad_filter, invalid, unknown_attribute
from syncfsm_simulator.fakes.attio.paths import Step, follow, reached
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.schema import Attribute, properties
from syncfsm_simulator.world.world import World

_DIRECTIONS = ["asc", "desc"]

_Key = tuple[Any, ...]


class Sort(msgspec.Struct, frozen=True):
    """One sort: the way to its attribute, the property compared, and the direction."""

    steps: list[Step]
    name: str
    is_descending: bool

    @property
    def attribute(self) -> Attribute:
        """The attribute whose values are compared."""
        return self.steps[-1].attribute


def parse_sorts(world: World, slug: str, sorts: Any) -> list[Sort]:
    """Return the sorts of a query, first one first.

    Raises:
        ApiError: A 400, as Attio would answer.
    """
    if not isinstance(sorts, list):
        raise invalid(["sorts"], "Expected array", expected="array")
    return [_parsed(world, slug, sort, index) for index, sort in enumerate(sorts)]


def _parsed(world: World, slug: str, sort: Any, index: int) -> Sort:
    if not isinstance(sort, dict) or sort.get("direction") not in _DIRECTIONS:
        raise invalid(["sorts", index, "direction"], "Invalid input", "invalid_option", options=_DIRECTIONS)
    for key in ("attribute", "field"):
        if not isinstance(sort.get(key, ""), str):
            raise invalid(["sorts", index, key], "Expected string", expected="string")
    if "path" in sort:
        steps = follow(world, slug, sort["path"], ["sorts", str(index), "path"])
    else:
        steps = [_step(world, slug, sort.get("attribute", ""), index)]
    type_ = steps[-1].attribute.type
    name = sort.get("field") or properties(type_)[0]
    if name not in properties(type_):
        message = f"Invalid field '{name}' for attribute of type '{type_}'"
        raise bad_filter(message, ["sorts", str(index), "field"])
    return Sort(steps, name, sort["direction"] == "desc")


def _step(world: World, slug: str, name: str, index: int) -> Step:
    attribute = world.attribute(slug, name)
    if attribute is None:
        raise unknown_attribute(name, ["sorts", str(index), "attribute"])
    return Step(slug, attribute)


class _Descending:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


def sort_key(world: World, sorts: list[Sort]) -> Callable[[Entity], _Key]:
    """Return the sort key of a record: a part for each sort, and the record id to break ties."""

    def key(entity: Entity) -> _Key:
        parts = [
            _Descending(_part(world, sort, entity)) if sort.is_descending else _part(world, sort, entity)
            for sort in sorts
        ]
        return (*parts, entity.record_id)

    return key


def in_order(world: World, sorts: list[Sort], rows: list[Entity]) -> list[Entity]:
    """Return records in the order of their sort keys, one sort after the other: the last decides least."""
    ordered = sorted(rows, key=lambda entity: entity.record_id)
    for sort in reversed(sorts):
        ordered.sort(key=partial(_part, world, sort), reverse=sort.is_descending)
    return ordered


def _part(world: World, sort: Sort, entity: Entity) -> tuple[bool, Any]:
    """Return a key that puts records without a value last, or first where the order is descending."""
    if len(sort.steps) > 1:
        end = next(iter(reached(world, sort.steps, entity)), None)
        return _value(end, sort.attribute.slug, sort.name) if end else (True, "")
    return _value(entity, sort.attribute.slug, sort.name)


def _value(entity: Entity, slug: str, name: str) -> tuple[bool, Any]:
    for found in entity.each(slug, name):
        if found is not None:
            return (False, found["title"] if isinstance(found, dict) else found)
    return (True, "")

"""`records/query`: which records, in which order, and which part of them.

An order is sorted once and then follows the world: only records that were touched since find a new place.
Ties are broken by ascending record id, as far as the sorts leave any.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from itertools import groupby
from typing import Any, Literal

import msgspec

from simulator.errors import invalid, unknown_attribute
from simulator.filters import compile_filter
from simulator.schema import DEFAULT_PROPERTY, OBJECTS, ObjectType
from simulator.world import Entity, World

LIMIT_DEFAULT = 500
LIMIT_MAX = 500

LimitPolicy = Literal["accept", "clamp", "reject"]
"""What is done about a `limit` above the maximum: the real API's answer is not known."""

Ties = Literal["ordered", "shuffled"]
"""How records come that the sorts leave tied: by record id, or, as an API may, each time anew.

Shuffled, the record id is no attribute to sort by after another, so that nobody can ask for an order.
"""

_ORDERS_KEPT_MAX = 16

_Key = tuple[Any, ...]


class Query:
    """Answers queries over a world.

    Args:
        world: Where the records are.
        limit_policy: What to do about a limit above `limit_max`.
        limit_max: The most rows for one query.
        honours_sorts: Whether rows come in the order asked for, or by record id whatever was asked.
        ties: How records come that the sorts leave tied.
    """

    def __init__(
        self,
        world: World,
        *,
        limit_policy: LimitPolicy = "clamp",
        limit_max: int = LIMIT_MAX,
        honours_sorts: bool = True,
        ties: Ties = "ordered",
    ) -> None:
        self._world = world
        self._ties = ties
        self._queries = 0
        self._limit_policy = limit_policy
        self._limit_max = limit_max
        self._honours_sorts = honours_sorts
        self._orders: dict[bytes, _Ordered] = {}

    def rows(self, slug: str, body: Any) -> list[Entity]:
        """Return the rows that a query's body asks for.

        Raises:
            ApiError: A 400, as Attio would answer.
        """
        if not isinstance(body, dict):
            raise invalid([], "Expected object", expected="object")
        limit = self._limit(body.get("limit", LIMIT_DEFAULT))
        offset = _whole_number("offset", body.get("offset", 0), least=0)
        sorts = body.get("sorts", []) if self._honours_sorts else []
        rows = self._ordered(slug, body.get("filter", {}), sorts)
        if self._ties == "shuffled" and sorts:
            rows = self._shuffled(slug, sorts, rows)
        return rows[offset : offset + limit]

    def _shuffled(self, slug: str, sorts: Any, rows: list[Entity]) -> list[Entity]:
        """Return the rows with those that the sorts leave tied in an order of this moment.

        Raises:
            ApiError: A 400: the record id is not there to break ties by.
        """
        keys = _sort_keys(OBJECTS[slug], sorts)
        for index, (attribute, _, _) in enumerate(keys):
            if index and attribute == "record_id":
                raise unknown_attribute(attribute, ["sorts", str(index), "attribute"])
        key = _sort_key(keys)
        self._queries += 1
        rng = random.Random(f"{self._world.workspace_id}:ties:{self._queries}")
        groups = [list(group) for _, group in groupby(rows, lambda entity: key(entity)[:-1])]
        return [row for group in groups for row in rng.sample(group, len(group))]

    def _limit(self, value: Any) -> int:
        limit = _whole_number("limit", value, least=1)
        if limit <= self._limit_max or self._limit_policy == "accept":
            return limit
        if self._limit_policy == "clamp":
            return self._limit_max
        raise invalid(["limit"], f"Number must be less than or equal to {self._limit_max}", "too_big")

    def _ordered(self, slug: str, filter_: Any, sorts: Any) -> list[Entity]:
        """Return all records that fit, in order."""
        key = msgspec.json.encode([slug, filter_, sorts])
        order = self._orders.pop(key, None) or _Ordered(self._world, OBJECTS[slug], filter_, sorts)
        self._orders[key] = order  # the one used last comes last; the first is given up
        if len(self._orders) > _ORDERS_KEPT_MAX:
            del self._orders[next(iter(self._orders))]
        return order.rows()


class _Ordered:
    """The records of one object that fit a filter, in one order."""

    def __init__(self, world: World, kind: ObjectType, filter_: Any, sorts: Any) -> None:
        self._world = world
        self._slug = kind.slug
        self._fits = compile_filter(kind, filter_)
        self._key = _sort_key(_sort_keys(kind, sorts))
        self._changes = 0
        self._keys: dict[str, _Key] = {}
        self._sorted: list[_Key] = []
        self._rows: list[Entity] = []

    def rows(self) -> list[Entity]:
        """Return the records as they are now."""
        touched = self._world.touched(self._slug, self._changes)
        self._changes += len(touched)
        if self._keys:
            for record_id in dict.fromkeys(touched):
                self._take_out(record_id)
                self._put_in(record_id)
        elif touched:
            self._sort()
        return self._rows

    def _sort(self) -> None:
        """Sort all records at once, the first time."""
        rows = [entity for entity in self._world.entities(self._slug).values() if self._fits(entity)]
        self._keys = {entity.record_id: self._key(entity) for entity in rows}
        self._rows = sorted(rows, key=lambda entity: self._keys[entity.record_id])
        self._sorted = [self._keys[entity.record_id] for entity in self._rows]

    def _take_out(self, record_id: str) -> None:
        key = self._keys.pop(record_id, None)
        if key is not None:
            place = bisect_left(self._sorted, key)
            del self._sorted[place], self._rows[place]

    def _put_in(self, record_id: str) -> None:
        entity = self._world.entities(self._slug).get(record_id)
        if entity is None or not self._fits(entity):
            return
        key = self._keys[record_id] = self._key(entity)
        place = bisect_left(self._sorted, key)
        self._sorted.insert(place, key)
        self._rows.insert(place, entity)


def _whole_number(name: str, value: Any, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        received = "string" if isinstance(value, str) else type(value).__name__
        raise invalid([name], f"Expected number, received {received}", expected="number", received=received)
    if value != int(value):
        raise invalid([name], "Expected integer, received float", expected="integer", received="float")
    if value < least:
        raise invalid([name], f"Number must be greater than or equal to {least}", "too_small")
    return int(value)


def _sort_keys(kind: ObjectType, sorts: Any) -> list[tuple[str, str, bool]]:
    """Return (attribute, property, whether descending) for each sort, first one first."""
    if not isinstance(sorts, list):
        raise invalid(["sorts"], "Expected array", expected="array")
    types = {attribute.slug: attribute.type for attribute in kind.attributes}
    return [_sort_one(types, sort, index) for index, sort in enumerate(sorts)]


def _sort_one(types: dict[str, str], sort: Any, index: int) -> tuple[str, str, bool]:
    directions = ["asc", "desc"]
    if not isinstance(sort, dict) or sort.get("direction") not in directions:
        raise invalid(["sorts", index, "direction"], "Invalid input", "invalid_option", options=directions)
    for key in ("attribute", "field"):
        if not isinstance(sort.get(key, ""), str):
            raise invalid(["sorts", index, key], "Expected string", expected="string")
    slug, name = sort.get("attribute", ""), sort.get("field", "")
    if slug not in types:
        raise unknown_attribute(slug, ["sorts", str(index), "attribute"])
    return slug, name or DEFAULT_PROPERTY.get(types[slug], "value"), sort["direction"] == "desc"


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


def _sort_key(keys: list[tuple[str, str, bool]]) -> Callable[[Entity], _Key]:
    """Return the sort key of a record: a part for each sort, and the record id to break ties."""

    def key(entity: Entity) -> _Key:
        parts = [_sort_value(entity, slug, name) for slug, name, _ in keys]
        turned = (
            _Descending(part) if is_descending else part
            for part, (_, _, is_descending) in zip(parts, keys, strict=True)
        )
        return (*turned, entity.record_id)

    return key


def _sort_value(entity: Entity, slug: str, name: str) -> tuple[bool, Any]:
    """Return a key that puts records without a value last, or first where the order is descending."""
    if slug == "created_at":
        return (False, entity.created_at)
    for value in entity.values[slug]:
        if value["active_until"] is None and value.get(name) is not None:
            return (False, value[name])
    return (True, "")

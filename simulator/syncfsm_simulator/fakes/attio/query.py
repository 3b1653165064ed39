"""`records/query`: which records, in which order, and which part of them.

An order is sorted once and then follows the world: only records that were touched since find a new place.
Ties are broken by ascending record id, as far as the sorts leave any.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any

import msgspec

from syncfsm_simulator.fakes.attio.errors import invalid, unknown_attribute
from syncfsm_simulator.fakes.attio.filters import compile_filter
from syncfsm_simulator.fakes.attio.knobs import Knobs
from syncfsm_simulator.fakes.attio.sorts import in_order, parse_sorts, sort_key
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.world import World

LIMIT_DEFAULT = 500

_ORDERS_KEPT_MAX = 16

MANY = 8
"""Where more than one record in so many was touched, all are sorted anew: that is quicker."""


class Query:
    """Answers queries over a world.

    Args:
        world: Where the records are.
        knobs: What to do about high limits, sorts and ties.
    """

    def __init__(self, world: World, knobs: Knobs | None = None) -> None:
        self._world = world
        self._knobs = knobs or Knobs()
        self._queries = 0
        self._orders: dict[bytes, _Ordered] = {}

    def rows(self, slug: str, body: Any, unindexed: Collection[str] = ()) -> list[Entity]:
        """Return the rows that a query's body asks for, but for those that the index does not have yet.

        Raises:
            ApiError: A 400, as Attio would answer.
        """
        if not isinstance(body, dict):
            raise invalid([], "Expected object", expected="object")
        limit = self._limit(body.get("limit", LIMIT_DEFAULT))
        offset = self._offset(body)
        sorts = body.get("sorts", []) if self._knobs.honours_sorts else []
        rows = self._ordered(slug, body.get("filter", {}), sorts)
        if self._knobs.ties == "shuffled" and sorts:
            rows = self._shuffled(slug, sorts, rows)
        if unindexed:
            rows = [row for row in rows if row.record_id not in unindexed]
        return rows[offset : offset + limit]

    def _shuffled(self, slug: str, sorts: Any, rows: list[Entity]) -> list[Entity]:
        """Return the rows with those that the sorts leave tied in an order of this moment.

        Raises:
            ApiError: A 400: the record id is not there to break ties by.
        """
        parsed = parse_sorts(self._world, slug, sorts)
        for index, sort in enumerate(parsed):
            if index and sort.attribute.slug == "record_id":
                raise unknown_attribute("record_id", ["sorts", str(index), "attribute"])
        key = sort_key(self._world, parsed)
        self._queries += 1
        rng = random.Random(f"{self._world.workspace_id}:ties:{self._queries}")
        groups = [list(group) for _, group in groupby(rows, lambda entity: key(entity)[:-1])]
        return [row for group in groups for row in rng.sample(group, len(group))]

    def _offset(self, body: dict[str, Any]) -> int:
        offset, most = whole_number("offset", body.get("offset", 0), least=0), self._knobs.offset_max
        if most is not None and offset > most:
            raise invalid(["offset"], f"Number must be less than or equal to {most}", "too_big")
        return offset

    def _limit(self, value: Any) -> int:
        limit, most = whole_number("limit", value, least=1), self._knobs.limit_max
        if limit <= most or self._knobs.limit_policy == "accept":
            return limit
        if self._knobs.limit_policy == "clamp":
            return most
        raise invalid(["limit"], f"Number must be less than or equal to {most}", "too_big")

    def _ordered(self, slug: str, filter_: Any, sorts: Any) -> list[Entity]:
        """Return all records that fit, in order."""
        if _is_range(filter_, sorts):
            return self._between(slug, filter_, sorts)
        key = msgspec.json.encode([slug, filter_, sorts])
        if b'"path"' in key:  # other objects' records decide as well, and these are not followed
            return _Ordered(self._world, slug, filter_, sorts).rows()
        order = self._orders.pop(key, None) or _Ordered(self._world, slug, filter_, sorts)
        self._orders[key] = order  # the one used last comes last; the first is given up
        if len(self._orders) > _ORDERS_KEPT_MAX:
            del self._orders[next(iter(self._orders))]
        return order.rows()

    def _between(self, slug: str, range_: dict[str, Any], sorts: Any) -> list[Entity]:
        """Return the records in a range of what they are sorted by: they lie beside each other."""
        rows = self._ordered(slug, {}, sorts)
        first, end = 0, len(rows)
        for operator, value in range_[CREATED_AT].items():
            fits = compile_filter(self._world, slug, {CREATED_AT: {operator: value}})
            if first < end and fits(rows[first]):
                end = bisect_left(rows, True, first, end, key=lambda row: not fits(row))
            else:
                first = bisect_left(rows, True, first, end, key=fits)
        return rows[first:end]


CREATED_AT = "created_at"
"""What every record has, one for ever."""

_RANGE = {"$gte", "$gt", "$lte", "$lt"}


def _is_range(filter_: Any, sorts: Any) -> bool:
    """Whether records are sorted by when they were created, and asked for from some time to another."""
    is_by_time = isinstance(sorts, list) and bool(sorts) and isinstance(sorts[0], dict)
    is_by_time = is_by_time and sorts[0].get("attribute") == CREATED_AT and "path" not in sorts[0]
    wanted = filter_.get(CREATED_AT) if isinstance(filter_, dict) and len(filter_) == 1 else None
    return is_by_time and isinstance(wanted, dict) and bool(wanted) and wanted.keys() <= _RANGE


class _Ordered:
    """The records of one object that fit a filter, in one order."""

    def __init__(self, world: World, slug: str, filter_: Any, sorts: Any) -> None:
        self._world = world
        self._slug = slug
        self._fits = compile_filter(world, slug, filter_)
        self._sorts = parse_sorts(world, slug, sorts)
        self._key = sort_key(world, self._sorts)
        self._changes = 0
        self._rows: list[Entity] = []

    def rows(self) -> list[Entity]:
        """Return the records as they are now."""
        touched = self._world.touched(self._slug, self._changes)
        self._changes += len(touched)
        if len(touched) > len(self._rows) // MANY:
            self._rows = in_order(self._world, self._sorts, self._fitting(self._world.entities(self._slug)))
        elif touched:
            self._move(dict.fromkeys(touched))
        return self._rows

    def _fitting(self, record_ids: Iterable[str]) -> list[Entity]:
        entities = self._world.entities(self._slug)
        there = (entities[record_id] for record_id in record_ids if record_id in entities)
        return [entity for entity in there if self._fits(entity)]

    def _move(self, touched: Collection[str]) -> None:
        """Take the records out that were touched, and put those in that fit now, at their place."""
        self._rows = [row for row in self._rows if row.record_id not in touched]
        for entity in self._fitting(touched):
            insort(self._rows, entity, key=self._key)


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return a number that a request gives.

    Raises:
        ApiError: A 400: it is no whole number, or less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        received = "string" if isinstance(value, str) else type(value).__name__
        raise invalid([name], f"Expected number, received {received}", expected="number", received=received)
    if value != int(value):
        raise invalid([name], "Expected integer, received float", expected="integer", received="float")
    if value < least:
        raise invalid([name], f"Number must be greater than or equal to {least}", "too_small")
    return int(value)

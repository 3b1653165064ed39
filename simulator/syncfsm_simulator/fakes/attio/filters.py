"""Attio's filter language: a filter becomes a predicate on records, or the 400 that Attio would send.

Shorthand (`{"name": "X"}`) and verbose (`{"name": {"full_name": {"$eq": "X"}}}`), `$and`, `$or`, `$not`, the
comparison operators, and paths through references. Several conditions beside each other must all hold. A
condition on an attribute with several values holds if one of them fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncfsm_simulator.fakes.attio.errors import bad_filter, invalid, unknown_attribute
from syncfsm_simulator.fakes.attio.moments import moment
from syncfsm_simulator.fakes.attio.paths import follow, reached
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.schema import Attribute, properties
from syncfsm_simulator.world.world import World

Predicate = Callable[[Entity], bool]
Path = list[str]

_DEPTH_MAX = 100


def _text(value: Any) -> str:
    return str(value).casefold()


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$in": lambda value, wanted: value in wanted,
    "$contains": lambda value, wanted: _text(wanted) in _text(value),
    "$starts_with": lambda value, wanted: _text(value).startswith(_text(wanted)),
    "$ends_with": lambda value, wanted: _text(value).endswith(_text(wanted)),
    "$lt": lambda value, wanted: bool(value < wanted),
    "$lte": lambda value, wanted: bool(value <= wanted),
    "$gte": lambda value, wanted: bool(value >= wanted),
    "$gt": lambda value, wanted: bool(value > wanted),
}
OPERATORS = (*_COMPARE, "$not_empty")
_REFERENCE_OPERATORS = ("$eq", "$in")


def compile_filter(world: World, slug: str, filter_: Any, path: Path | None = None) -> Predicate:
    """Return the predicate of a filter on the records of an object.

    Raises:
        ApiError: A 400, as Attio would answer.
    """
    path = path or []
    if len(path) > _DEPTH_MAX:
        raise bad_filter("The filter is nested too deeply.", path)
    if not isinstance(filter_, dict):
        raise invalid(["filter", *path], "Expected object", expected="object")
    if "path" in filter_ and "constraints" in filter_:
        return _through(world, slug, filter_, path)
    parts = [_part(world, slug, key, value, path) for key, value in filter_.items()]
    return lambda entity: all(part(entity) for part in parts)


def conditions(filter_: Any) -> int:
    """Return how many conditions a filter has; each costs score."""
    if isinstance(filter_, dict) and not {"path", "constraints"} <= filter_.keys():
        logical = [value for key, value in filter_.items() if key in {"$and", "$or", "$not"}]
        return len(filter_) - len(logical) + sum(conditions(value) for value in logical)
    if isinstance(filter_, list):
        return sum(conditions(item) for item in filter_)
    return 1


def _part(world: World, slug: str, key: str, value: Any, path: Path) -> Predicate:
    here = [*path, key]
    if key in {"$and", "$or"}:
        return _combined(world, slug, key, value, here)
    if key == "$not":
        negated = compile_filter(world, slug, value, here)
        return lambda entity: not negated(entity)
    attribute = world.attribute(slug, key)
    if attribute is None:
        raise unknown_attribute(key, here)
    return _condition(attribute, value, here)


def _combined(world: World, slug: str, key: str, value: Any, path: Path) -> Predicate:
    if not isinstance(value, list):
        raise invalid(["filter", *path], "Expected array", expected="array")
    parts = [compile_filter(world, slug, item, [*path, str(index)]) for index, item in enumerate(value)]
    combine = all if key == "$and" else any
    return lambda entity: combine(part(entity) for part in parts)


def _through(world: World, slug: str, filter_: dict[str, Any], path: Path) -> Predicate:
    """Return the predicate of a path: some record at its end must fit the constraints."""
    steps = follow(world, slug, filter_["path"], [*path, "path"])
    fits = _condition(steps[-1].attribute, filter_["constraints"], [*path, "constraints"])
    return lambda entity: any(fits(end) for end in reached(world, steps, entity))


def _condition(attribute: Attribute, value: Any, path: Path) -> Predicate:
    """Return the predicate of one attribute's condition, shorthand or verbose."""
    default = properties(attribute.type)[0]
    if not isinstance(value, dict):
        return _holds(attribute, default, {"$eq": value}, path)
    if all(key.startswith("$") for key in value):
        return _holds(attribute, default, value, path)
    parts = [
        _holds(attribute, name, wanted if isinstance(wanted, dict) else {"$eq": wanted}, [*path, name])
        for name, wanted in value.items()
    ]
    return lambda entity: all(part(entity) for part in parts)


def _holds(attribute: Attribute, name: str, operators: dict[str, Any], path: Path) -> Predicate:
    if name not in properties(attribute.type):
        raise bad_filter(f"Invalid field '{name}' for attribute of type '{attribute.type}'", path)
    for operator, wanted in operators.items():
        _check_operator(attribute, name, operator, wanted, path)
    wants_value = operators.get("$not_empty")
    compares = [
        (_COMPARE[operator], _normal(attribute, name, wanted))
        for operator, wanted in operators.items()
        if operator != "$not_empty"
    ]

    def predicate(entity: Entity) -> bool:
        values = entity.each(attribute.slug, name)
        if wants_value is not None and bool(values) is not bool(wants_value):
            return False
        readings = (reading for value in values for reading in _readings(value))
        return not compares or any(_fits(reading, compares) for reading in readings)

    return predicate


def _readings(value: Any) -> tuple[Any, ...]:
    """Return what a condition may mean by a value: of an option, its title or its id."""
    return (value["title"], value["id"]["option_id"]) if isinstance(value, dict) else (value,)


def _fits(value: Any, compares: list[tuple[Callable[[Any, Any], bool], Any]]) -> bool:
    if value is None:
        return False
    try:
        return all(compare(value, wanted) for compare, wanted in compares)
    except TypeError:  # a text against a number: no value of this attribute fits
        return False


def _check_operator(attribute: Attribute, name: str, operator: str, wanted: Any, path: Path) -> None:
    if operator not in OPERATORS:
        raise bad_filter(f'Invalid operator "{operator}".', path)
    if attribute.type == "record-reference" and operator not in {*_REFERENCE_OPERATORS, "$not_empty"}:
        allowed = ", ".join(f'"{known}"' for known in _REFERENCE_OPERATORS)
        message = f'Invalid operator "{operator}" for field "{name}", must be one of ({allowed})'
        raise bad_filter(message, path)
    if operator == "$in" and not isinstance(wanted, list):
        raise invalid(["filter", *path, "$in"], "Expected array", expected="array")
    if _is_moment(attribute, name) and operator != "$not_empty":
        for item in wanted if operator == "$in" else [wanted]:
            if moment(item) is None:
                raise bad_filter(f"Invalid timestamp value: {item!r}.", path)


def _is_moment(attribute: Attribute, name: str) -> bool:
    return attribute.type == "timestamp" or name == "interacted_at"


def _normal(attribute: Attribute, name: str, wanted: Any) -> Any:
    """Return what a condition wants in the form that values have."""
    if not _is_moment(attribute, name):
        return wanted
    return [moment(item) for item in wanted] if isinstance(wanted, list) else moment(wanted)

"""Attio's filter language: a filter becomes a predicate on records, or the 400 that Attio would send.

Shorthand (`{"name": "X"}`) and verbose (`{"name": {"full_name": {"$eq": "X"}}}`), `$and`, `$or`, `$not`, and
the comparison operators. Several conditions beside each other must all hold. A condition on an attribute
with several values holds if one of them fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from simulator.errors import bad_filter, invalid, unknown_attribute
from simulator.schema import DEFAULT_PROPERTY, Attribute, ObjectType
from simulator.world import Entity

Predicate = Callable[[Entity], bool]
Path = list[str]

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
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
_REFERENCE_OPERATORS = ("$eq", "$in")


def compile_filter(kind: ObjectType, filter_: Any, path: Path | None = None) -> Predicate:
    """Return the predicate of a filter.

    Raises:
        ApiError: A 400, as Attio would answer.
    """
    path = path or []
    if len(path) > _DEPTH_MAX:
        raise bad_filter("The filter is nested too deeply.", path)
    if not isinstance(filter_, dict):
        raise invalid(["filter", *path], "Expected object", expected="object")
    parts = [_part(kind, key, value, path) for key, value in filter_.items()]
    return lambda entity: all(part(entity) for part in parts)


def _part(kind: ObjectType, key: str, value: Any, path: Path) -> Predicate:
    here = [*path, key]
    if key in {"$and", "$or"}:
        return _combined(kind, key, value, here)
    if key == "$not":
        negated = compile_filter(kind, value, here)
        return lambda entity: not negated(entity)
    attribute = next((known for known in kind.attributes if known.slug == key), None)
    if attribute is None:
        raise unknown_attribute(key, here)
    return _condition(attribute, value, here)


def _combined(kind: ObjectType, key: str, value: Any, path: Path) -> Predicate:
    if not isinstance(value, list):
        raise invalid(["filter", *path], "Expected array", expected="array")
    parts = [compile_filter(kind, item, [*path, str(index)]) for index, item in enumerate(value)]
    combine = all if key == "$and" else any
    return lambda entity: combine(part(entity) for part in parts)


def _condition(attribute: Attribute, value: Any, path: Path) -> Predicate:
    """Return the predicate of one attribute's condition, shorthand or verbose."""
    default = DEFAULT_PROPERTY.get(attribute.type, "value")
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
    for operator, wanted in operators.items():
        _check_operator(attribute, name, operator, wanted, path)
    wants_value = operators.get("$not_empty")
    compares = [
        (_COMPARE[operator], _normal(attribute, name, wanted))
        for operator, wanted in operators.items()
        if operator != "$not_empty"
    ]

    def predicate(entity: Entity) -> bool:
        values = [value for value in entity.values[attribute.slug] if value["active_until"] is None]
        if wants_value is not None and bool(values) is not bool(wants_value):
            return False
        return not compares or any(_fits(value.get(name), compares) for value in values)

    return predicate


def _fits(value: Any, compares: list[tuple[Callable[[Any, Any], bool], Any]]) -> bool:
    if value is None:
        return False
    try:
        return all(compare(value, wanted) for compare, wanted in compares)
    except TypeError:  # a text against a number: no value of this attribute fits
        return False


def _check_operator(attribute: Attribute, name: str, operator: str, wanted: Any, path: Path) -> None:
    if operator not in _COMPARE and operator != "$not_empty":
        raise bad_filter(f'Invalid operator "{operator}".', path)
    if attribute.type == "record-reference" and operator not in {*_REFERENCE_OPERATORS, "$not_empty"}:
        allowed = ", ".join(f'"{known}"' for known in _REFERENCE_OPERATORS)
        message = f'Invalid operator "{operator}" for field "{name}", must be one of ({allowed})'
        raise bad_filter(message, path)
    if operator == "$in" and not isinstance(wanted, list):
        raise invalid(["filter", *path, "$in"], "Expected array", expected="array")
    if _is_moment(attribute, name) and operator != "$not_empty":
        for moment in wanted if operator == "$in" else [wanted]:
            if _moment(moment) is None:
                raise bad_filter(f"Invalid timestamp value: {moment!r}.", path)


def _is_moment(attribute: Attribute, name: str) -> bool:
    return attribute.type == "timestamp" or name == "interacted_at"


def _normal(attribute: Attribute, name: str, wanted: Any) -> Any:
    """Return what a condition wants in the form that values have."""
    if not _is_moment(attribute, name):
        return wanted
    return [_moment(item) for item in wanted] if isinstance(wanted, list) else _moment(wanted)


def _moment(wanted: Any) -> str | None:
    """Return a moment in UTC with nine digits, so that text order is time order, or nothing."""
    found = _MOMENT.fullmatch(wanted) if isinstance(wanted, str) else None
    if found is None:
        return None
    minute, second, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{minute}{second or ':00'}{zone or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError):  # month 13; the year 0
        return None
    return f"{at.isoformat()[:19]}.{fraction or '':0<9}Z"

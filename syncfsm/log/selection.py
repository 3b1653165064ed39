"""What is asked of the table `processes`, as SQL that every database takes alike."""

from __future__ import annotations

from typing import Any

from syncfsm.log.read_model import Query, Sorting
from syncfsm.log.sides import COLUMNS as SIDE_COLUMNS

SORTINGS: dict[Sorting, str] = {
    "first_begun": "position + 0",
    "last_moved": "updated_at DESC, id",
}
"""`+ 0`: those that are asked for are few, and to be sorted when they are found, not found in their order."""

_LAST_LETTER = chr(0x10FFFF)


def selection(query: Query, placeholder: str) -> tuple[str, list[Any]]:
    """Return the WHERE of a query and its values.

    States are written out: only so does a database see that an index of a few states serves.

    Args:
        query: What is asked for.
        placeholder: How a value is written: `?` or `%s`.
    """
    given: dict[str, Any] = {
        "source =": query.source,
        "object =": query.object,
        "sink =": query.sink,
        "position >=": query.position_min or None,
    }
    tests = [f"{test} {placeholder}" for test, value in given.items() if value is not None]
    values = [value for value in given.values() if value is not None]
    if query.states:
        states = ", ".join(f"'{state.value}'" for state in query.states)
        tests.append(f"state IN ({states})")
    return f"WHERE {' AND '.join(tests)}" if tests else "", values


def ids_asked(placeholder: str, begin_with: str, last: int | None) -> tuple[str, list[Any]]:
    """Return the SELECT of the ids that begin with a text, the last ones, last first, and its values.

    Few begin with one that is given, so these are sorted, and are not looked for in their order.
    """
    values: list[Any] = [begin_with, begin_with + _LAST_LETTER] if begin_with else []
    where = f"WHERE id >= {placeholder} AND id < {placeholder}" if begin_with else ""
    order, limit = "position + 0" if begin_with else "position", ""
    if last is not None:
        limit = f"LIMIT {placeholder}"
        values.append(last)
    return f"SELECT id FROM {{s}}processes {where} ORDER BY {order} DESC {limit}", values  # noqa: S608 - ours


def sides_asked(
    placeholder: str, source: str, object_: str | None, sink: str | None
) -> tuple[str, list[Any]]:
    """Return the SELECT of the sides of a source, and its values; null stands for any."""
    where, values = selection(Query(source=source, object=object_, sink=sink), placeholder)
    return f"SELECT {SIDE_COLUMNS} FROM {{s}}sides {where}", values  # noqa: S608 - likewise

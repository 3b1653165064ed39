"""What is asked of the table `processes`, as SQL that every database takes alike."""

from __future__ import annotations

from typing import Any

from syncfsm.log.read_model import Query, Sorting

SORTINGS: dict[Sorting, str] = {
    "first_begun": "position",
    "last_begun": "position DESC",
    "last_moved": "updated_at DESC, id",
    "last_fetching": "fetching_position DESC",
}


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
    if query.modes:
        tests.append(f"mode IN ({', '.join([placeholder] * len(query.modes))})")
        values += query.modes
    if query.states:
        states = ", ".join(f"'{state.value}'" for state in query.states)
        tests.append(f"state IN ({states})")
    if query.sorting == "last_fetching":
        tests.append("fetching_position IS NOT NULL")
    return f"WHERE {' AND '.join(tests)}" if tests else "", values

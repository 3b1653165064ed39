"""The table `processes` of a SQLite log, as a `ReadModel`: what is asked becomes one SELECT."""

from __future__ import annotations

from typing import Any

from syncfsm.core.routes import Brief
from syncfsm.core.state import Route
from syncfsm.log.columns import BRIEF, brief
from syncfsm.log.read_model import Query, Sorting
from syncfsm.log.sqlite.file import LogFile

_SORTINGS: dict[Sorting, str] = {
    "first_begun": "position",
    "last_begun": "position DESC",
    "last_moved": "updated_at DESC, id",
    "last_fetching": "fetching_position DESC",
}


class SqliteModel:
    """A `ReadModel`."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def select(self, query: Query) -> list[Brief]:
        """See `ReadModel.select`."""
        where, values = _filter(query)
        limit = -1 if query.count_max is None else query.count_max
        sql = f"SELECT {BRIEF} FROM processes {where} ORDER BY {_SORTINGS[query.sorting]} LIMIT ?"  # noqa: S608
        return [brief(row) for row in self._file.all(sql, (*values, limit))]

    def routes(self, source: str | None) -> list[Route]:
        """See `ReadModel.routes`."""
        where, values = _filter(Query(source=source))
        rows = self._file.all(f"SELECT DISTINCT source, object, sink FROM processes {where}", tuple(values))  # noqa: S608
        return [Route(source=source, object=object_, sink=sink) for source, object_, sink in rows]


def _filter(query: Query) -> tuple[str, list[Any]]:
    """Return the WHERE of a query and its values.

    States are written out: only so does SQLite see that an index of a few states serves.
    """
    given: dict[str, Any] = {
        "source = ?": query.source,
        "object = ?": query.object,
        "sink = ?": query.sink,
        "position >= ?": query.position_min or None,
    }
    tests = [test for test, value in given.items() if value is not None]
    values = [value for value in given.values() if value is not None]
    if query.modes:
        tests.append(f"mode IN ({', '.join('?' * len(query.modes))})")
        values += query.modes
    if query.states:
        states = ", ".join(f"'{state.value}'" for state in query.states)
        tests.append(f"state IN ({states})")
    if query.sorting == "last_fetching":
        tests.append("fetching_position IS NOT NULL")
    return f"WHERE {' AND '.join(tests)}" if tests else "", values

"""The table `processes` of a PostgreSQL log, as a `ReadModel`: what is asked becomes one SELECT."""

from __future__ import annotations

from typing import Any

from syncfsm.core.routes import Brief
from syncfsm.core.state import Route
from syncfsm.log.columns import BRIEF, brief
from syncfsm.log.postgres.session import Session
from syncfsm.log.read_model import Query, Sorting

_SORTINGS: dict[Sorting, str] = {
    "first_begun": "position",
    "last_begun": "position DESC",
    "last_moved": "updated_at DESC, id",
    "last_fetching": "fetching_position DESC",
}


class PostgresModel:
    """A `ReadModel`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def select(self, query: Query) -> list[Brief]:
        """See `ReadModel.select`."""
        where, values = _filter(query)
        sql = f"SELECT {BRIEF} FROM {{s}}.processes {where} ORDER BY {_SORTINGS[query.sorting]} LIMIT %s"  # noqa: S608
        return [brief(row) for row in self._session.all(sql, (*values, query.count_max))]

    def routes(self, source: str | None) -> list[Route]:
        """See `ReadModel.routes`."""
        where, values = _filter(Query(source=source))
        sql = f"SELECT DISTINCT source, object, sink FROM {{s}}.processes {where}"  # noqa: S608
        rows = self._session.all(sql, tuple(values))
        return [Route(source=source, object=object_, sink=sink) for source, object_, sink in rows]


def _filter(query: Query) -> tuple[str, list[Any]]:
    """Return the WHERE of a query and its values.

    States are written out: only so does PostgreSQL see that an index of a few states serves.
    """
    given: dict[str, Any] = {
        "source = %s": query.source,
        "object = %s": query.object,
        "sink = %s": query.sink,
        "position >= %s": query.position_min or None,
    }
    tests = [test for test, value in given.items() if value is not None]
    values = [value for value in given.values() if value is not None]
    if query.modes:  # one is written as one: an array of one gives rows in no order
        tests.append("mode = %s" if len(query.modes) == 1 else "mode = ANY (%s)")
        values.append(query.modes[0] if len(query.modes) == 1 else list(query.modes))
    if query.states:
        states = ", ".join(f"'{state.value}'" for state in query.states)
        tests.append(f"state IN ({states})")
    if query.sorting == "last_fetching":
        tests.append("fetching_position IS NOT NULL")
    return f"WHERE {' AND '.join(tests)}" if tests else "", values

"""The tables `processes` and `sides` of a PostgreSQL log, as a `ReadModel`: each answer is one SELECT."""

from __future__ import annotations

from syncfsm.core.routes import Brief, Side
from syncfsm.core.state import Route
from syncfsm.log.columns import BRIEF, brief
from syncfsm.log.postgres.session import Session
from syncfsm.log.read_model import Query
from syncfsm.log.selection import SORTINGS, selection, sides_asked
from syncfsm.log.sides import side


class PostgresModel:
    """A `ReadModel`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def select(self, query: Query) -> list[Brief]:
        """See `ReadModel.select`."""
        where, values = selection(query, "%s")
        sql = f"SELECT {BRIEF} FROM {{s}}.processes {where} ORDER BY {SORTINGS[query.sorting]} LIMIT %s"  # noqa: S608
        return [brief(row) for row in self._session.all(sql, (*values, query.count_max))]

    def sides(self, source: str, object_: str | None = None, sink: str | None = None) -> list[Side]:
        """See `ReadModel.sides`."""
        sql, values = sides_asked("%s", source, object_, sink)
        return [side(row) for row in self._session.all(sql.replace("{s}", "{s}."), tuple(values))]

    def routes(self, source: str | None) -> list[Route]:
        """See `ReadModel.routes`."""
        where, values = selection(Query(source=source), "%s")
        sql = f"SELECT DISTINCT source, object, sink FROM {{s}}.sides {where}"  # noqa: S608
        rows = self._session.all(sql, tuple(values))
        return [Route(source=source, object=object_, sink=sink) for source, object_, sink in rows]

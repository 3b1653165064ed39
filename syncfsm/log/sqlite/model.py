"""The tables `processes` and `sides` of a SQLite log, as a `ReadModel`: what is asked becomes one SELECT."""

from __future__ import annotations

from syncfsm.core.routes import Brief, Side
from syncfsm.core.state import Route
from syncfsm.log.columns import BRIEF, brief
from syncfsm.log.read_model import Query
from syncfsm.log.selection import SORTINGS, selection, sides_asked
from syncfsm.log.sides import side
from syncfsm.log.sqlite.file import LogFile


class SqliteModel:
    """A `ReadModel`."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def select(self, query: Query) -> list[Brief]:
        """See `ReadModel.select`."""
        where, values = selection(query, "?")
        limit = -1 if query.count_max is None else query.count_max
        sql = f"SELECT {BRIEF} FROM processes {where} ORDER BY {SORTINGS[query.sorting]} LIMIT ?"  # noqa: S608
        return [brief(row) for row in self._file.all(sql, (*values, limit))]

    def sides(self, source: str, object_: str | None = None, sink: str | None = None) -> list[Side]:
        """See `ReadModel.sides`."""
        sql, values = sides_asked("?", source, object_, sink)
        return [side(row) for row in self._file.all(sql.format(s=""), tuple(values))]

    def routes(self, source: str | None) -> list[Route]:
        """See `ReadModel.routes`."""
        where, values = selection(Query(source=source), "?")
        rows = self._file.all(f"SELECT DISTINCT source, object, sink FROM sides {where}", tuple(values))  # noqa: S608
        return [Route(source=source, object=object_, sink=sink) for source, object_, sink in rows]

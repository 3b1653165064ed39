"""What a SQLite log is asked of its processes: which there are, what they brought where, how far they got.

It is answered from the read model `processes`, which changes with the events, in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from syncfsm.core.events import Mode
from syncfsm.core.process import Process
from syncfsm.core.state import Route
from syncfsm.core.times import parse_time
from syncfsm.log.sqlite.audit import SqliteAudit
from syncfsm.log.sqlite.tables import BROUGHT, LAST_WATERMARK


class SqliteModel(SqliteAudit):
    """The questions of `EventLog` that the read model answers. See `SqliteLog`."""

    def recent(self, *, over_max: int) -> list[Process]:
        """See `EventLog.recent`."""
        active = (
            "SELECT id FROM processes WHERE state IN ('INITIALIZING', 'FETCHING') ORDER BY started_at, id"
        )
        over = """
            SELECT id FROM processes WHERE state NOT IN ('INITIALIZING', 'FETCHING')
            ORDER BY updated_at DESC, id LIMIT ?
        """
        with self._translated():
            ids = [*self._connection.execute(active), *self._connection.execute(over, (over_max,))]
        return [self.load(process_id) for (process_id,) in ids]

    def latest(self, source: str, object_: str, sink: str, *, mode: Mode = "initial") -> Process | None:
        """See `EventLog.latest`."""
        sql = """
            SELECT id FROM processes JOIN events ON stream = id AND events.version = 1
            WHERE source = ? AND object = ? AND sink = ? AND mode = ?
            ORDER BY position DESC LIMIT 1
        """
        return self._loaded(sql, (source, object_, sink, mode))

    def active(self, source: str, object_: str) -> Process | None:
        """See `EventLog.active`."""
        sql = """
            SELECT id FROM processes
            WHERE source = ? AND object = ? AND state IN ('INITIALIZING', 'FETCHING')
        """
        return self._loaded(sql, (source, object_))

    def routes(self) -> list[Route]:
        """See `EventLog.routes`."""
        sql = "SELECT DISTINCT source, object, sink FROM processes"
        with self._translated():
            return [
                Route(source=source, object=object_, sink=sink)
                for source, object_, sink in self._connection.execute(sql)
            ]

    def webhook_sink(self, source: str, object_: str) -> str | None:
        """See `EventLog.webhook_sink`."""
        sql = """
            SELECT sink FROM processes JOIN events ON stream = id AND events.version = 1
            WHERE source = ? AND object = ? AND mode = 'webhook' ORDER BY position LIMIT 1
        """
        found = self._one(sql, (source, object_))
        return str(found[0]) if found else None

    def last_found(self, source: str, sink: str) -> dict[str, str] | None:
        """See `EventLog.last_found`."""
        sql = """
            SELECT stream FROM events JOIN processes ON id = stream
            WHERE type = 'FetchingBegan' AND source = ? AND sink = ? ORDER BY position DESC LIMIT 1
        """
        last = self._loaded(sql, (source, sink))
        return last.found if last else None

    def last_sync_time(
        self, source: str, object_: str, sink: str, *, changed_by: str | None = None
    ) -> datetime | None:
        """See `EventLog.last_sync_time`."""
        (text,) = self._one(LAST_WATERMARK, (source, object_, sink, changed_by)) or (None,)
        return parse_time(text) if text else None

    def items_left_by_syncs(self, source: str, object_: str, sink: str) -> int:
        """See `EventLog.items_left_by_syncs`."""
        (count,) = self._one(BROUGHT, (source, object_, sink)) or (None,)
        return count or 0

    def last_completed(self, source: str, object_: str, sink: str) -> Process | None:
        """See `EventLog.last_completed`."""
        sql = """
            SELECT id FROM processes
            WHERE source = ? AND object = ? AND sink = ?
                AND state = 'COMPLETED' AND mode IN ('initial', 'ongoing')
            ORDER BY updated_at DESC LIMIT 1
        """
        return self._loaded(sql, (source, object_, sink))

    def _loaded(self, sql: str, values: tuple[str, ...]) -> Process | None:
        """Return the process whose id is the first that a query finds."""
        found = self._one(sql, values)
        return self.load(found[0]) if found else None

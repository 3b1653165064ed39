"""What verification and export ask of a log in a SQLite file. See `Auditable`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from syncfsm.core.process import Process
from syncfsm.log.codec import SNAPSHOT_SCHEMA, from_snapshot
from syncfsm.log.protocol import Scanned
from syncfsm.log.salvage.images import damages, image_of, one_moment
from syncfsm.log.salvage.remains import scan
from syncfsm.log.sqlite.connect import translated
from syncfsm.log.sqlite.inbox import WAITING_COUNT
from syncfsm.log.sqlite.tables import MODEL, process_values


class SqliteAudit:
    """The part of `SqliteLog` that is asked whether it is sound; it writes nothing."""

    path: str
    _connection: sqlite3.Connection

    def load(self, process_id: str) -> Process:
        """See `EventLog.load`."""
        raise NotImplementedError

    def notices_waiting(self) -> int | None:
        """See `Auditable.notices_waiting`."""
        (count,) = self._one(WAITING_COUNT, ())
        return int(count)

    def projection(self) -> dict[str, int]:
        """See `EventLog.projection`."""
        with self._translated():
            sql = (
                "SELECT id, version FROM processes WHERE typeof(id) = 'text' AND typeof(version) = 'integer'"
            )
            return dict(self._connection.execute(sql))  # of other types only where the file is damaged

    def reading(self) -> AbstractContextManager[None]:
        """See `Auditable.reading`."""
        return one_moment(self._connection)

    def scan(self) -> Iterator[Scanned]:
        """See `Auditable.scan`: from the bytes of the file, since SQLite does not say what it passes over."""
        with image_of(self._connection, self.path) as image:
            yield from scan(image)

    def position_given(self) -> int | None:
        """See `Auditable.position_given`."""
        return (self._one("SELECT seq FROM sqlite_sequence WHERE name = 'events'", ()) or (0,))[0]

    def damages(self) -> list[str]:
        """See `Auditable.damages`."""
        return damages(self._connection, self.path)

    def model_doubt(self, process: Process) -> str | None:
        """See `Auditable.model_doubt`."""
        sql = f"SELECT {MODEL}, snapshot, snapshot_schema FROM processes WHERE id = ?"  # noqa: S608 - ours
        found = self._one(sql, (process.id,))
        if found is None:
            return "the read model does not find this process by its id"
        *stored, snapshot, schema = found
        columns = zip(MODEL.split(", "), stored, process_values(process), strict=False)
        wrong = [name for name, one, two in columns if one != two]
        if wrong:
            return f"the read model does not agree with the events in {', '.join(wrong)}"
        if snapshot is not None and schema == SNAPSHOT_SCHEMA and from_snapshot(snapshot, schema) is None:
            return "the snapshot in the read model cannot be read"
        is_fold = self.load(process.id) == process
        return None if is_fold else "the snapshot in the read model does not agree with the events"

    def _one(self, sql: str, values: tuple[Any, ...]) -> Any:
        with self._translated():
            return self._connection.execute(sql, values).fetchone()

    def _translated(self) -> Any:
        return translated(self.path)

"""The tables `events` and `processes` of a SQLite log: one transaction for each append.

The append itself is plain prepared statements in `Database.atomic()`; sqlite-utils makes the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from syncfsm.core import events as e
from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.machine import ACTIVE, State
from syncfsm.core.process import Process, fold
from syncfsm.core.pruning import Pruning
from syncfsm.core.times import format_time
from syncfsm.errors import ActiveSync, VersionConflict
from syncfsm.log.codec import from_columns, from_row, from_snapshot, to_rows
from syncfsm.log.columns import COLUMNS, stored_event
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.read_model import Query, ReadModel
from syncfsm.log.refusals import conflict, not_found, second_active
from syncfsm.log.selection import ids_asked
from syncfsm.log.sides import MADE_ANEW
from syncfsm.log.sqlite import captures, inbox, pruning
from syncfsm.log.sqlite.file import LogFile
from syncfsm.log.sqlite.rules import refusals_told, unique
from syncfsm.log.sqlite.tables import (
    INSERT_EVENT,
    RESTORE_EVENT,
    SIDE_BEGINS,
    SIDE_FETCHES,
    SIDE_IS_DONE,
    UPSERT_PROCESS,
    event_values,
    process_values,
)

_NUMBER_MAX = 2**63 - 1
"""The largest number that SQLite knows."""


class SqliteEvents:
    """An `EventStore`, and `Restorable`.

    Args:
        file: The log's file.
        model: Asked who is active, where a second one is refused.
        pruning_of: Asked about a process that is not there; see `Prunable.pruning_of`.
    """

    def __init__(self, file: LogFile, model: ReadModel, pruning_of: Callable[[str], Pruning | None]) -> None:
        self._file = file
        self._model = model
        self._pruning_of = pruning_of

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
        notices: Sequence[int] = (),
    ) -> None:
        """See `EventStore.append`."""
        assert events, "an append has at least one event"
        self._file.check_in_place()
        stream, connection = events[0].stream, self._file.connection
        with self._file.translated(), refusals_told():
            rows = to_rows(events, self._digest_at(stream, expected_version))
            with self._file.atomic():
                with unique(lambda: self._conflict(stream, expected_version)):
                    connection.executemany(INSERT_EVENT, map(event_values, rows))
                begins_fetching = any(map(_begins_fetching, events))
                self._write_process(after, begins=not expected_version, begins_fetching=begins_fetching)
                if exchanges:
                    captures.insert(connection, stream, rows[0].version, rows[0].at, exchanges)
                if notices:
                    inbox.take(connection, stream, notices)

    def restore(
        self,
        rows: Iterable[StoredEvent],
        after: Callable[[], Iterable[Process]],
        prunings: Sequence[StoredPruning] = (),
    ) -> None:
        """See `Restorable.restore`."""
        with self._file.translated(), refusals_told(), self._file.atomic():
            for row in rows:
                with unique(lambda row=row: self._conflict(row.stream, row.version - 1)):  # type: ignore[misc]
                    self._file.connection.execute(
                        RESTORE_EVENT, (row.position if prunings else None, *event_values(row))
                    )
            pruning.insert(self._file.connection, prunings)
            for process in sorted(after(), key=lambda process: process.is_active):
                self._write_process(process, begins=True, begins_fetching=True)
            if prunings:
                self._file.connection.execute("DELETE FROM sides")
                self._file.connection.execute(MADE_ANEW.format(s=""))

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """See `EventStore.read`."""
        sql = """
            SELECT position, version, type, schema, at, data, meta, digest FROM events
            WHERE stream = ? AND version > ? AND version <= ? ORDER BY version
        """
        last = _NUMBER_MAX if until is None else min(until, _NUMBER_MAX)
        with self._file.translated():
            rows = self._file.connection.execute(sql, (process_id, after, last))
            yield from from_columns(process_id, rows)

    def stored_events(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """See `EventStore.stored_events`."""
        where, values = ("", ()) if process_id is None else ("WHERE stream = ?", (process_id,))
        sql = f"SELECT {COLUMNS} FROM events {where} ORDER BY position"  # noqa: S608 - the columns are ours
        with self._file.translated():
            for columns in self._file.connection.execute(sql, values):
                yield stored_event(columns)

    def last_position(self, *, before: datetime | None = None) -> int:
        """See `EventStore.last_position`."""
        if before is None:
            found = self._file.one("SELECT max(position) FROM events")
        else:
            sql = "SELECT position FROM events WHERE at < ? ORDER BY position DESC LIMIT 1"
            found = self._file.one(sql, (format_time(before),))
        return (found and found[0]) or 0

    def events_after(
        self, position: int, *, process_id: str | None = None, count_max: int = 500
    ) -> list[Recorded]:
        """See `EventStore.events_after`."""
        of_one = "" if process_id is None else "AND +stream = ?"  # +: by position, since few lie behind it
        sql = f"SELECT {COLUMNS} FROM events WHERE position > ? {of_one} ORDER BY position LIMIT ?"  # noqa: S608
        values = [value for value in (position, process_id, count_max) if value is not None]
        return self._recorded(sql, tuple(values))

    def last_events(self, count: int, *, process_id: str | None = None) -> list[Recorded]:
        """See `EventStore.last_events`."""
        where, values = ("", ()) if process_id is None else ("WHERE stream = ?", (process_id,))
        by = "position" if process_id is None else "version"
        sql = f"SELECT {COLUMNS} FROM events {where} ORDER BY {by} DESC LIMIT ?"  # noqa: S608 - likewise
        return self._recorded(sql, (*values, count))[::-1]

    def load(self, process_id: str) -> Process:
        """See `EventStore.load`."""
        found = self._file.one("SELECT snapshot, snapshot_schema FROM processes WHERE id = ?", (process_id,))
        snapshot = from_snapshot(*found) if found else None
        process = fold(snapshot, self.read(process_id, after=snapshot.version if snapshot else 0))
        if process is None:
            raise not_found(process_id, self._file.path, self._pruning_of(process_id))
        return process

    def loaded(self, process_ids: Sequence[str]) -> Iterator[Process]:
        """See `EventStore.loaded`: in a file, one by one costs no more."""
        return map(self.load, process_ids)

    def version(self, process_id: str) -> int:
        """See `EventStore.version`."""
        (version,) = self._file.one("SELECT max(version) FROM events WHERE stream = ?", (process_id,))
        return version or 0

    def ids(self, *, begin_with: str = "", last: int | None = None) -> list[str]:
        """See `EventStore.ids`."""
        sql, values = ids_asked("?", begin_with, last)
        return [id_ for (id_,) in self._file.all(sql.format(s=""), tuple(values))][::-1]

    def resumed_after(self, position: int) -> list[str]:
        """Return the processes that were resumed behind a position. See `Routes.moved_since`."""
        sql = "SELECT stream FROM events WHERE position > ? AND type = 'SyncResumed'"
        return [stream for (stream,) in self._file.all(sql, (position,))]

    def _write_process(self, process: Process, *, begins: bool, begins_fetching: bool) -> None:
        """Bring the read model up to a state, within the transaction of the events that lead to it."""
        with unique(lambda: self._second(process)):
            self._file.connection.execute(UPSERT_PROCESS, process_values(process))
        is_done = process.state is State.COMPLETED
        changes = ((begins, SIDE_BEGINS), (begins_fetching, SIDE_FETCHES), (is_done, SIDE_IS_DONE))
        for statement in chain.from_iterable(statements for applies, statements in changes if applies):
            self._file.connection.execute(statement, (process.id,))

    def _digest_at(self, stream: str, version: int) -> str:
        """Return the digest of an event. What is in the log never changes, so no transaction is needed."""
        if version == 0:
            return ""
        sql = "SELECT digest FROM events WHERE stream = ? AND version = ?"
        found = self._file.one(sql, (stream, version))
        if found is None:
            raise self._conflict(stream, version)
        return str(found[0])

    def _conflict(self, stream: str, expected_version: int) -> VersionConflict:
        return conflict(stream, version=self.version(stream), expected_version=expected_version)

    def _second(self, after: Process) -> ActiveSync:
        query = Query(source=after.source, object=after.object, states=ACTIVE, count_max=1)
        return second_active(after, next(iter(self._model.select(query)), None))

    def _recorded(self, sql: str, values: tuple[Any, ...]) -> list[Recorded]:
        return [from_row(stored_event(columns)) for columns in self._file.all(sql, values)]


def _begins_fetching(recorded: Recorded) -> bool:
    return isinstance(recorded.event, e.FetchingBegan)

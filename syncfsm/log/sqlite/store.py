"""The event log in a SQLite file: WAL, one transaction for each append.

`synchronous=NORMAL` is the default: a power cut may take the last events, and losing them is safe, since
their pages are fetched again and sinks are idempotent. The append itself is plain prepared statements in
`Database.atomic()`; sqlite-utils makes the schema.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from sqlite_utils import Database

from syncfsm.core.capture import Captured, Exchange, Forgotten
from syncfsm.core.events import Mode, Recorded
from syncfsm.core.notices import Notice, Waiting
from syncfsm.core.process import Process, fold
from syncfsm.core.times import format_time
from syncfsm.errors import ActiveSync, LogError, ProcessNotFound, VersionConflict
from syncfsm.log.codec import from_columns, from_row, from_snapshot, to_rows
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.sqlite import captures, inbox
from syncfsm.log.sqlite.connect import check_in_place, connect, identity
from syncfsm.log.sqlite.routes import SqliteModel
from syncfsm.log.sqlite.tables import (
    COLUMNS,
    INSERT_EVENT,
    UPSERT_PROCESS,
    event_values,
    process_values,
    stored_event,
)

_KINDS: dict[Mode, str] = {
    "initial": "a sync",
    "ongoing": "an ongoing sync",
    "webhook": "a sync of what webhooks told of",
    "rejects": "a retry of the rejects",
}


class SqliteLog(SqliteModel):
    """An `EventLog` in one SQLite file. See `open_log`; `traceless` reads without touching a byte."""

    def __init__(
        self,
        path: str | Path,
        *,
        read_only: bool = False,
        create: bool = True,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        busy_timeout_s: float = 5.0,
        traceless: bool = False,
    ) -> None:
        self.path = str(path)
        self._connection = connect(
            self.path,
            read_only=read_only,
            create=create,
            synchronous=synchronous,
            busy_timeout_s=busy_timeout_s,
            traceless=traceless,
        )
        self._db = Database(self._connection)
        self._place = "" if self.path == ":memory:" else str(Path(self.path).absolute())
        self._identity = identity(self._place) if self._place else None

    def __repr__(self) -> str:
        """Name the file."""
        return f"<SqliteLog {self.path}>"

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the file."""
        self.close()

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
        notices: Sequence[int] = (),
    ) -> None:
        """See `EventLog.append`."""
        assert events, "an append has at least one event"
        check_in_place(self._place, self._identity)
        stream = events[0].stream
        with self._translated():
            rows = to_rows(events, self._digest_at(stream, expected_version))
            with self._conflicts(stream, expected_version, after), self._db.atomic():
                self._connection.executemany(INSERT_EVENT, map(event_values, rows))
                self._connection.execute(UPSERT_PROCESS, process_values(after))
                if exchanges:
                    captures.insert(self._connection, stream, rows[0].version, rows[0].at, exchanges)
                if notices:
                    inbox.take(self._connection, stream, notices)

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """See `EventLog.read`."""
        sql = """
            SELECT position, version, type, schema, at, data, meta, digest FROM events
            WHERE stream = ? AND version > ? AND version <= ? ORDER BY version
        """
        last = 2**63 - 1 if until is None else min(until, 2**63 - 1)
        with self._translated():
            yield from from_columns(process_id, self._connection.execute(sql, (process_id, after, last)))

    def stored_events(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """See `EventLog.stored_events`."""
        where, values = ("", ()) if process_id is None else ("WHERE stream = ?", (process_id,))
        sql = f"SELECT {COLUMNS} FROM events {where} ORDER BY position"  # noqa: S608 - the columns are ours
        with self._translated():
            for columns in self._connection.execute(sql, values):
                yield stored_event(columns)

    def last_position(self, *, before: datetime | None = None) -> int:
        """See `EventLog.last_position`."""
        if before is None:
            found = self._one("SELECT max(position) FROM events", ())
        else:
            sql = "SELECT position FROM events WHERE at < ? ORDER BY position DESC LIMIT 1"
            found = self._one(sql, (format_time(before),))
        return (found and found[0]) or 0

    def events_after(
        self, position: int, *, process_id: str | None = None, count_max: int = 500
    ) -> list[Recorded]:
        """See `EventLog.events_after`."""
        of_one = "" if process_id is None else "AND +stream = ?"  # +: by position, since few lie behind it
        sql = f"SELECT {COLUMNS} FROM events WHERE position > ? {of_one} ORDER BY position LIMIT ?"  # noqa: S608
        values = [value for value in (position, process_id, count_max) if value is not None]
        return list(self._recorded(sql, tuple(values)))

    def last_events(self, count: int, *, process_id: str | None = None) -> list[Recorded]:
        """See `EventLog.last_events`."""
        where, values = ("", ()) if process_id is None else ("WHERE stream = ?", (process_id,))
        by = "position" if process_id is None else "version"
        sql = f"SELECT {COLUMNS} FROM events {where} ORDER BY {by} DESC LIMIT ?"  # noqa: S608 - likewise
        return [*self._recorded(sql, (*values, count))][::-1]

    def load(self, process_id: str) -> Process:
        """See `EventLog.load`."""
        found = self._one("SELECT snapshot, snapshot_schema FROM processes WHERE id = ?", (process_id,))
        snapshot = from_snapshot(*found) if found else None
        process = fold(snapshot, self.read(process_id, after=snapshot.version if snapshot else 0))
        if process is None:
            raise ProcessNotFound(f"no process {process_id} in {self.path}")
        return process

    def version(self, process_id: str) -> int:
        """See `EventLog.version`."""
        (version,) = self._one("SELECT max(version) FROM events WHERE stream = ?", (process_id,))
        return version or 0

    def ids(self) -> list[str]:
        """See `EventLog.ids`."""
        sql = "SELECT stream FROM events WHERE version = 1 ORDER BY position"
        with self._translated():
            return [stream for (stream,) in self._connection.execute(sql)]

    def restore(self, rows: Iterable[StoredEvent], after: Callable[[], Iterable[Process]]) -> None:
        """See `EventLog.restore`."""
        with self._translated(), self._db.atomic():
            for row in rows:
                with self._conflicts(row.stream, row.version - 1):
                    self._connection.execute(INSERT_EVENT, event_values(row))
            for process in sorted(after(), key=lambda process: process.is_active):
                with self._conflicts(process.id, process.version, process):
                    self._connection.execute(UPSERT_PROCESS, process_values(process))

    def receive(self, notice: Notice) -> bool:
        """See `EventLog.receive`."""
        with self._translated():
            is_new = inbox.insert(self._connection, notice)
        check_in_place(self._place, self._identity)  # last, since who sent it is told next that it is kept
        return is_new

    def waiting(
        self, source: str, object_: str, *, until: datetime | None = None, now: datetime | None = None
    ) -> Waiting:
        """See `EventLog.waiting`."""
        with self._translated():
            return inbox.waiting(self._connection, source, object_, until, now)

    def clear_inbox(self, before: datetime) -> int:
        """See `EventLog.clear_inbox`."""
        with self._translated():
            return inbox.clear(self._connection, before)

    def captures(self, process_id: str) -> list[Captured]:
        """See `EventLog.captures`."""
        with self._translated():
            return list(captures.select(self._connection, process_id))

    def exchange(self, capture_id: int) -> Exchange:
        """See `EventLog.exchange`."""
        with self._translated():
            return captures.exchange(self._connection, capture_id)

    def capture_counts(self) -> dict[str, int]:
        """See `EventLog.capture_counts`."""
        with self._translated():
            return captures.counts(self._connection)

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """See `EventLog.forget`."""
        with self._translated():
            return captures.forget(self._connection, self.path, format_time(before), process_id)

    def close(self) -> None:
        """See `EventLog.close`."""
        self._connection.close()

    def _digest_at(self, stream: str, version: int) -> str:
        """Return the digest of an event. What is in the log never changes, so no transaction is needed."""
        if version == 0:
            return ""
        found = self._one("SELECT digest FROM events WHERE stream = ? AND version = ?", (stream, version))
        if found is None:
            raise self._conflict(stream, version)
        return str(found[0])

    @contextmanager
    def _conflicts(self, stream: str, expected_version: int, after: Process | None = None) -> Iterator[None]:
        """Say which rule a refused row broke; the transaction has been rolled back."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            if "events.stream" in str(error):
                raise self._conflict(stream, expected_version) from error
            if after is not None and "processes.source" in str(error):
                raise self._second(after) from error
            raise LogError(f"{self.path}: {error}") from error

    def _conflict(self, stream: str, expected_version: int) -> VersionConflict:
        return VersionConflict(
            f"process {stream} is at version {self.version(stream)}, not at {expected_version} "
            "as expected: another worker is on it. Nothing was written."
        )

    def _second(self, after: Process) -> ActiveSync:
        other = self.active(after.source, after.object)
        name = other.id if other else None
        what = _KINDS[other.mode] if other else "a sync"
        return ActiveSync(
            f"{what} of {after.source} {after.object} is active already: process {name}. "
            "Go on with it, or cancel it, before another begins.",
            name,
        )

    def _recorded(self, sql: str, values: tuple[Any, ...]) -> Iterator[Recorded]:
        with self._translated():
            for columns in self._connection.execute(sql, values):
                yield from_row(stored_event(columns))

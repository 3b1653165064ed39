"""The event log in a SQLite file: WAL, one transaction for each append.

`synchronous=NORMAL` is the default: a power cut may take the last events, and losing them is safe, since
their pages are fetched again and sinks are idempotent. The append itself is plain prepared statements in
`Database.atomic()`; sqlite-utils makes the schema.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from sqlite_utils import Database

from syncfsm.errors import ActiveSync, LogError, ProcessNotFound, VersionConflict
from syncfsm.events import Mode, Recorded
from syncfsm.log.codec import (
    SNAPSHOT_SCHEMA,
    format_time,
    from_columns,
    from_snapshot,
    parse_time,
    to_rows,
    to_snapshot,
)
from syncfsm.log.connect import connect, translated
from syncfsm.log.protocol import StoredEvent
from syncfsm.process import Process, fold

_COLUMNS = "position, stream, version, type, schema, at, data, meta, digest"

_INSERT_EVENT = """
    INSERT INTO events (stream, version, type, schema, at, data, meta, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_UPSERT_PROCESS = """
    INSERT INTO processes
        (id, source, object, sink, mode, started_at, state, version, updated_at, watermark,
         snapshot, snapshot_schema)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        state = excluded.state, version = excluded.version, updated_at = excluded.updated_at,
        watermark = excluded.watermark, snapshot = coalesce(excluded.snapshot, snapshot),
        snapshot_schema = iif(excluded.snapshot IS NULL, snapshot_schema, excluded.snapshot_schema)
"""


class SqliteLog:
    """An `EventLog` in one SQLite file. See `open_log`."""

    def __init__(
        self,
        path: str | Path,
        *,
        read_only: bool = False,
        create: bool = True,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        busy_timeout_s: float = 5.0,
    ) -> None:
        self.path = str(path)
        self._connection = connect(
            self.path,
            read_only=read_only,
            create=create,
            synchronous=synchronous,
            busy_timeout_s=busy_timeout_s,
        )
        self._db = Database(self._connection)

    def __repr__(self) -> str:
        """Name the file."""
        return f"<SqliteLog {self.path}>"

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the file."""
        self.close()

    def append(self, events: Sequence[Recorded], *, expected_version: int, after: Process) -> None:
        """See `EventLog.append`."""
        assert events, "an append has at least one event"
        stream = events[0].stream
        with self._translated():
            rows = to_rows(events, self._digest_at(stream, expected_version))
            with self._conflicts(stream, expected_version, after), self._db.atomic():
                self._connection.executemany(_INSERT_EVENT, map(_event_values, rows))
                self._connection.execute(_UPSERT_PROCESS, _process_values(after))

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """See `EventLog.read`."""
        sql = """
            SELECT position, version, type, schema, at, data, meta, digest FROM events
            WHERE stream = ? AND version > ? AND version <= ? ORDER BY version
        """
        last = 2**63 - 1 if until is None else min(until, 2**63 - 1)
        with self._translated():
            yield from from_columns(process_id, self._connection.execute(sql, (process_id, after, last)))

    def rows(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """See `EventLog.rows`."""
        where, values = ("", ()) if process_id is None else ("WHERE stream = ?", (process_id,))
        sql = f"SELECT {_COLUMNS} FROM events {where} ORDER BY position"  # noqa: S608 - the columns are ours
        with self._translated():
            for columns in self._connection.execute(sql, values):
                yield _row(columns)

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

    def projection(self) -> dict[str, int]:
        """See `EventLog.projection`."""
        with self._translated():
            return dict(self._connection.execute("SELECT id, version FROM processes"))

    def latest(self, source: str, object_: str, sink: str, *, mode: Mode = "initial") -> Process | None:
        """See `EventLog.latest`."""
        sql = """
            SELECT id FROM processes JOIN events ON stream = id AND events.version = 1
            WHERE source = ? AND object = ? AND sink = ? AND mode = ?
            ORDER BY position DESC LIMIT 1
        """
        found = self._one(sql, (source, object_, sink, mode))
        return self.load(found[0]) if found else None

    def active(self, source: str, object_: str) -> Process | None:
        """See `EventLog.active`."""
        sql = """
            SELECT id FROM processes
            WHERE source = ? AND object = ? AND state IN ('INITIALIZING', 'FETCHING')
        """
        found = self._one(sql, (source, object_))
        return self.load(found[0]) if found else None

    def last_sync_time(self, source: str, object_: str, sink: str) -> datetime | None:
        """See `EventLog.last_sync_time`."""
        sql = """
            SELECT max(watermark) FROM processes
            WHERE source = ? AND object = ? AND sink = ? AND state = 'COMPLETED'
        """
        (text,) = self._one(sql, (source, object_, sink)) or (None,)
        return parse_time(text) if text else None

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
    def _conflicts(self, stream: str, expected_version: int, after: Process) -> Iterator[None]:
        """Say which rule a refused row broke; the transaction has been rolled back."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            if "events.stream" in str(error):
                raise self._conflict(stream, expected_version) from error
            if "processes.source" in str(error):
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
        what = "a retry of the rejects" if other and other.mode == "rejects" else "a sync"
        return ActiveSync(
            f"{what} of {after.source} {after.object} is active already: process {name}. "
            "Go on with it, or cancel it, before another begins.",
            name,
        )

    def _one(self, sql: str, values: tuple[Any, ...]) -> Any:
        with self._translated():
            return self._connection.execute(sql, values).fetchone()

    def _translated(self) -> Any:
        return translated(self.path)


def _row(values: tuple[Any, ...]) -> StoredEvent:
    position, stream, version, type_, schema, at, data, meta, digest = values
    return StoredEvent(
        position=position,
        stream=stream,
        version=version,
        type=type_,
        schema=schema,
        at=at,
        data=data,
        meta=meta,
        digest=digest,
    )


def _event_values(row: StoredEvent) -> tuple[Any, ...]:
    return row.stream, row.version, row.type, row.schema, row.at, row.data, row.meta, row.digest


def _process_values(process: Process) -> tuple[Any, ...]:
    return (
        process.id,
        process.source,
        process.object,
        process.sink,
        process.mode,
        format_time(process.started_at),
        process.state.value,
        process.version,
        format_time(process.updated_at),
        format_time(process.watermark) if process.watermark else None,
        to_snapshot(process),
        SNAPSHOT_SCHEMA,
    )

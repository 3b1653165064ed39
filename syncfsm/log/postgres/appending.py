"""Appending to a PostgreSQL log: one round trip, and never twice whatever becomes of the connection.

Where the connection is lost while an append is under way, it may have happened, or not, or still be about
to. So it is tried once more, by a new connection, and the rule that a version is there once decides: what is
in flight holds the version until it is over, and what is refused is looked at. If the event that is there
has our digest, the first try was the one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.machine import ACTIVE
from syncfsm.core.process import Process
from syncfsm.errors import AppendInDoubt, LogError, LogUnwritable, SyncfsmError, VersionConflict
from syncfsm.log.codec import SNAPSHOT_SCHEMA, to_rows, to_snapshot
from syncfsm.log.columns import model_values
from syncfsm.log.postgres import captures
from syncfsm.log.postgres.digests import Digests
from syncfsm.log.postgres.functions import CONFLICT, OTHER_EVENT
from syncfsm.log.postgres.session import IDLE_TIMEOUT_S, Session
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.read_model import Query, ReadModel
from syncfsm.log.refusals import conflict, second_active
from syncfsm.postgres.connection import Connection

Within = Callable[[Connection, Process], object]
"""Takes part in the transaction of an append; gets its connection, and the state that the events lead to."""

_LISTS = {*range(5, 11), *range(28, 33)}
"""The places of the values that are lists. They are sent in the binary form: in that of text, the driver puts
a backslash before each quote of the JSON, which took as long as all the rest of an append."""

_APPEND = f"SELECT {{s}}.append({', '.join('%b' if place in _LISTS else '%s' for place in range(33))})"

_VERSION = "SELECT coalesce(max(version), 0) FROM {s}.events WHERE stream = %s"
_IS_THERE = "SELECT 1 FROM {s}.events WHERE stream = %s AND version = %s AND digest = %s"


class _Theirs(Exception):
    """What takes part in a transaction has raised an error of the driver."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__()
        self.error = error


class Appending:
    """What appends to an `EventStore`.

    Args:
        session: Of the log.
        model: Asked who is active, where a second one is refused.
        digests: Knows what the next event chains to.
        within: See `PostgresLog`.
    """

    def __init__(
        self, session: Session, model: ReadModel, digests: Digests, within: Within | None = None
    ) -> None:
        self._session = session
        self._model = model
        self._digests = digests
        self._within = within

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
        stream = events[0].stream
        previous = self._digests.at(stream, expected_version)
        if previous is None:
            raise self._conflict(stream, expected_version)
        rows = to_rows(events, previous)
        values = (
            *(self._session.lock_timeout, f"{IDLE_TIMEOUT_S}s"),
            *(stream, expected_version, previous),
            *_columns(rows),
            *process_values(after)[1:],
            *captures.columns(stream, rows[0].version, rows[0].at, exchanges),
            list(notices) or None,
        )
        self._write(rows, values, after)
        self._digests.know(stream, rows[-1].version, rows[-1].digest)

    def _write(self, rows: Sequence[StoredEvent], values: tuple[Any, ...], after: Process) -> None:
        try:
            self._try(values, after)
        except psycopg.Error as error:
            if not self._session.is_lost(error):
                raise self._refusal(error, rows, after) from None
            self._try_again(rows, values, after)
        except _Theirs as raised:
            raise raised.error from None
        except UnicodeEncodeError as error:
            raise self._session.unfit() from error

    def _try(self, values: tuple[Any, ...], after: Process) -> None:
        connection, statement = self._session.connection, self._session.text(_APPEND)
        if self._within is None:
            connection.execute(statement, values)
            return
        with connection.transaction():
            connection.execute(statement, values)
            with self._theirs():
                self._within(connection, after)

    @contextmanager
    def _theirs(self) -> Iterator[None]:
        """Let what is raised within it be the caller's own, unless the connection is lost."""
        try:
            yield
        except psycopg.Error as error:
            if self._session.is_lost(error):
                raise
            raise _Theirs(error) from error

    def _try_again(self, rows: Sequence[StoredEvent], values: tuple[Any, ...], after: Process) -> None:
        """Append once more what may have been appended already, or is about to be: that is waited for."""
        try:
            self._try((self._session.patient_timeout, *values[1:]), after)
        except LogUnwritable as error:  # no connection can be made
            raise self._in_doubt(rows, str(error)) from error
        except psycopg.Error as error:
            if self._session.is_lost(error):
                raise self._in_doubt(rows, str(self._session.in_words(error))) from None
            refusal = self._refusal(error, rows, after)
            if isinstance(refusal, VersionConflict) and self._is_there(rows[-1]):
                return  # the first try was written, and only its answer was lost
            if isinstance(refusal, LogUnwritable) and refusal.is_locked:  # it may be the first that holds it
                raise self._in_doubt(rows, str(refusal)) from None
            raise refusal from None

    def is_version_there(self, row: StoredEvent) -> bool:
        """Whether the version of a row is in the log."""
        return self._version(row.stream) >= row.version

    def _is_there(self, row: StoredEvent) -> bool:
        return self._session.one(_IS_THERE, (row.stream, row.version, row.digest)) is not None

    def _in_doubt(self, rows: Sequence[StoredEvent], why: str) -> AppendInDoubt:
        stream, version = rows[-1].stream, rows[-1].version
        return AppendInDoubt(
            f"the connection to the log {self._session.name} was lost while version {version} of process "
            f"{stream} was written, and it is not known whether it is there: {why}. Running again "
            "finds out, and goes on from what is there."
        )

    # ── refusals ─────────────────────────────────────────────────────────────────────────────

    def _refusal(self, error: psycopg.Error, rows: Sequence[StoredEvent], after: Process) -> SyncfsmError:
        """Return what an error of the server means, with the log as it is now: the transaction is over."""
        stream, expected = rows[0].stream, rows[0].version - 1
        told: SyncfsmError | None = self.rule(error, stream, expected, after)
        return told or self._session.in_words(error)

    def rule(
        self, error: psycopg.Error, stream: str, expected_version: int, after: Process | None
    ) -> SyncfsmError | None:
        """Return which rule of the log refused a row, in words; null if it was none."""
        if error.sqlstate == CONFLICT:
            found = int(error.diag.message_detail or 0)
            return conflict(stream, version=found, expected_version=expected_version)
        if error.sqlstate == OTHER_EVENT:
            return VersionConflict(
                f"version {expected_version} of process {stream} is another event in the log now than when "
                "the process was loaded: an older copy of the log was put in its place. Nothing was written."
            )
        if error.diag.constraint_name == "events_stream_version":
            return self._conflict(stream, expected_version)
        if error.diag.constraint_name == "one_active_sync" and after is not None:
            query = Query(source=after.source, object=after.object, states=ACTIVE, count_max=1)
            return second_active(after, next(iter(self._model.select(query)), None))
        return None

    def _conflict(self, stream: str, expected_version: int) -> LogError:
        return conflict(stream, version=self._version(stream), expected_version=expected_version)

    def _version(self, stream: str) -> int:
        (version,) = self._session.one(_VERSION, (stream,))
        return int(version)


def process_values(process: Process) -> tuple[Any, ...]:
    """Return the values of a process for the function `project`, and without the first for `append`."""
    return (*model_values(process), to_snapshot(process), SNAPSHOT_SCHEMA)


def _columns(rows: Sequence[StoredEvent]) -> tuple[list[Any], ...]:
    """Return the events as columns, each a list."""
    names = ("type", "schema", "at", "data", "meta", "digest")
    return tuple([getattr(row, name) for row in rows] for name in names)

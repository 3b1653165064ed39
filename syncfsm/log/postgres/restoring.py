"""Taking rows from elsewhere into a PostgreSQL log, all of them in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import psycopg

from syncfsm.core.process import Process
from syncfsm.errors import AppendInDoubt, SyncfsmError
from syncfsm.log.postgres.appending import Appending, process_values
from syncfsm.log.postgres.parts import PART
from syncfsm.log.postgres.pruning import write_prunings
from syncfsm.log.postgres.session import Session
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.sides import MADE_ANEW
from syncfsm.postgres.connection import Connection

_INSERT = """
    INSERT INTO {s}.events (stream, version, type, schema, at, data, meta, digest)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

_INSERT_AT = """
    INSERT INTO {s}.events (position, stream, version, type, schema, at, data, meta, digest)
    OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_PROJECT = f"SELECT {{s}}.project(true, {', '.join(['%s'] * 18)})"


class PostgresRestoring:
    """A `Restorable`.

    Args:
        session: Of the log.
        appending: Says which rule refused a row.
    """

    def __init__(self, session: Session, appending: Appending) -> None:
        self._session = session
        self._appending = appending

    def restore(
        self,
        rows: Iterable[StoredEvent],
        after: Callable[[], Iterable[Process]],
        prunings: Sequence[StoredPruning] = (),
    ) -> None:
        """See `Restorable.restore`."""
        at_work: list[StoredEvent | Process] = []
        with self._session.translated():
            try:
                with self._session.connection.transaction() as transaction:
                    self._write(transaction.connection, rows, after, at_work, prunings)
                    at_work.clear()
            except psycopg.Error as error:
                raise self._refusal(error, at_work) or error from None

    def _write(
        self,
        connection: Connection,
        rows: Iterable[StoredEvent],
        after: Callable[[], Iterable[Process]],
        at_work: list[StoredEvent | Process],
        prunings: Sequence[StoredPruning],
    ) -> None:
        """Write all; what is being written is in `at_work`."""
        timeout = ("SELECT set_config('lock_timeout', %s, true)", (self._session.lock_timeout,))
        connection.execute(*timeout)
        connection.execute(self._session.script("SELECT {s}.announce()"))
        coming = iter(rows)
        while part := list(islice(coming, PART)):
            at_work[:] = part
            with connection.cursor() as cursor:
                if prunings:
                    cursor.executemany(self._session.text(_INSERT_AT), map(event_values_at, part))
                else:
                    cursor.executemany(self._session.text(_INSERT), map(_values, part))
        if prunings:
            at_work.clear()
            write_prunings(connection, self._session, prunings)
        for process in sorted(after(), key=lambda process: process.is_active):
            at_work[:] = [process]
            connection.execute(self._session.text(_PROJECT), process_values(process))
        if prunings:
            connection.execute(self._session.script("DELETE FROM {s}.sides"))
            connection.execute(self._session.script(MADE_ANEW.replace("{s}", "{s}.")))

    def _refusal(self, error: psycopg.Error, at_work: Sequence[StoredEvent | Process]) -> SyncfsmError | None:
        """Return what an error means, with the log as it is now: the transaction is over."""
        if self._session.is_lost(error) and not at_work:
            return AppendInDoubt(
                f"the connection to the log {self._session.name} was lost at the end of the import, and it "
                "is not known whether it was written: import again, which finds out, and writes the rest"
            )
        for one in at_work:
            if isinstance(one, Process):
                return self._appending.rule(error, one.id, one.version, one)
            if self._appending.is_version_there(one):
                return self._appending.rule(error, one.stream, one.version - 1, None)
        return None


def event_values_at(row: StoredEvent) -> tuple[str | int, ...]:
    """Return the values for `_INSERT_AT`."""
    return row.position, *_values(row)


def _values(row: StoredEvent) -> tuple[str | int, ...]:
    return row.stream, row.version, row.type, row.schema, row.at, row.data, row.meta, row.digest

"""The connection of a log, held by all the parts of a `PostgresLog`, and its errors in words.

A connection may be lost at any time: the server restarts, another takes over, the network fails. What only
reads is asked again by a new one. What appends is not: there, it matters that an answer was lost
(`appending.py`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from syncfsm.errors import CorruptLog, LogError, LogNotFound, LogUnwritable
from syncfsm.log.postgres.functions import STANDBY
from syncfsm.log.refusals import unwritable
from syncfsm.postgres.address import Address
from syncfsm.postgres.connection import Connection, connect
from syncfsm.postgres.errors import (
    NOT_ALLOWED,
    READ_ONLY,
    advice,
    code_advice,
    error_name,
    is_damage,
    is_locked,
    is_lost,
    refusal_advice,
)

T = TypeVar("T")

IDLE_TIMEOUT_S = 60
"""After which the server ends a session that began to append and says nothing more: until then, its events to
come hold back what others can read."""

_SETTINGS = """
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = {read_only};
SET search_path = {schema}
"""
"""A user of the database may have others as a default; the log is built on the first. Whoever writes within
an append finds there what it has in the same schema."""

_GONE = {"42P01", "3F000", "42883"}
"""A table, a schema or a function that is there no more."""

_UNFIT = {None, "22021", "22P05"}
"""Texts that the driver does not send, or the server does not take."""

_MAY_WRITE = """
SELECT pg_is_in_recovery(),
    has_table_privilege({events}, 'INSERT') AND has_schema_privilege({schema}, 'USAGE')
"""

_HOLDERS = """
SELECT l.pid, a.application_name, extract(epoch FROM clock_timestamp() - a.xact_start)::float8
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = {events}::regclass
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.pid <> pg_backend_pid()
ORDER BY a.xact_start LIMIT 1
"""


class Session:
    """A connection to the schema of a log.

    Args:
        address: Where the log is.
        read_only: Whether nothing is to be written.
        lock_timeout_s: How long to wait for whoever holds what is to be written.
    """

    def __init__(self, address: Address, *, read_only: bool, lock_timeout_s: float) -> None:
        self.address = address
        self.name = address.name
        self.lock_timeout_s = lock_timeout_s
        self._waits_s = lock_timeout_s
        self._read_only = read_only
        self._is_closed = False
        self._is_in_snapshot = False
        self.quoted = sql.Identifier(address.schema).as_string(None)
        self._texts: dict[str, bytes] = {}
        self._connection = self._connected()

    @property
    def connection(self) -> Connection:
        """The connection; made anew if the last one was lost between two uses, but not within a snapshot.

        Raises:
            LogUnwritable: None can be made, or what was to be seen of one moment would be of two.
        """
        if self._connection.closed and not self._is_closed:
            if self._is_in_snapshot:
                raise self._unreachable(code_advice("08000") or "")
            self._connection = self._connected()
        return self._connection

    @property
    def lock_timeout(self) -> str:
        """How long a statement waits for whoever holds what is to be written, as the server takes it."""
        return _limit(self._waits_s)

    @property
    def patient_timeout(self) -> str:
        """The same where it is not to be told at once."""
        return _limit(self.lock_timeout_s)

    def text(self, template: str) -> bytes:
        """Return a statement, which takes values, with the names of this schema in it. See `schema.py`."""
        if template not in self._texts:
            self._texts[template] = self._named(template, "%%")
        return self._texts[template]

    def script(self, template: str) -> bytes:
        """Return statements that take no values."""
        return self._named(template, "%")

    def _named(self, template: str, percent: str) -> bytes:
        schema = sql.Literal(self.address.schema).as_string(None)
        text = template.replace("{s}", self.quoted.replace("%", percent))
        text = text.replace("{schema}", schema.replace("%", percent))
        for table in ("events", "captures", "prunings", "log_migrations"):
            name = sql.Literal(f"{self.quoted}.{table}").as_string(None)
            text = text.replace(f"{{{table}}}", name.replace("%", percent))
        return text.encode()

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    def one(self, template: str, values: tuple[Any, ...] = ()) -> Any:
        """Return the first row of a query; null if there is none."""
        return self.ask(lambda connection: connection.execute(self.text(template), values).fetchone())

    def all(self, template: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.ask(lambda connection: connection.execute(self.text(template), values).fetchall())

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return what a question is answered that may be asked again, once more where the first was lost."""
        with self.translated():
            is_within = self.is_in_transaction
            try:
                return question(self.connection)
            except psycopg.Error as error:
                if is_within or not self.is_lost(error):
                    raise
            return question(self.connection)

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction was begun and is not over."""
        status = self._connection.info.transaction_status
        return status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}

    def is_lost(self, error: psycopg.Error) -> bool:
        """Whether an error means that the connection is gone."""
        return self._connection.closed and is_lost(error)

    @contextmanager
    def at_once(self) -> Iterator[float]:
        """Let nothing within it wait for whoever holds what is to be written; see `patience.Prompt`."""
        self._waits_s = 0.0
        try:
            yield self.lock_timeout_s
        finally:
            self._waits_s = self.lock_timeout_s

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let everything read within it see the log as it is now; within another, as that one sees it."""
        if self.is_in_transaction:
            yield
            return
        begin = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"  # what is read first decides
        self.ask(lambda connection: connection.execute(begin))
        self._is_in_snapshot = True
        try:
            yield
        finally:
            self._is_in_snapshot = False
            with suppress(psycopg.Error):  # one that was lost is over
                self._connection.execute(b"ROLLBACK")

    def unwritable_reason(self) -> str | None:
        """Return why the log could not be written, and what to do, without writing; null if it could be."""
        is_standby, may_write = self.one(_MAY_WRITE)
        if is_standby:
            return code_advice(READ_ONLY)
        return None if may_write else code_advice(NOT_ALLOWED)

    # ── errors ───────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into this package's, with what to do about them."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise self.unfit() from error
        except psycopg.Error as error:
            raise self.in_words(error) from None  # the server's own words may quote what is stored

    def in_words(self, error: psycopg.Error) -> LogError:
        """Return what an error means to whoever uses the log."""
        words = advice(error)
        if self.is_lost(error):
            return self._unreachable(words or refusal_advice(error))
        if is_locked(error):
            return unwritable(self.name, self._held_by() or words or "", is_locked=True)
        return self._no_log(error) or self._refused(words or error_name(error))

    def _no_log(self, error: psycopg.Error) -> LogError | None:
        """Return what an error says of the log itself, or of what is asked of it; null if nothing."""
        if is_damage(error):
            return CorruptLog(f"the log {self.name} is not sound: {advice(error)}")
        if error.sqlstate in _GONE:
            return LogNotFound(
                f"the log {self.name} is not there any more, or not whole: {error_name(error)}"
            )
        if error.sqlstate == STANDBY:
            words = "is a standby, which cannot tell what is still to come: name the primary"
            return LogError(f"{self.name} {words}")
        if isinstance(error, psycopg.DataError) and error.sqlstate in _UNFIT:
            return self.unfit()
        return None if advice(error) else LogError(f"the log {self.name}: {error_name(error)}")

    def _refused(self, words: str) -> LogUnwritable:
        if self._read_only:
            return LogUnwritable(f"the log {self.name} cannot be read: {words}, then run again")
        return unwritable(self.name, words)

    def unfit(self) -> LogError:
        """Return the refusal of what PostgreSQL takes in no text."""
        return LogError(
            f"the log {self.name} cannot hold this: a name or an id in it has a character that PostgreSQL "
            "takes in no text (U+0000, or half of a surrogate pair). Nothing was written."
        )

    def _unreachable(self, words: str) -> LogUnwritable:
        return LogUnwritable(f"the log {self.name} cannot be reached: {words}, then run again")

    def _held_by(self) -> str | None:
        """Return who holds what was to be written, as far as that can be told."""
        if self.is_in_transaction:
            return None
        try:
            found = self._connection.execute(self.text(_HOLDERS), ()).fetchone()
        except psycopg.Error:
            return None
        if found is None:
            return None
        pid, name, seconds = found
        for_s = f" for {seconds:.1f} s" if seconds is not None else ""
        return (
            f"another worker, {name or 'of no name'} (process {pid} of the server), has been writing{for_s}; "
            "wait for that worker or stop it"
        )

    # ── connecting ───────────────────────────────────────────────────────────────────────────

    def _connected(self) -> Connection:
        """Return a new connection.

        Raises:
            LogUnwritable: None can be made.
        """
        try:
            connection = connect(self.address, purpose=f"log {socket.gethostname()}:{os.getpid()}")
            read_only = "on" if self._read_only else "off"
            settings = _SETTINGS.format(read_only=read_only, schema=self.quoted)
            connection.execute(settings.encode())
        except psycopg.Error as error:
            raise self._unreachable(refusal_advice(error)) from None  # libpq's words may quote the URL
        return connection

    def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        self._is_closed = True
        self._connection.close()


def _limit(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"  # 0 would mean for ever

"""The connection of a sink in PostgreSQL: made when it is needed, made again when it is lost.

It is a synchronous one, and an event loop is kept free by using it in a thread. So it serves every kind of
loop, one after the other and Windows' too, and it serves what a sink is asked without one: its id and its
marks. One piece of work has it at a time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from psycopg import Error
from psycopg.pq import TransactionStatus

from syncfsm.core.failure import Failure
from syncfsm.outside.safe_words import printable
from syncfsm.postgres.connection import Connection, connect
from syncfsm.postgres.errors import READ_ONLY, is_locked, is_lost
from syncfsm.sinks.postgres.failures import connecting_failed, failed
from syncfsm.sinks.postgres.place import Place

T = TypeVar("T")

CANCEL_TIMEOUT_S = 5.0
"""How long to wait for the server to hear that a statement is to be broken off."""

_BETWEEN_CANCELS_S = 0.05

_NAME_LENGTH_MAX = 40

_HOLDER = """
    SELECT a.pid, a.application_name
    FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
        AND l.pid <> pg_catalog.pg_backend_pid() AND a.datname = pg_catalog.current_database()
        AND l.relation = (
            SELECT c.oid FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relname = %s
        )
    ORDER BY a.xact_start LIMIT 1
"""


class Unfit(Exception):
    """The work came upon a failure that is no error of the server's."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Session:
    """A connection, and what is done by it.

    Args:
        place: Where to.
        lock_timeout_s: How long to wait for somebody who holds what is to be written.
    """

    def __init__(self, place: Place, lock_timeout_s: float) -> None:
        self._place = place
        self._lock_timeout_s = lock_timeout_s
        self._opened: Connection | None = None
        self._turn = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, which may be lost without anybody knowing it yet."""
        return self._opened is not None

    async def run(self, work: Callable[[Connection], T]) -> T | Failure:
        """Do some work in a thread; when cancelled, it is broken off, and over before this returns."""
        done = asyncio.ensure_future(asyncio.to_thread(self.now, work))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            while not done.done():  # again, since between two statements nobody hears it
                await asyncio.to_thread(self._break_off)
                await asyncio.wait([done], timeout=_BETWEEN_CANCELS_S)
            raise

    def now(self, work: Callable[[Connection], T]) -> T | Failure:
        """Do some work; what the server does wrong comes back as a failure."""
        with self._turn:
            try:
                connection = self._connected()
            except Error as error:
                return connecting_failed(error, self._place.name)
            try:
                return work(connection)
            except Unfit as unfit:
                return unfit.failure
            except Error as error:
                return self._failed(connection, error)
            finally:
                self._leave_no_trace(connection)

    def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        with self._turn:
            self._close()

    def _connected(self) -> Connection:
        if self._opened is None:
            connection = connect(self._place.address, purpose="sink")
            connection.prepare_threshold = None  # nothing is to be left in the sessions of a pooler
            self._opened = connection
            connection.execute(f"SET lock_timeout = {max(1, round(self._lock_timeout_s * 1000))}".encode())
        return self._opened

    def _failed(self, connection: Connection, error: Error) -> Failure:
        if is_lost(error) or error.sqlstate == READ_ONLY:  # the next one may come to another server
            self._close()
        holder = self._holder(connection) if is_locked(error) else ""
        return failed(error, self._place.name, holder)

    def _holder(self, connection: Connection) -> str:
        """Say who is in the way, if that can still be seen."""
        found = None
        with suppress(Error):
            place = (self._place.address.schema, self._place.table)
            found = connection.execute(_HOLDER, place).fetchone()
        if found is None:
            return ""
        called = f" ({printable(found[1])[:_NAME_LENGTH_MAX]})" if found[1] else ""
        return f"process {found[0]} of the server{called} holds it locked; wait for it, or end it"

    def _leave_no_trace(self, connection: Connection) -> None:
        """Let go of a connection that is closed, or in a state in which nobody could go on."""
        if connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE:
            self._close()

    def _break_off(self) -> None:
        connection = self._opened
        if connection is not None:
            with suppress(Error):
                connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

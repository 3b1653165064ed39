"""The event log in a PostgreSQL database: a schema that many workers on many machines share.

What a commit promises is the server's to say (`synchronous_commit`, and how many standbys must have it). A
crash of the server that takes the last events is safe, as it is with a file: pages are fetched again, and
sinks are idempotent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from syncfsm.core.process import Process
from syncfsm.log.composed import ComposedLog
from syncfsm.log.postgres.appending import Appending, Within
from syncfsm.log.postgres.audit import PostgresAudit
from syncfsm.log.postgres.captures import PostgresCaptures
from syncfsm.log.postgres.digests import Digests
from syncfsm.log.postgres.events import PostgresEvents
from syncfsm.log.postgres.inbox import PostgresInbox
from syncfsm.log.postgres.model import PostgresModel
from syncfsm.log.postgres.opening import prepare
from syncfsm.log.postgres.pruning import PostgresPruning
from syncfsm.log.postgres.restoring import PostgresRestoring
from syncfsm.log.postgres.session import Session
from syncfsm.log.routes import ModelRoutes
from syncfsm.postgres.address import parse
from syncfsm.postgres.connection import Connection

T = TypeVar("T")


class PostgresLog(ComposedLog):
    """An `EventLog` in a schema of a PostgreSQL database, 16 or newer.

    Args:
        url: As libpq takes it, with `?schema=NAME` for another schema than `syncfsm`.
        read_only: Whether nothing is to be written.
        create: Whether to make the schema and its tables if they are missing.
        busy_timeout_s: How long to wait for another worker that writes what is to be written.
        within: Called in the transaction of each append, after its events are written, with its connection
            and the state that they lead to; what it writes there is written with the events, or neither is.
            What it raises undoes both. It may be called again for the same events where the connection was
            lost, and then nothing of the first call is left.
        takes_part: Whether `within` has anything to write with the events that lead to a state; without, an
            append is one round trip, else four or more.

    Attributes:
        path: How the log is called: its URL, without any password.

    Raises:
        ConfigurationError: The URL cannot be read.
        LogError: What is there is no log; it was made by a newer syncfsm; or it cannot be reached or made.
    """

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        create: bool = True,
        busy_timeout_s: float = 5.0,
        within: Within | None = None,
        takes_part: Callable[[Process], bool] = lambda _after: True,
    ) -> None:
        session = Session(parse(url), read_only=read_only, lock_timeout_s=busy_timeout_s)
        try:
            prepare(session, read_only=read_only, create=create)
        except BaseException:
            session.close()
            raise
        digests, model = Digests(session), PostgresModel(session)
        appending = Appending(session, model, digests, within, takes_part)
        pruning = PostgresPruning(session)
        events = PostgresEvents(session, digests, appending, pruning.pruning_of)
        inbox, captures = PostgresInbox(session), PostgresCaptures(session)
        super().__init__(
            events=events,
            routes=ModelRoutes(model, events, events.resumed_after),
            inbox=inbox,
            captures=captures,
            audit=PostgresAudit(session, events=events, inbox=inbox, captures=captures, load=events.load),
            restoring=PostgresRestoring(session, appending),
            pruning=pruning,
            close=session.close,
        )
        self.path = session.name
        self.at_once = session.at_once
        self._session = session

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return what a question is answered by the log's connection, which may be asked once more.

        Raises:
            LogError: It cannot be answered; it is said in the words of the log.
        """
        return self._session.ask(question)

    @property
    def connection(self) -> Connection:
        """Its connection, in which nothing is under way between two calls; made anew where it was lost."""
        return self._session.connection

    def unwritable_reason(self) -> str | None:
        """Return why the log could not be written, and what to do, without writing; null if it could be."""
        return self._session.unwritable_reason()

    def __repr__(self) -> str:
        """Name the log, without any password."""
        return f"<PostgresLog {self.path}>"

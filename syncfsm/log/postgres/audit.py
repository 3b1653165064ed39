"""What verification and export ask of a log in a PostgreSQL database. See `Auditable`.

The bytes of its files are the server's to look after: what it found wrong with them, it says when it is asked
for a row (`CorruptLog`). Here is looked at what the tables say, and whether they are built as we build them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from syncfsm.core.process import Process
from syncfsm.errors import LogError
from syncfsm.log.columns import stored_event
from syncfsm.log.model_doubt import JUDGED, model_doubt
from syncfsm.log.postgres.captures import PostgresCaptures
from syncfsm.log.postgres.events import PostgresEvents
from syncfsm.log.postgres.inbox import WAITING_COUNT, PostgresInbox
from syncfsm.log.postgres.pruning import sql
from syncfsm.log.postgres.session import Session
from syncfsm.log.postgres.shapes import differences
from syncfsm.log.protocol import Scanned, Tally
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning.rows import SELECT as SELECT_PRUNINGS
from syncfsm.log.pruning.rows import from_row as pruning_from_row
from syncfsm.log.sides import DOUBTED, doubt

_OF_PROCESS = f"SELECT {JUDGED} FROM {{s}}.processes WHERE id = %s"  # noqa: S608

_TALLY = """
    SELECT sum(events)::bigint, max(position),
        (SELECT last.digest FROM {s}.tally AS last ORDER BY last.position DESC LIMIT 1)
    FROM {s}.tally
"""


class PostgresAudit:
    """An `Auditable`: it is asked whether the log is sound, and writes nothing.

    Args:
        session: Of the log.
        events: Of the log.
        inbox: Likewise; its rows are looked at.
        captures: Likewise.
        load: Returns the state of a process by the read model; see `EventStore.load`.
    """

    has_gaps = True

    def __init__(
        self,
        session: Session,
        *,
        events: PostgresEvents,
        inbox: PostgresInbox,
        captures: PostgresCaptures,
        load: Callable[[str], Process],
    ) -> None:
        self._session = session
        self._events = events
        self._inbox = inbox
        self._captures = captures
        self._load = load

    def notices_waiting(self) -> int | None:
        """See `Auditable.notices_waiting`."""
        (count,) = self._session.one(WAITING_COUNT)
        return int(count)

    def projection(self) -> dict[str, int]:
        """See `Auditable.projection`."""
        return dict(self._session.all("SELECT id, version FROM {s}.processes"))

    def reading(self) -> AbstractContextManager[None]:
        """See `Auditable.reading`."""
        return self._session.snapshot()

    def scan(self) -> Iterator[Scanned]:
        """See `Auditable.scan`."""
        for row in self._events.all_rows():
            yield Scanned(position=row[0], row=stored_event(row))

    def prunings(self) -> list[StoredPruning]:
        """See `Auditable.prunings`."""
        return list(map(pruning_from_row, self._session.all(sql(SELECT_PRUNINGS))))

    def position_given(self) -> int | None:
        """See `Auditable.position_given`: the last that was given to an event that is, or was, in the log."""
        tally = self.tally()
        return tally.position if tally else None

    def tally(self) -> Tally | None:
        """See `Auditable.tally`."""
        events, position, digest = self._session.one(_TALLY)
        if events is None:
            return None
        return Tally(events=events, position=position, digest=digest)

    def doubts(self) -> list[str]:
        """See `Auditable.doubts`."""
        return [*differences(self._session), *self._inbox.doubts(), *self._captures.doubts()]

    def side_doubts(self) -> list[str]:
        """See `Auditable.side_doubts`."""
        return list(map(doubt, self._session.all(DOUBTED.replace("{s}", "{s}."))))

    def damages(self) -> list[str]:
        """See `Auditable.damages`."""
        try:
            self._session.one("SELECT 1")
        except LogError as error:
            return [str(error)]
        return []

    def model_doubt(self, process: Process, *, position: int, fetching_position: int | None) -> str | None:
        """See `Auditable.model_doubt`."""
        found = self._session.one(_OF_PROCESS, (process.id,))
        return model_doubt(
            found, process, position=position, fetching_position=fetching_position, load=self._load
        )

"""What a PostgreSQL log forgets: the table `prunings`. See `Prunable`.

The room that events leave is the server's to use again: autovacuum sees to it, and nothing is to be done
here. Nobody waits for a pruning but another one: they have numbers, and take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from syncfsm.core.pruning import Pruning
from syncfsm.log.postgres.session import Session
from syncfsm.log.protocol.prunable import Place
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning import rows
from syncfsm.log.pruning.questions import Questions
from syncfsm.postgres.connection import Connection

_IN_TURN = (
    "SELECT set_config('lock_timeout', %s, true), pg_advisory_xact_lock({prunings}::regclass::oid::bigint)"
)

_COUNTED = "UPDATE {s}.tally SET events = events + %s WHERE shard = 0"

_GIVEN = "SELECT setval('{s}.events_position_seq', (SELECT max(position) FROM {s}.events))"


def sql(template: str) -> str:
    """Return a statement of `pruning/rows.py` as this database takes it."""
    return template.replace("{s}", "{s}.").replace("{v}", "%s")


class PostgresPruning(Questions):
    """A `Prunable`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, sql, has="strpos(data, {v}) > 0")
        self._session = session

    def prune(
        self, versions: dict[str, int], summed_up: Callable[[int, Sequence[Place]], Pruning]
    ) -> Pruning | None:
        """See `Prunable.prune`."""
        text = self._session.text
        with self._session.translated(), self._session.connection.transaction() as transaction:
            connection = transaction.connection
            connection.execute(text(_IN_TURN), (self._session.lock_timeout,))
            with connection.cursor() as cursor:
                cursor.executemany(text(sql(rows.AT_WORK)), [(id_,) for id_ in versions])
            if dict(connection.execute(text(sql(rows.MOVED)), ()).fetchall()) != versions:
                connection.execute(text(sql(rows.DELETED[-1])), ())
                return None
            number, previous = connection.execute(text(sql(rows.LAST)), ()).fetchone() or (0, "")
            places = [Place(*row) for row in connection.execute(text(sql(rows.PLACES)), ())]
            pruning = summed_up(number + 1, places)
            connection.execute(text(sql(rows.INSERT)), rows.to_row(pruning, previous))
            for statement in rows.DELETED:
                connection.execute(text(sql(statement)), ())
        return pruning

    def give_back(self, *, may_rebuild: bool) -> None:
        """See `Prunable.give_back`: the server does it."""


def write_prunings(connection: Connection, session: Session, prunings: Sequence[StoredPruning]) -> None:
    """Write prunings as another log has them, and count their events, within the transaction of an import."""
    with connection.cursor() as cursor:
        cursor.executemany(session.text(sql(rows.INSERT)), rows.to_rows(prunings))
    events = sum(pruning.deeds.events for pruning, _ in prunings)
    connection.execute(session.text(_COUNTED), (events,))
    connection.execute(session.script(_GIVEN))

"""What a PostgreSQL log forgets: the table `prunings`. See `Prunable`.

The room that events leave is the server's to use again: autovacuum sees to it, and nothing is to be done
here. Nobody waits for a pruning but another one: they have numbers, and take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from syncfsm.core.pruning import Pruning, Reach
from syncfsm.core.times import format_time, parse_time
from syncfsm.log.postgres.session import Session
from syncfsm.log.protocol.prunable import Candidate, Links, Place
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning import rows
from syncfsm.postgres.connection import Connection

_IN_TURN = (
    "SELECT set_config('lock_timeout', %s, true), pg_advisory_xact_lock({prunings}::regclass::oid::bigint)"
)

_OF_PROCESS = f"SELECT {rows.COLUMNS} FROM {{s}}.prunings WHERE strpos(data, %s) > 0 ORDER BY number"  # noqa: S608

_COUNTED = "UPDATE {s}.tally SET events = events + %s WHERE shard = 0"

_GIVEN = "SELECT setval('{s}.events_position_seq', (SELECT max(position) FROM {s}.events))"


def sql(template: str) -> str:
    """Return a statement of `pruning/rows.py` as this database takes it."""
    return template.replace("{s}", "{s}.").replace("{v}", "%s")


class PostgresPruning:
    """A `Prunable`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def pruning_of(self, process_id: str) -> Pruning | None:
        """See `Prunable.pruning_of`."""
        found = (rows.from_row(row).pruning for row in self._session.all(_OF_PROCESS, (f'"{process_id}"',)))
        return next((pruning for pruning in found if pruning.gone(process_id)), None)

    def pruned_at(self) -> datetime | None:
        """See `Prunable.pruned_at`."""
        (at,) = self._session.one(sql(rows.LAST_AT))
        return parse_time(at) if at else None

    def pruned_until(self, source: str, object_: str, sink: str) -> Reach:
        """See `Prunable.pruned_until`."""
        end, wrote = self._session.one(sql(rows.REACH), (source, object_, sink))
        return Reach(end_position=end, wrote_position=wrote)

    def prunable(self, before: datetime) -> list[Candidate]:
        """See `Prunable.prunable`."""
        return list(map(rows.candidate, self._session.all(sql(rows.CANDIDATES), (format_time(before),))))

    def links(self) -> Links:
        """See `Prunable.links`."""
        having = (
            self._session.all(sql(rows.HAVING), (type_,)) for type_ in ("RecordRejected", "PageDelivered")
        )
        return rows.links(self._session.all(sql(rows.PARENTS), (rows.CHILD,)), *having)

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
    previous = ""
    for pruning, _ in prunings:
        row = rows.to_row(pruning, previous)
        previous = row[-1]
        connection.execute(session.text(sql(rows.INSERT)), row)
    events = sum(pruning.deeds.events for pruning, _ in prunings)
    connection.execute(session.text(_COUNTED), (events,))
    connection.execute(session.script(_GIVEN))

"""The tables `events` and `processes` of a PostgreSQL log, read; what writes them is in `appending.py`.

Streams are read in parts, each by a query of its own that goes on where the last one ended, so that nothing
is held open where a reader stops in the middle, and memory has a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.process import Process, fold
from syncfsm.core.pruning import Pruning
from syncfsm.core.times import format_time
from syncfsm.log.codec import from_columns, from_row, from_snapshot
from syncfsm.log.columns import COLUMNS, stored_event
from syncfsm.log.postgres.appending import Appending
from syncfsm.log.postgres.digests import Digests
from syncfsm.log.postgres.horizon import Horizon
from syncfsm.log.postgres.parts import PART, in_parts
from syncfsm.log.postgres.session import Session
from syncfsm.log.protocol import StoredEvent
from syncfsm.log.refusals import not_found
from syncfsm.log.selection import ids_asked

_NUMBER_MAX = 2**63 - 1
"""The largest number that PostgreSQL knows."""

_PART = f"""
    SELECT {COLUMNS} FROM {{s}}.events WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
"""  # noqa: S608 - the columns are ours, here and below

_OF_STREAM = f"""
    SELECT {COLUMNS} FROM {{s}}.events WHERE stream = %s AND version > %s AND version <= %s
    ORDER BY version LIMIT %s
"""  # noqa: S608

_AFTER_OF_STREAM = f"""
    SELECT {COLUMNS} FROM {{s}}.events
    WHERE position > %s AND position <= %s AND stream = %s ORDER BY position LIMIT %s
"""  # noqa: S608

_LAST = f"SELECT {COLUMNS} FROM {{s}}.events WHERE position <= %s ORDER BY position DESC LIMIT %s"  # noqa: S608

_LAST_OF_STREAM = f"""
    SELECT {COLUMNS} FROM {{s}}.events WHERE position <= %s AND stream = %s ORDER BY version DESC LIMIT %s
"""  # noqa: S608

_LAST_BEFORE = (
    "SELECT position FROM {s}.events WHERE at < %s AND position <= %s ORDER BY position DESC LIMIT 1"
)

_LOADED = """
    SELECT p.snapshot, p.snapshot_schema, p.version, e.digest
    FROM {s}.processes AS p JOIN {s}.events AS e ON e.stream = p.id AND e.version = p.version WHERE p.id = %s
"""

_LOADED_MANY = _LOADED.replace("SELECT ", "SELECT p.id, ").replace("p.id = %s", "p.id = ANY (%s)")

_VERSION = "SELECT coalesce(max(version), 0) FROM {s}.events WHERE stream = %s"


class PostgresEvents:
    """An `EventStore`.

    Args:
        session: Of the log.
        digests: Told which event of a process was read last.
        appending: Writes.
        pruning_of: Asked about a process that is not there; see `Prunable.pruning_of`.
    """

    def __init__(
        self,
        session: Session,
        digests: Digests,
        appending: Appending,
        pruning_of: Callable[[str], Pruning | None],
    ) -> None:
        self._pruning_of = pruning_of
        self._session = session
        self._digests = digests
        self._appending = appending
        self._horizon = Horizon(session)
        self._last = (0, 0)

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
        self._appending.append(
            events, expected_version=expected_version, after=after, exchanges=exchanges, notices=notices
        )

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """See `EventStore.read`."""
        for row in self._stream(process_id, after, _NUMBER_MAX if until is None else min(until, _NUMBER_MAX)):
            yield from from_columns(process_id, [(row[0], *row[2:])])

    def stored_events(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """See `EventStore.stored_events`."""
        rows = self.all_rows() if process_id is None else self._stream(process_id, 0, _NUMBER_MAX)
        return map(stored_event, rows)

    def all_rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield all rows by position: within a snapshot all that it has, else those up to the horizon.

        Else a part that is read later could have what an earlier one had not yet, and a version would seem to
        be missing.
        """
        last = _NUMBER_MAX if self._session.is_in_transaction else self._horizon.now()
        return in_parts(lambda position: self._session.all(_PART, (position, last, PART)), column=0)

    def _stream(self, process_id: str, after: int, until: int) -> Iterator[tuple[Any, ...]]:
        return in_parts(
            lambda version: self._session.all(_OF_STREAM, (process_id, version, until, PART)),
            column=2,
            after=after,
        )

    def last_position(self, *, before: datetime | None = None) -> int:
        """See `EventStore.last_position`: the last up to the horizon."""
        horizon = self._horizon.now()
        if before is not None:
            found = self._session.one(_LAST_BEFORE, (format_time(before), horizon))
            return found[0] if found else 0
        if self._last[0] != horizon:  # what lies up to the horizon never changes
            found = self._session.one(_LAST, (horizon, 1))
            self._last = (horizon, found[0] if found else 0)
        return self._last[1]

    def events_after(
        self, position: int, *, process_id: str | None = None, count_max: int = 500
    ) -> list[Recorded]:
        """See `EventStore.events_after`: up to the horizon."""
        horizon = self._horizon.now()
        if horizon <= position:
            return []
        if process_id is None:
            return self._recorded(_PART, (position, horizon, count_max))
        return self._recorded(_AFTER_OF_STREAM, (position, horizon, process_id, count_max))

    def last_events(self, count: int, *, process_id: str | None = None) -> list[Recorded]:
        """See `EventStore.last_events`: up to the horizon."""
        horizon = self._horizon.now()
        if process_id is None:
            return self._recorded(_LAST, (horizon, count))[::-1]
        return self._recorded(_LAST_OF_STREAM, (horizon, process_id, count))[::-1]

    def load(self, process_id: str) -> Process:
        """See `EventStore.load`: one query where the snapshot is that of the last event."""
        found = self._session.one(_LOADED, (process_id,))
        snapshot = from_snapshot(*found[:2]) if found else None
        if snapshot is not None and snapshot.version == found[2]:
            self._digests.know(process_id, found[2], found[3])
            return snapshot
        process = fold(snapshot, self._told(process_id, snapshot.version if snapshot else 0))
        if process is None:
            raise not_found(process_id, self._session.name, self._pruning_of(process_id))
        return process

    def loaded(self, process_ids: Sequence[str]) -> Iterator[Process]:
        """See `EventStore.loaded`: one query for so many of them."""
        for first in range(0, len(process_ids), PART):
            part = list(process_ids[first : first + PART])
            found = {id_: rest for id_, *rest in self._session.all(_LOADED_MANY, (part,))}
            for process_id in part:
                snapshot = from_snapshot(*found[process_id][:2]) if process_id in found else None
                is_last = snapshot is not None and snapshot.version == found[process_id][2]
                yield snapshot if snapshot is not None and is_last else self.load(process_id)

    def _told(self, process_id: str, after: int) -> Iterator[Recorded]:
        """Yield the events of a process, and keep in mind which was the last."""
        for recorded in self.read(process_id, after=after):
            self._digests.know(process_id, recorded.version, recorded.digest or "")
            yield recorded

    def version(self, process_id: str) -> int:
        """See `EventStore.version`."""
        (version,) = self._session.one(_VERSION, (process_id,))
        return int(version)

    def resumed_after(self, position: int) -> list[str]:
        """Return the processes that were resumed behind a position. See `Routes.moved_since`."""
        sql = "SELECT DISTINCT stream FROM {s}.events WHERE position > %s AND type = 'SyncResumed'"
        return [stream for (stream,) in self._session.all(sql, (position,))]

    def ids(self, *, begin_with: str = "", last: int | None = None) -> list[str]:
        """See `EventStore.ids`."""
        sql, values = ids_asked("%s", begin_with, last)
        return [id_ for (id_,) in self._session.all(sql.replace("{s}", "{s}."), tuple(values))][::-1]

    def _recorded(self, template: str, values: tuple[Any, ...]) -> list[Recorded]:
        return [from_row(stored_event(columns)) for columns in self._session.all(template, values)]

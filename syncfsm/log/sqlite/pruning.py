"""What a SQLite log forgets: the table `prunings`, and the room that is given back. See `Prunable`.

A file gives room back only where it was told to before its first table (`auto_vacuum`); an older one has to
be rebuilt for that, once, by a VACUUM on the connection that has told it. Of SQLite's ways to run
`incremental_vacuum`, only `executescript` steps it to its end: `execute` frees one page, and says nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from syncfsm.core.pruning import Pruning, Reach
from syncfsm.core.times import format_time, parse_time
from syncfsm.log.protocol.prunable import Candidate, Links, Place
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning import rows
from syncfsm.log.sqlite.file import LogFile

PAGES = 256
"""How many pages are given back at a time, 2 MB: so long nobody can write, some milliseconds."""

INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` says of a file that gives room back when it is asked to."""


def sql(template: str) -> str:
    """Return a statement of `pruning/rows.py` as this database takes it."""
    return template.replace("{s}", "").replace("{v}", "?")


class SqlitePruning:
    """A `Prunable`."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def pruning_of(self, process_id: str) -> Pruning | None:
        """See `Prunable.pruning_of`."""
        asked = f"SELECT {rows.COLUMNS} FROM prunings WHERE instr(data, ?) > 0 ORDER BY number"  # noqa: S608
        found = (rows.from_row(row).pruning for row in self._file.all(asked, (f'"{process_id}"',)))
        return next((pruning for pruning in found if pruning.gone(process_id)), None)

    def pruned_at(self) -> datetime | None:
        """See `Prunable.pruned_at`."""
        (at,) = self._file.one(sql(rows.LAST_AT))
        return parse_time(at) if at else None

    def pruned_until(self, source: str, object_: str, sink: str) -> Reach:
        """See `Prunable.pruned_until`."""
        end, wrote = self._file.one(sql(rows.REACH), (source, object_, sink))
        return Reach(end_position=end, wrote_position=wrote)

    def prunable(self, before: datetime) -> list[Candidate]:
        """See `Prunable.prunable`."""
        return list(map(rows.candidate, self._file.all(sql(rows.CANDIDATES), (format_time(before),))))

    def links(self) -> Links:
        """See `Prunable.links`."""
        having = (self._file.all(sql(rows.HAVING), (type_,)) for type_ in ("RecordRejected", "PageDelivered"))
        return rows.links(self._file.all(sql(rows.PARENTS), (rows.CHILD,)), *having)

    def prune(
        self, versions: dict[str, int], summed_up: Callable[[int, Sequence[Place]], Pruning]
    ) -> Pruning | None:
        """See `Prunable.prune`."""
        self._file.check_in_place()
        connection = self._file.connection
        with self._file.translated(), self._file.atomic():
            connection.executemany(sql(rows.AT_WORK), [(id_,) for id_ in versions])
            if dict(connection.execute(sql(rows.MOVED)).fetchall()) != versions:
                connection.execute(sql(rows.DELETED[-1]))
                return None
            number, previous = connection.execute(sql(rows.LAST)).fetchone() or (0, "")
            places = [Place(*row) for row in connection.execute(sql(rows.PLACES))]
            pruning = summed_up(number + 1, places)
            connection.execute(sql(rows.INSERT), rows.to_row(pruning, previous))
            for statement in rows.DELETED:
                connection.execute(sql(statement))
        return pruning

    def give_back(self, *, may_rebuild: bool) -> Callable[[], bool] | None:
        """See `Prunable.give_back`."""
        with self._file.translated():
            if self._pragma("auto_vacuum") != INCREMENTAL:
                if not may_rebuild or not self._pragma("freelist_count"):
                    return None
                self._file.connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._file.connection.execute("VACUUM")
        return self._give_back

    def _give_back(self) -> bool:
        free = self._pragma("freelist_count")
        if not free:
            return True
        with self._file.translated():
            self._file.connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")
            self._file.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # who reads is not waited for
        return bool(self._pragma("freelist_count") in {0, free})

    def _pragma(self, name: str) -> Any:
        return self._file.one(f"PRAGMA {name}")[0]


def insert(connection: sqlite3.Connection, prunings: Sequence[StoredPruning]) -> None:
    """Write prunings as another log has them, and count their events, within the transaction of an import."""
    previous = ""
    for pruning, _ in prunings:
        row = rows.to_row(pruning, previous)
        previous = row[-1]
        connection.execute(sql(rows.INSERT), row)
    events = sum(pruning.deeds.events for pruning, _ in prunings)
    connection.execute("UPDATE tally SET events = events + ?", (events,))

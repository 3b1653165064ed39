"""What a SQLite log forgets: the table `prunings`, and the room that is given back. See `Prunable`.

A file gives room back only where it was told to before its first table (`auto_vacuum`); an older one has to
be rebuilt for that, once, by a VACUUM on the connection that has told it. Of SQLite's ways to run
`incremental_vacuum`, only `executescript` steps it to its end: `execute` frees one page, and says nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from syncfsm.core.pruning import Pruning
from syncfsm.log.protocol.prunable import Place
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning import rows
from syncfsm.log.pruning.questions import Questions
from syncfsm.log.sqlite.file import LogFile

PAGES = 256
"""How many pages are given back at a time, 2 MB: so long nobody can write, some milliseconds."""

INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` says of a file that gives room back when it is asked to."""


def sql(template: str) -> str:
    """Return a statement of `pruning/rows.py` as this database takes it."""
    return template.replace("{s}", "").replace("{v}", "?")


class SqlitePruning(Questions):
    """A `Prunable`."""

    def __init__(self, file: LogFile) -> None:
        super().__init__(file, sql, has="instr(data, {v}) > 0")
        self._file = file

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
    connection.executemany(sql(rows.INSERT), rows.to_rows(prunings))
    events = sum(pruning.deeds.events for pruning, _ in prunings)
    connection.execute("UPDATE tally SET events = events + ?", (events,))

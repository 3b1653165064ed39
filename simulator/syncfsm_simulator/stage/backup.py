"""Copies of a sink, made and put back by somebody who knows nothing of syncs."""

from __future__ import annotations

import sqlite3

from syncfsm.core.failure import FailureKind
from syncfsm.core.process import Process
from syncfsm.engine.commit import cancel
from syncfsm.files.paths import MEMORY
from syncfsm.log import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.sinks.sqlite import SqliteSink


class Backup:
    """The last copy of a sink: of the SQLite sink in memory; of any other there is none.

    Args:
        sink: The sink.
    """

    def __init__(self, sink: object) -> None:
        self._sink = sink if isinstance(sink, SqliteSink) and sink.path == MEMORY else None
        self._copy: sqlite3.Connection | None = None

    def make(self) -> None:
        """Make a copy of the sink as it is."""
        if self._sink is not None:
            self._copy = sqlite3.connect(MEMORY)
            self._sink.connection().backup(self._copy)

    def put_back(self) -> bool:
        """Put back the last copy, if there is one; return whether there was."""
        if self._sink is None or self._copy is None:
            return False
        self._copy.backup(self._sink.connection())
        return True

    async def lose(self) -> bool:
        """Lose the sink and all that it has; return whether that can be."""
        if self._sink is None:
            return False
        await self._sink.aclose()
        return True


def is_emptied(left: Process) -> bool:
    """Whether a sync failed since nothing is left in the sink."""
    return left.failure is not None and left.failure.reason == FailureKind.EMPTIED


def has_lost_sink(left: Process) -> bool:
    """Whether a process failed since what it builds on is not in the sink: a sync has to bring it again."""
    return is_emptied(left) or (left.failure is not None and left.failure.reason == FailureKind.PUT_BACK)


def give_way(log: EventLog, active: Process | None, sink_name: str, clock: Clock) -> None:
    """Cancel a sync into another sink than the one that is there: somebody reads that it is in the way."""
    if active is not None and active.sink != sink_name:
        cancel(log, active.id, by="simulation", why="another sink is in the place of its own", clock=clock)

"""Copies of a sink, made and put back by somebody who knows nothing of syncs."""

from __future__ import annotations

import sqlite3

from syncfsm.core.failure import FailureKind
from syncfsm.core.process import Process
from syncfsm.files.paths import MEMORY
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


def has_lost_sink(left: Process | None, active: Process | None) -> bool:
    """Whether a sync failed since nothing is left in the sink: somebody reads that, and starts anew."""
    failure = left.failure if left else None
    return active is None and failure is not None and failure.reason == FailureKind.EMPTIED

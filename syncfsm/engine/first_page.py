"""The first page of an ongoing sync, asked for with its checks.

Most often it is empty, and the sync is over. Else it is kept for the next action, whose answer it is, be it a
page or a failure: nobody is asked twice, nor before the time that a failure names.
"""

from __future__ import annotations

from syncfsm.core import decide as d
from syncfsm.core.failure import Failure
from syncfsm.core.process import Process


class FirstPage:
    """What came for the first page of a process, until that is due."""

    def __init__(self) -> None:
        self._came: d.Fetched | Failure | None = None
        self._at: tuple[str, int] | None = None

    def keep(self, process: Process, came: d.Fetched | Failure | None) -> None:
        """Keep what came for a process, as it is now: once anybody has moved it on, this is out of date."""
        self._came, self._at = came, (process.id, process.version)

    def take(self, process: Process) -> d.Fetched | Failure | None:
        """Return what came, once; null if nothing is kept, or it is not for the process as it is now."""
        came, self._came = self._came, None
        return came if self._at == (process.id, process.version) else None

    def drop(self) -> None:
        """Let go of it."""
        self._came = None

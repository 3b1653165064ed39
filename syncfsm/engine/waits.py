"""Waiting for a retry: never longer than was decided, and never shorter while one engine sees to it.

A wait is decided in seconds. The engine that decided it, or found it in the log, measures it by a steady
clock from then on, so that a clock that is set back or ahead changes nothing. Only what passed while no
engine was there is judged by the time of day, and that can make a wait shorter, not longer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from syncfsm.core.backoff import left_s
from syncfsm.core.process import Process
from syncfsm.outside.clock import Clock, SteadyClock


class Waits:
    """Knows how long the process at hand still has to wait.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._awaited: tuple[str, datetime] | None = None
        self._due_at = datetime.min.replace(tzinfo=UTC)

    def left_s(self, process: Process) -> float:
        """Return how long it is until the process's next action is due; 0 or less if it is."""
        if process.retry is None or process.waits_since is None:
            return 0.0
        retry_at = process.retry.retry_at
        if self._awaited != (process.id, retry_at):
            self._awaited = (process.id, retry_at)
            left = left_s(retry_at, process.waits_since, self._clock.now())
            self._due_at = self._steady.now() + timedelta(seconds=left)
        return (self._due_at - self._steady.now()).total_seconds()

    def begin(self, process: Process) -> None:
        """Let a wait begin that was decided just now, if one was."""
        self.left_s(process)

    async def sleep(self, process: Process) -> None:
        """Sleep until the process's next action is due."""
        await self._steady.sleep(max(0.0, self.left_s(process)))

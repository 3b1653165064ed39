"""When the syncs of one program are due, by a clock that only goes on, and whose turn it is.

The log says when, by the time of day; a machine's time of day is set back and ahead. What was worked out
once is therefore measured from then on, and a clock that is set back puts nothing off.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from syncfsm.core.process import Process
from syncfsm.outside.clock import Clock, SteadyClock
from syncfsm.workers.standing import AT_ONCE, due_in_s

_Seen = tuple[str, int]
"""A process, by its id, at a version."""


class Agenda:
    """Knows of each sync, by its name, how long it is until there is something to do.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._due: dict[str, tuple[_Seen, datetime]] = {}
        self._put_off: dict[str, datetime] = {}
        self._turns: dict[str, int] = {}
        self._turn = 0

    def left_s(self, name: str, process: Process | None, *, every_s: float) -> float:
        """Return the seconds until a sync is due, whose last process this is; 0 or less if it is."""
        put_off_s = self._until(self._put_off.get(name, AT_ONCE))
        if process is None:
            return put_off_s
        by_day_s = due_in_s(process, every_s=every_s, now=self._clock.now())
        seen = process.id, process.version
        if self._due.get(name, (None,))[0] != seen:
            self._due[name] = seen, self._in(by_day_s)
        steady_s = self._until(self._due[name][1])
        # A machine that slept, or whose clock was set ahead, is late; who told to wait is not asked before.
        return max(put_off_s, steady_s if process.is_active else min(steady_s, by_day_s))

    def put_off(self, name: str, seconds: float) -> None:
        """Let nothing be due of a sync for so long."""
        self._put_off[name] = self._in(seconds)

    def begin_turn(self, name: str) -> None:
        """Remember that a sync has its turn now."""
        self._turn += 1
        self._turns[name] = self._turn

    def first_of(self, names: Iterable[str]) -> str:
        """Return the one whose last turn is longest ago."""
        return min(names, key=lambda name: self._turns.get(name, 0))

    def now(self) -> datetime:
        """Return the moment up to which its clock has gone on."""
        return self._steady.now()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await self._steady.sleep(max(0.0, seconds))

    def _in(self, seconds: float) -> datetime:
        return self._steady.now() + timedelta(seconds=seconds)

    def _until(self, moment: datetime) -> float:
        return (moment - self._steady.now()).total_seconds()

"""The engine's other ports: its log and its clock; and the world, before each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from syncfsm.core.capture import Exchange, Forgotten
from syncfsm.core.events import Recorded
from syncfsm.core.notices import Notice
from syncfsm.core.process import Process
from syncfsm.log import EventLog
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.effects.logs import APPEND, CLEAR, RECEIVE
from syncfsm_simulator.stage.effects.moves import WORLD, Move
from syncfsm_simulator.stage.effects.sleeps import SLEEP, Sleeping
from syncfsm_simulator.stage.faults import Faults
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.world.clock import VirtualClock


def move_world(changes: Changes, faults: Faults) -> None:
    """Move the world as the seed says, before a request."""
    visit = faults.visit(WORLD)
    for strike, fault in zip(visit.strikes, visit.faults, strict=True):
        fault.does(Move(changes, strike.times, visit.rng))


class FaultyLog:
    """An event log whose disk may be full or locked, and whose writer may die around a write.

    It tells of every event that got in, also of one whose writer died right after.
    """

    def __init__(self, inner: EventLog, faults: Faults, on_recorded: Callable[[Recorded], None]) -> None:
        self._inner = inner
        self._faults = faults
        self._on_recorded = on_recorded

    def __getattr__(self, name: str) -> object:
        """Leave what only reads to the real log."""
        return getattr(self._inner, name)

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
        notices: Sequence[int] = (),
    ) -> None:
        """Append, unless something goes wrong."""

        def write() -> None:
            self._inner.append(
                events, expected_version=expected_version, after=after, exchanges=exchanges, notices=notices
            )
            for recorded in events:
                self._on_recorded(recorded)

        self._faults.visit(APPEND).perform(write)

    def receive(self, notice: Notice) -> bool:
        """Put a notice into the inbox, unless something goes wrong."""
        return self._faults.visit(RECEIVE).perform(partial(self._inner.receive, notice))

    def clear_inbox(self, before: datetime) -> int:
        """Delete the notices that are done with, unless something goes wrong."""
        return int(self._faults.visit(CLEAR).perform(partial(self._inner.clear_inbox, before)))

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """Delete captures, unless something goes wrong."""
        forget = partial(self._inner.forget, before=before, process_id=process_id)
        return cast("Forgotten", self._faults.visit(CLEAR).perform(forget))


class FaultyClock:
    """The engine's own clock: it may be wrong, and the engine may die while it sleeps.

    Attributes:
        ahead: How far it is ahead of true time.
        jumps: How often it was set.
        slept: How long it was asked to sleep since the last request, each time, seconds.
    """

    def __init__(self, true: VirtualClock, faults: Faults) -> None:
        self.ahead = timedelta(0)
        self.jumps = 0
        self.slept: list[float] = []
        self._true = true
        self._faults = faults

    def now(self) -> datetime:
        """Return what the clock shows."""
        return self._true.now() + self.ahead

    def monotonic(self) -> float:
        """Return the seconds of the machine's timers, which do not jump with its clock."""
        return self._true.monotonic()

    def asked(self, engine: int, not_before: datetime | None) -> Asked:
        """Return what is to be known of a request that an engine makes now; what was slept is told once."""
        slept, self.slept = tuple(self.slept), []
        return Asked(
            at=self.now(),
            true_at=self._true.now(),
            engine=engine,
            jumps=self.jumps,
            slept=slept,
            not_before=not_before,
        )

    async def sleep(self, seconds: float) -> None:
        """Sleep; the machine's timers do not jump with its clock."""
        self.slept.append(seconds)
        visit = self._faults.visit(SLEEP)
        await visit.perform(Sleeping(seconds=seconds, rng=visit.rng, sleep=self._true.sleep))

    def jump(self, by_s: float) -> None:
        """Set the clock ahead, or back."""
        self.jumps += 1
        self.ahead += timedelta(seconds=by_s)

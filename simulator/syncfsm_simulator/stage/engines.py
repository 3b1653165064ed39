"""What every stage does: it starts engines, one after the other, until a sync is over, and tells of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from datetime import datetime

from syncfsm.core.events import Recorded
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.errors import LogError, VersionConflict
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.effects.logs import SimulatedUnwritable
from syncfsm_simulator.stage.faults import Strike
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.stage.port import Crash
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.clock import VirtualClock
from syncfsm_simulator.world.world import World

PAUSE_S = 60.0
"""How long somebody takes to start a failed sync again."""

RESTART_S = 0.5
"""How long it takes to start an engine in the place of one that died."""

STARTS_MAX = 10_000
"""Engines that one run may use up; more than that, and something never ends."""


class Engines(ABC):
    """Engines on a stage, of which each may die or fail, and another takes over.

    Attributes:
        scenario: What is on the stage.
        clock: True time.
        timeline: Every request made and every event recorded, in true order.
        starts: How many engines it took.
        surprise: The error with which an engine failed in a way that nobody foresaw; it ends the run.
        world: The people and companies.
        calm_since: When faults ended, if the run lasted so long.
    """

    final = frozenset({State.COMPLETED})
    """States of a sync that an engine which died can have left, and that need no other."""

    world: World
    calm_since: datetime | None = None

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.timeline: list[Asked | Recorded] = []
        self.starts = 0
        self.surprise: Exception | None = None

    @property
    @abstractmethod
    def unnamed(self) -> set[str]:
        """The ids of people whose row came without its id."""

    @property
    def untold(self) -> set[tuple[str, str]]:
        """The ids of people whose row came without an attribute, each with that."""
        return set()

    @property
    @abstractmethod
    def refused(self) -> set[str]:
        """The ids of people whom the sink refused and did not take later."""

    @abstractmethod
    def touched(self) -> Changes:
        """Return whom the moving world has touched."""

    @abstractmethod
    def counts(self) -> Counter[str]:
        """Return how often what went wrong."""

    @abstractmethod
    def strikes(self) -> tuple[Strike, ...]:
        """Return everything that went wrong or moved, in order, as far as it can be played again so."""

    async def afterwards(self, process: Process) -> Process:
        """Let what is to follow a sync follow it; return the last process."""
        return process

    async def until_over(self) -> Process:
        """Start engines, one after the other, until a sync is complete or can't go on."""
        while True:
            self.starts += 1
            process = await self._one_engine()
            if process is not None and self._is_over(process):
                return process
            if self.starts > STARTS_MAX:
                raise RuntimeError(f"{STARTS_MAX} engines were started, and the sync is not over")
            await self.clock.sleep(PAUSE_S if process else RESTART_S)
            self._before_next()

    async def _one_engine(self) -> Process | None:
        """Return the state in which an engine left the sync, or `None` if another is to take over."""
        try:
            return await self._run()
        except (Crash, SimulatedUnwritable, VersionConflict):
            left = self._left()
            return left if left and left.state in self.final else None
        except LogError:
            raise  # of the real log: no fault of the engine's, and nothing that virtual time cures
        except Exception as error:
            self.surprise = error
            left = self._left()
            if left is None:
                raise
            return left

    @abstractmethod
    async def _run(self) -> Process:
        """Let one engine run, and return the state in which it leaves the sync."""

    @abstractmethod
    def _left(self) -> Process | None:
        """Return the sync as the log has it, or `None` if none began on this stage."""

    @abstractmethod
    def _is_over(self, process: Process) -> bool:
        """Whether nobody is to go on with a sync that an engine left so."""

    @abstractmethod
    def _before_next(self) -> None:
        """Do what is to be done before the next engine starts."""

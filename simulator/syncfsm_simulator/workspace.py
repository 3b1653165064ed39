"""A fake Attio for the tests of your own code: your sink and your transform, the simulator's bad days."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Self, TypeVar

from msgspec.structs import replace

from syncfsm.core.process import Process
from syncfsm.log import EventLog, open_log
from syncfsm.outside.clock import SystemClock
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Transform
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.scenario import Scenario, concrete
from syncfsm_simulator.stage.stage import Stage
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

T = TypeVar("T")


class Workspace:
    """A fake Attio workspace.

    `sync` runs the real engine against it in virtual time, with faults and moving rows, as often as it
    takes; `base_url` serves it over real HTTP, truthfully and without faults, to any client.

    Attributes:
        scenario: What there is and what goes wrong. Calm, with 100 people, until you say otherwise.
        log: The event log of its syncs, in memory.
        stage: The stage of the last sync: `stage.faults.counts()`, `stage.changes`, `stage.timeline`.
    """

    def __init__(self, scenario: Scenario | None = None) -> None:
        self.scenario = scenario or Scenario(people=100, faults=FaultRates(), changes=ChangeRates())
        self.log: EventLog = open_log(":memory:")
        self.stage: Stage[Any] | None = None
        self._worlds: dict[tuple[int, int, float], World] = {}
        self._open = ExitStack()
        self._open.enter_context(self.log)

    def __enter__(self) -> Self:
        """Return the workspace itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the log, and the server if there is one."""
        self._open.close()

    def configure(self, **settings: Any) -> Self:
        """Change the scenario: `people=500`, `seed=7`, `page_size=20`, any field of `Scenario`."""
        self.scenario = replace(self.scenario, **settings)
        return self

    def go_wrong(self, **rates: float) -> Self:
        """Say how often what goes wrong: `rate_limited=0.2`, `crash=0.1`, any group of `FaultRates`."""
        return self.configure(faults=replace(self.scenario.faults, **rates))

    def move(self, **rates: float) -> Self:
        """Say how the people move before each request: `deleted=3`, any field of `ChangeRates`."""
        return self.configure(changes=replace(self.scenario.changes, **rates))

    @property
    def world(self) -> World:
        """The people and companies: as the last sync left them, or as they are before the first."""
        return self.stage.world if self.stage else self._still_world

    @property
    def survivors(self) -> frozenset[str]:
        """The ids of the people who were there from the start of the last sync to its end."""
        return self.stage.changes.survivors if self.stage else frozenset(self.world.entities("people"))

    def sync(self, sink: Sink[T], transform: Callable[[AttioSource], Transform[T]] | None = None) -> Process:
        """Sync into a sink in virtual time, starting the engine again after each crash; return the end.

        Args:
            sink: Yours; faults of the group `sink` strike around it.
            transform: Makes your transform from the source; `AttioPeople`, for contacts, if `None`.
        """
        make: Callable[[AttioSource], Transform[Any]] = transform or AttioPeople
        stage: Stage[Any] = Stage(concrete(self.scenario, self.scenario.seed), self.log, sink, make)
        self.stage = stage
        return run_virtual(stage.until_over())

    @cached_property
    def base_url(self) -> str:
        """Where the fake answers over real HTTP, on a free port of this machine; any token is accepted."""
        from syncfsm_simulator.fakes.serve import served  # noqa: PLC0415 - a server is loaded when it is used

        return self._open.enter_context(served(FakeAttio(self._still_world, SystemClock())))

    @property
    def _still_world(self) -> World:
        """The world as it is before a sync, for as long as the scenario has the same people."""
        people = (self.scenario.seed, self.scenario.people, self.scenario.tied)
        if people not in self._worlds:
            self._worlds[people] = self._new_world()
        return self._worlds[people]

    def _new_world(self) -> World:
        return World(self.scenario.seed, people=self.scenario.people, tied=self.scenario.tied, now=EPOCH)


class VirtualTime:
    """Runs coroutines in virtual time.

    Attributes:
        clock: The clock to pass to an engine, a source or a sink that runs in it.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine from `EPOCH` on; waiting costs it no real time."""
        return run_virtual(main)

"""One seed, one run: the real engine, the real client and the real log, against the fake, in virtual time.

A run has two phases. *Safety*: faults on, and nothing wrong may ever happen. *Liveness*: faults off, and
everything must finish within a stated bound of virtual time. The engine dies and is started again as often
as the seed says; only the log and the sink survive it.
"""

from __future__ import annotations

import gc
import random
import time
from collections import Counter
from datetime import timedelta
from typing import cast

import httpx
import msgspec

from simulator.attio import FakeAttio
from simulator.changes import Changes
from simulator.clock import EPOCH, VirtualClock, run_virtual
from simulator.criteria import CRITERIA
from simulator.edges import FaultyClock, FaultyLog, FaultySink
from simulator.faults import Faults, Strike, Visit, no_faults
from simulator.invariants import Run, Violation, violations
from simulator.network import Asked, Crash, FaultyTransport
from simulator.scenario import Scenario, concrete
from simulator.world import World
from syncfsm.contact import Contact
from syncfsm.engine import Engine
from syncfsm.errors import LogUnwritable, NotActive, VersionConflict
from syncfsm.events import Options, Recorded
from syncfsm.lifecycle import Hook, cancel
from syncfsm.log import EventLog
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.sinks.protocol import Sink
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio import AttioSource
from syncfsm.sources.attio_people import AttioPeople

BASE_URL = "http://attio.simulated"
SOURCE = f"attio:{BASE_URL}"
KEY = "planted-key-that-must-not-show"
READS_PER_S = 90

PAUSE_S = 60.0
"""How long somebody takes to start a failed sync again."""

STARTS_MAX = 2_000
"""Engines that one run may use up; more than that, and something never ends."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to.

    Attributes:
        seed: The number that decided it.
        process: The last state of the sync.
        violations: The invariants that did not hold; empty if all did.
        people: How many there were at the start.
        changes: How many were created, updated and deleted meanwhile.
        faults: How often each fault struck.
        requests: How many requests the engines made.
        starts: How many engines it took: one, and one more for each crash or failure.
        virtual_s: How long the sync took in its own time, seconds.
        wall_s: How long the run took in ours.
        strikes: Everything that went wrong or moved, in order: the run as a script.
        events: How often each type of event was recorded.
        transitions: How often each transition was taken: event, state before, state after.
    """

    seed: int
    process: Process
    violations: list[Violation]
    people: int
    changes: dict[str, int]
    faults: dict[str, int]
    requests: int
    starts: int
    virtual_s: float
    wall_s: float
    strikes: tuple[Strike, ...]
    events: dict[str, int]
    transitions: dict[str, int]


def simulate(scenario: Scenario, seed: int, log: EventLog, *, hooks: list[Hook] | None = None) -> Verdict:
    """Run a scenario with a seed, writing the events to `log`, and check every invariant after it."""
    gc.disable()  # a world is a hundred thousand objects that all stay: nothing for the collector to find
    try:
        simulation = _Simulation(concrete(scenario, seed), log, hooks or [])
        gc.freeze()
    finally:
        gc.enable()
    try:
        return run_virtual(simulation.run())
    finally:
        gc.unfreeze()


class _Simulation:
    """The parts of one run, put together from the seed."""

    def __init__(self, scenario: Scenario, log: EventLog, hooks: list[Hook]) -> None:
        self.scenario = scenario
        self.log = log
        self.hooks = hooks
        self.began_at = time.perf_counter()
        self.clock = VirtualClock()
        self.world = World(scenario.seed, people=scenario.people, now=EPOCH)
        self.faults = Faults(scenario.seed, scenario.faults, scenario.changes, scenario.strikes)
        self.changes = Changes(
            self.world, self.faults, self.clock, peek=self._peek, page_size=scenario.page_size
        )
        self.engine_clock = FaultyClock(self.clock, self.faults)
        self.engine_rng = random.Random(f"{scenario.seed}:engine")
        self.contacts = SqliteSink(":memory:", clock=self.clock)
        self.sink = FaultySink(self.contacts, self.faults, self._another_step)
        self.network = httpx.ASGITransport(_fake(self.world, self.clock, scenario))
        self.transport = FaultyTransport(
            self.network,
            self.faults,
            self.clock,
            latency_ms=scenario.latency_ms,
            before_request=self._before_request,
            meanwhile={
                "rival_step": lambda _visit: self._another_step(),
                "cancelled": self._cancel,
                "clock_ahead": self.engine_clock.jump,
                "clock_back": self.engine_clock.jump,
            },
        )
        self.timeline: list[Asked | Recorded] = []
        self.calmed_at = EPOCH + timedelta(seconds=scenario.faulty_s)
        self.is_calm = False
        self.starts = 0

    # ── what happens beside the engine ───────────────────────────────────────────────────────

    def _before_request(self) -> None:
        self.timeline.append(Asked(at=self.engine_clock.now(), true_at=self.clock.now()))
        if not self.is_calm and self.clock.now() >= self.calmed_at:
            self.is_calm = True
            self.faults.calm()
        self.changes.before_request()

    def _peek(self) -> str | None:
        process = self.log.active(SOURCE, "people")
        return process.paging.peek if process else None

    async def _another_step(self) -> None:
        """Let another worker take a step of the active process, with nothing going wrong for it."""
        process = self.log.active(SOURCE, "people")
        if process is None:
            return
        transport = FaultyTransport(
            self.network,
            no_faults(),
            self.clock,
            latency_ms=self.scenario.latency_ms,
            before_request=self._before_request,
            meanwhile={},
        )
        engine = self._engine(transport, self.contacts, no_faults())
        try:
            await engine.step(process.id)
        except VersionConflict:
            return  # as it should be: one of the two goes on
        finally:
            await engine.source.aclose()

    async def _cancel(self, _visit: Visit) -> None:
        process = self.log.active(SOURCE, "people")
        if process is None:
            return
        try:
            cancel(self._recorded(no_faults()), process.id, by="simulation", clock=self.engine_clock)
        except NotActive:
            return

    # ── the engines ──────────────────────────────────────────────────────────────────────────

    async def run(self) -> Verdict:
        process = await self._until_over()
        ended_at = self.clock.now()
        run = Run(
            scenario=self.scenario,
            process=process,
            log=self.log,
            contacts=self.contacts.connection(),
            world=self.world,
            changes=self.changes,
            timeline=self.timeline,
            unnamed=self.transport.unnamed,
            refused=self.sink.refused,
            key=KEY,
            calmed_at=self.calmed_at if self.is_calm else None,
            ended_at=ended_at,
            clock_lost_s=self.engine_clock.jumped_back_s,
            chance=random.Random(f"{self.scenario.seed}:tampering"),
        )
        found = violations(run)
        if self.scenario.criteria:
            found += violations(run, CRITERIA)
        await self.contacts.aclose()
        return self._verdict(run, found)

    async def _until_over(self) -> Process:
        """Start engines, one after the other, until a sync is complete or can't go on."""
        while True:
            self.starts += 1
            process = await self._one_engine()
            if process is not None and (process.state is State.COMPLETED or self.starts > STARTS_MAX):
                return process
            if process is not None and process.state is State.FAILED:
                if not process.is_resumable:
                    return process
                await self.clock.sleep(PAUSE_S)

    async def _one_engine(self) -> Process | None:
        """Return the state in which an engine left the sync, or `None` if it never came to one."""
        engine = self._engine(self.transport, self.sink, self.faults)
        try:
            return await engine.sync(page_size=self.scenario.page_size, order=self.scenario.order)
        except (Crash, LogUnwritable, VersionConflict):
            latest = self.log.latest(SOURCE, "people", self.sink.name)
            return latest if latest and latest.state is State.COMPLETED else None
        finally:
            await engine.source.aclose()

    def _engine(
        self, transport: httpx.AsyncBaseTransport, sink: Sink[Contact], faults: Faults
    ) -> Engine[Contact]:
        source = AttioSource(
            KEY,
            base_url=BASE_URL,
            clock=self.engine_clock,
            transport=transport,
            reads_per_s=READS_PER_S,
            options=Options(confirm_end=self.scenario.confirm_end),
        )
        return Engine(
            self._recorded(faults),
            source,
            sink,
            AttioPeople(source),
            clock=self.engine_clock,
            rng=self.engine_rng,
            hooks=self.hooks,
        )

    def _recorded(self, faults: Faults) -> EventLog:
        """Return the log as an engine sees it; it hands on all but the append."""
        return cast("EventLog", FaultyLog(self.log, faults, self.timeline.append))

    def _verdict(self, run: Run, found: list[Violation]) -> Verdict:
        taken = [
            (moment.recorded.type, _state(moment.before), _state(moment.after)) for moment in run.steps()
        ]
        return Verdict(
            seed=self.scenario.seed,
            process=run.process,
            violations=found,
            people=self.scenario.people,
            changes=dict(self.changes.counts),
            faults=dict(sorted(self.faults.counts().items())),
            requests=sum(isinstance(entry, Asked) for entry in self.timeline),
            starts=self.starts,
            virtual_s=(run.ended_at - EPOCH).total_seconds(),
            wall_s=time.perf_counter() - self.began_at,
            strikes=tuple(self.faults.struck),
            events=dict(Counter(event for event, _, _ in taken)),
            transitions=dict(Counter(map(" ".join, taken))),
        )


def _state(process: Process | None) -> State:
    return process.state if process else State.NONE


def _fake(world: World, clock: VirtualClock, scenario: Scenario) -> FakeAttio:
    return FakeAttio(
        world,
        clock,
        reads_per_s=scenario.reads_per_s,
        limit_policy=scenario.limit_policy,
        limit_max=scenario.limit_max,
        honours_sorts=scenario.sorts == "honoured",
    )

"""One seed, one run: the real engine, the real client and the real log, against the fake, in virtual time.

A run has two phases. *Safety*: faults on, and nothing wrong may ever happen. *Liveness*: faults off, and
everything must finish within a stated bound of virtual time. The engine dies and is started again as often
as the seed says; only the log and the sink survive it.
"""

from __future__ import annotations

import gc
import random
import time
from datetime import datetime, timedelta
from typing import cast

import httpx
import msgspec

from simulator.attio import FakeAttio
from simulator.changes import Changes
from simulator.clock import EPOCH, VirtualClock, run_virtual
from simulator.faults import Crash, CrashingLog, Faults, FaultyTransport
from simulator.invariants import Run, Violation, violations
from simulator.scenario import Scenario
from simulator.world import World
from syncfsm.contact import Contact
from syncfsm.engine import Engine
from syncfsm.lifecycle import Hook
from syncfsm.log import EventLog
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio import AttioSource
from syncfsm.sources.attio_people import AttioPeople

BASE_URL = "http://attio.simulated"
SOURCE = f"attio:{BASE_URL}"
PAUSE_S = 60.0
"""How long somebody takes to start a failed sync again."""

STARTS_MAX = 10_000
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
        requests: How many requests the engine made.
        starts: How many engines it took: one, and one more for each crash or failure.
        virtual_s: How long the sync took in its own time, seconds.
        wall_s: How long the run took in ours.
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


def simulate(scenario: Scenario, seed: int, log: EventLog, *, hooks: list[Hook] | None = None) -> Verdict:
    """Run a scenario with a seed, writing the events to `log`, and check every invariant after it."""
    gc.disable()  # a world is a hundred thousand objects that all stay: nothing for the collector to find
    try:
        simulation = _Simulation(scenario, seed, log, hooks or [])
        gc.freeze()
    finally:
        gc.enable()
    try:
        return run_virtual(simulation.run())
    finally:
        gc.unfreeze()


class _Simulation:
    """The parts of one run, put together from the seed."""

    def __init__(self, scenario: Scenario, seed: int, log: EventLog, hooks: list[Hook]) -> None:
        self.scenario = scenario
        self.seed = seed
        self.log = log
        self.hooks = hooks
        self.began_at = time.perf_counter()
        self.clock = VirtualClock()
        self.world = World(seed, people=scenario.people, now=EPOCH)
        self.faults = Faults(scenario.faults, self._rng("faults"))
        self.changes = Changes(self.world, scenario.changes, self._rng("changes"), self.clock)
        fake = FakeAttio(self.world, self.clock, reads_per_s=scenario.reads_per_s)
        self.transport = FaultyTransport(
            httpx.ASGITransport(fake),
            self.faults,
            self.clock,
            latency_ms=scenario.latency_ms,
            before_request=self._before_request,
        )
        self.engine_rng = self._rng("engine")
        self.sink = SqliteSink(":memory:", clock=self.clock)
        self.calmed_at: datetime | None = None
        self.starts = 0

    def _rng(self, purpose: str) -> random.Random:
        """Return chance for one purpose, so that more of one kind does not change the others."""
        return random.Random(f"{self.seed}:{purpose}")

    def _before_request(self) -> None:
        if self.calmed_at is None and self.clock.now() >= EPOCH + timedelta(seconds=self.scenario.faulty_s):
            self.calmed_at = self.clock.now()
            self.faults.calm()
            self.changes.calm()
        self.changes.before_request()

    async def run(self) -> Verdict:
        process = await self._until_over()
        ended_at = self.clock.now()
        run = Run(
            process=process,
            log=self.log,
            contacts=self.sink.connection(),
            world=self.world,
            changes=self.changes,
            asked_at=self.transport.asked_at,
            reads_per_s=self.scenario.reads_per_s,
            calmed_at=self.calmed_at,
            ended_at=ended_at,
            finish_s_max=self.scenario.finish_s_max,
        )
        found = violations(run)
        await self.sink.aclose()
        return self._verdict(process, found, ended_at)

    async def _until_over(self) -> Process:
        """Start engines, one after the other, until the sync is complete or can't go on."""
        while True:
            self.starts += 1
            process = await self._one_engine()
            if process is None:
                continue
            if process.state is State.COMPLETED or not process.is_resumable or self.starts > STARTS_MAX:
                return process
            await self.clock.sleep(PAUSE_S)

    async def _one_engine(self) -> Process | None:
        """Return the state in which an engine left the sync, or `None` if it died on the way."""
        source = AttioSource(
            "simulated", base_url=BASE_URL, clock=self.clock, transport=self.transport, reads_per_s=90
        )
        engine: Engine[Contact] = Engine(
            cast("EventLog", CrashingLog(self.log, self.faults)),  # it hands on all but the append
            source,
            self.sink,
            AttioPeople(source),
            clock=self.clock,
            rng=self.engine_rng,
            hooks=self.hooks,
        )
        try:
            return await engine.sync(page_size=self.scenario.page_size, order=self.scenario.order)
        except Crash:
            latest = self.log.latest(source.name, source.object, self.sink.name)
            return latest if latest and latest.state is State.COMPLETED else None
        finally:
            await source.aclose()

    def _verdict(self, process: Process, found: list[Violation], ended_at: datetime) -> Verdict:
        return Verdict(
            seed=self.seed,
            process=process,
            violations=found,
            people=self.scenario.people,
            changes=self.changes.counts,
            faults=dict(sorted(self.faults.struck.items())),
            requests=len(self.transport.asked_at),
            starts=self.starts,
            virtual_s=(ended_at - EPOCH).total_seconds(),
            wall_s=time.perf_counter() - self.began_at,
        )

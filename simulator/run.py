"""One seed, one run: the real engine on the simulator's stage, and the judgement of what came of it.

A run has two phases. *Safety*: faults on, and nothing wrong may ever happen. *Liveness*: faults off, and
everything must finish within a stated bound of virtual time.
"""

from __future__ import annotations

import gc
import random
import time
from collections import Counter

import msgspec

from simulator.clock import EPOCH, VirtualClock, run_virtual
from simulator.criteria import CRITERIA
from simulator.faults import Strike
from simulator.invariants import Run, Violation, violations
from simulator.network import Asked
from simulator.scenario import Scenario, concrete
from simulator.stage import KEY, Stage
from syncfsm.contact import Contact
from syncfsm.lifecycle import Hook
from syncfsm.log import EventLog
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio_people import AttioPeople


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
    began_at = time.perf_counter()
    contacts = SqliteSink(":memory:", clock=VirtualClock())
    gc.disable()  # a world is a hundred thousand objects that all stay: nothing for the collector to find
    try:
        stage = Stage(concrete(scenario, seed), log, contacts, AttioPeople, hooks or [])
        gc.freeze()
    finally:
        gc.enable()
    try:
        return run_virtual(_run(stage, log, contacts, began_at))
    finally:
        gc.unfreeze()


async def _run(stage: Stage[Contact], log: EventLog, contacts: SqliteSink, began_at: float) -> Verdict:
    process = await stage.until_over()
    run = Run(
        scenario=stage.scenario,
        process=process,
        log=log,
        contacts=contacts.connection(),
        world=stage.world,
        changes=stage.changes,
        timeline=stage.timeline,
        unnamed=stage.transport.unnamed,
        refused=stage.faulty_sink.refused,
        key=KEY,
        calmed_at=stage.calmed_at if stage.is_calm else None,
        ended_at=stage.clock.now(),
        clock_lost_s=stage.engine_clock.jumped_back_s,
        chance=random.Random(f"{stage.scenario.seed}:tampering"),
        surprise=stage.surprise,
    )
    found = violations(run)
    if stage.scenario.criteria:
        found += violations(run, CRITERIA)
    await contacts.aclose()
    return _verdict(stage, run, found, began_at)


def _verdict(stage: Stage[Contact], run: Run, found: list[Violation], began_at: float) -> Verdict:
    taken = [(moment.recorded.type, _state(moment.before), _state(moment.after)) for moment in run.steps()]
    return Verdict(
        seed=stage.scenario.seed,
        process=run.process,
        violations=found,
        people=stage.scenario.people,
        changes=dict(stage.changes.counts),
        faults=dict(sorted(stage.faults.counts().items())),
        requests=sum(isinstance(entry, Asked) for entry in stage.timeline),
        starts=stage.starts,
        virtual_s=(run.ended_at - EPOCH).total_seconds(),
        wall_s=time.perf_counter() - began_at,
        strikes=tuple(stage.faults.struck),
        events=dict(Counter(event for event, _, _ in taken)),
        transitions=dict(Counter(map(" ".join, taken))),
    )


def _state(process: Process | None) -> State:
    return process.state if process else State.NONE

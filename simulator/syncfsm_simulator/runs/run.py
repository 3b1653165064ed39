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

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.lifecycle import Hook
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm_simulator.runs.criteria import CRITERIA
from syncfsm_simulator.runs.invariants import PLAYED, Run, Violation, violations
from syncfsm_simulator.stage.faults import Strike
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.stage.playback import Playback
from syncfsm_simulator.stage.scenario import Scenario, concrete
from syncfsm_simulator.stage.stage import KEY, Stage
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual


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
    if scenario.incident is not None:
        playback = Playback(concrete(scenario, seed), log, contacts, hooks or [])
        return run_virtual(_play(playback, log, contacts, began_at))
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
    run = run_of(stage, await stage.until_over(), log, contacts)
    found = violations(run)
    if stage.scenario.criteria:
        found += violations(run, CRITERIA)
    await contacts.aclose()
    faults = stage.faults
    struck = tuple(faults.struck)
    return _verdict(run, found, faults.counts(), stage.starts, strikes=struck, began_at=began_at)


def run_of(stage: Stage[Contact], process: Process, log: EventLog, contacts: SqliteSink) -> Run:
    """Return what there is to know of a stage whose sync is over, to be judged."""
    return Run(
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


async def _play(playback: Playback, log: EventLog, contacts: SqliteSink, began_at: float) -> Verdict:
    """Play an incident. What the log could not tell, such as values, is not judged."""
    process = await playback.until_over()
    world, changes = playback.world()
    run = Run(
        scenario=playback.scenario,
        process=process,
        log=log,
        contacts=contacts.connection(),
        world=world,
        changes=changes,
        timeline=playback.timeline,
        unnamed=playback.rows.unnamed,
        refused=playback.refused | playback.rows.undecoded,
        key=KEY,
        calmed_at=None,
        ended_at=playback.clock.now(),
        clock_lost_s=0.0,
        chance=random.Random(f"{playback.scenario.seed}:tampering"),
        surprise=playback.surprise,
    )
    found = violations(run, PLAYED)
    await contacts.aclose()
    struck = Counter(name for step in playback.script.taken for name in step.names())
    return _verdict(run, found, struck, playback.starts, began_at=began_at)


def _verdict(
    run: Run,
    found: list[Violation],
    struck: Counter[str],
    starts: int,
    *,
    strikes: tuple[Strike, ...] = (),
    began_at: float,
) -> Verdict:
    taken = [(moment.recorded.type, _state(moment.before), _state(moment.after)) for moment in run.steps()]
    return Verdict(
        seed=run.scenario.seed,
        process=run.process,
        violations=found,
        people=run.scenario.people,
        changes=dict(run.changes.counts),
        faults=dict(sorted(struck.items())),
        requests=sum(isinstance(entry, Asked) for entry in run.timeline),
        starts=starts,
        virtual_s=(run.ended_at - EPOCH).total_seconds(),
        wall_s=time.perf_counter() - began_at,
        strikes=strikes,
        events=dict(Counter(event for event, _, _ in taken)),
        transitions=dict(Counter(map(" ".join, taken))),
    )


def _state(process: Process | None) -> State:
    return process.state if process else State.NONE

"""One seed, one run: the real engine on the simulator's stage, and the judgement of what came of it.

A run has two phases. *Safety*: faults on, and nothing wrong may ever happen. *Liveness*: faults off, and
everything must finish within a stated bound of virtual time.
"""

from __future__ import annotations

import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import msgspec

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook
from syncfsm.log import EventLog
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm_simulator.runs.criteria import CRITERIA
from syncfsm_simulator.runs.invariants import INVARIANTS, PLAYED, Check, Run, Violation, violations
from syncfsm_simulator.runs.watched_sink import WatchedSink
from syncfsm_simulator.stage.engines import Engines
from syncfsm_simulator.stage.faults import Strike
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.stage.playback import Playback
from syncfsm_simulator.stage.scenario import Scenario, concrete
from syncfsm_simulator.stage.set_up import KEY
from syncfsm_simulator.stage.stage import Stage
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual

LARGE_WORLD = 1_000
"""From so many people on, a world is worth keeping out of the collector's way."""


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
    contacts = WatchedSink(":memory:", clock=VirtualClock(), rng=random.Random(f"{seed}:sink"))
    with _never_collected() if scenario.people >= LARGE_WORLD else nullcontext():
        stage = _stage(concrete(scenario, seed), log, contacts, hooks or [])
    try:
        return run_virtual(_run(stage, log, contacts, began_at))
    finally:
        if scenario.people >= LARGE_WORLD:
            gc.unfreeze()


@contextmanager
def _never_collected() -> Iterator[None]:
    """Make what all stays, a world of a hundred thousand objects, nothing for the collector to look through.

    Not for the small gain of a small one: the collector is the process's, which may have settings of its own.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _stage(scenario: Scenario, log: EventLog, contacts: SqliteSink, hooks: list[Hook]) -> Engines:
    if scenario.incident is not None:
        return Playback(scenario, log, contacts, hooks)
    return Stage(scenario, log, contacts, AttioPeople, hooks)


async def _run(stage: Engines, log: EventLog, contacts: SqliteSink, began_at: float) -> Verdict:
    run = run_of(stage, await stage.afterwards(await stage.until_over()), log, contacts)
    found = violations(run, _checks(stage.scenario))
    await contacts.aclose()
    return _verdict(stage, run, found, began_at)


def _checks(scenario: Scenario) -> tuple[Check, ...]:
    """Return what is judged: of an incident, not what its log could not tell, such as values."""
    if scenario.incident is not None:
        return PLAYED
    return (*INVARIANTS, *CRITERIA) if scenario.criteria else INVARIANTS


def run_of(stage: Engines, process: Process, log: EventLog, contacts: SqliteSink) -> Run:
    """Return what there is to know of a stage whose sync is over, to be judged."""
    return Run(
        scenario=stage.scenario,
        process=process,
        log=log,
        contacts=contacts.connection(),
        marks=contacts.marks(),
        world=stage.world,
        changes=stage.touched(),
        timeline=stage.timeline,
        unnamed=stage.unnamed,
        refused=stage.refused,
        untold=stage.untold,
        blanked=getattr(contacts, "blanked", frozenset()),
        key=KEY,
        calmed_at=stage.calm_since,
        ended_at=stage.clock.now(),
        chance=random.Random(f"{stage.scenario.seed}:tampering"),
        surprise=stage.surprise,
    )


def _verdict(stage: Engines, run: Run, found: list[Violation], began_at: float) -> Verdict:
    taken = [(moment.recorded.type, _state(moment.before), _state(moment.after)) for moment in run.steps()]
    return Verdict(
        seed=run.scenario.seed,
        process=run.process,
        violations=found,
        people=run.scenario.people,
        changes=dict(run.changes.counts),
        faults=dict(sorted(stage.counts().items())),
        requests=sum(isinstance(entry, Asked) for entry in run.timeline),
        starts=stage.starts,
        virtual_s=(run.ended_at - EPOCH).total_seconds(),
        wall_s=time.perf_counter() - began_at,
        strikes=stage.strikes(),
        events=dict(Counter(event for event, _, _ in taken)),
        transitions=dict(Counter(map(" ".join, taken))),
    )


def _state(process: Process | None) -> State:
    return process.state if process else State.NONE

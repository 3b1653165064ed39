"""How much virtual time passes in a second of ours, in the simulator."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.pulls.running import SYNCFSM, run
from benchmarks.turns import TURNS, Spread, spread
from syncfsm.core.value import Value

SCENARIOS = {"calm": 1, "hostile": 7, "moving-rows": 7}
"""Scenarios that come with the simulator, each with one seed, so that each turn does the same."""


class Simulated(Value, frozen=True):
    """One scenario: its virtual time, and how much of it passed in each second of the simulation."""

    scenario: str
    people: int
    requests: int
    virtual_s: float
    virtual_s_per_s: Spread


class _Summary(msgspec.Struct):
    people: int
    requests: int
    virtual_s: float
    wall_s: float


def simulated(size: str) -> list[Simulated]:
    """Return how fast each scenario runs."""
    turns = [{name: _run(name, seed) for name, seed in SCENARIOS.items()} for _ in range(TURNS[size])]
    return [_of(name, [turn[name] for turn in turns]) for name in SCENARIOS]


def _run(scenario: str, seed: int) -> _Summary:
    with TemporaryDirectory() as name:
        folder = Path(name)
        run([SYNCFSM, "simulate", scenario, "--seed", str(seed), "--json"], folder)
        return msgspec.json.decode((folder / "out").read_bytes(), type=_Summary)


def _of(scenario: str, runs: list[_Summary]) -> Simulated:
    first = runs[0]
    return Simulated(
        scenario=scenario,
        people=first.people,
        requests=first.requests,
        virtual_s=first.virtual_s,
        virtual_s_per_s=spread(one.virtual_s / one.wall_s for one in runs),
    )

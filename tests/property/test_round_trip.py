"""From production to the simulator: whatever a log tells, a scenario made of it takes the same path."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core.failure import FailureKind
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.history.replay import moments
from syncfsm.log import EventLog, open_log
from syncfsm_simulator.incidents.event_fingerprint import parting
from syncfsm_simulator.incidents.from_log import to_scenario
from syncfsm_simulator.runs.run import Verdict, simulate
from syncfsm_simulator.stage.incident import Incident, Step, incident_options
from syncfsm_simulator.stage.scenario import Scenario, from_toml, load_scenario, named_scenarios, to_toml
from tests.effort import tries

HOSTILE = load_scenario("hostile")


def played(log: EventLog, process_id: str) -> Verdict:
    """Make a scenario of a process, play it, and check that it takes the same path."""
    text = to_toml(to_scenario(list(moments(log, process_id))))
    scenario = from_toml(text, "of the process")
    with open_log(":memory:") as again:
        verdict = simulate(scenario, scenario.seed, again)
        found = parting(log.read(process_id), again.read(verdict.process.id))
        assert found is None, f"{found.words()}\n{text}"
        assert verdict.violations == []
        assert [row.type for row in again.stored_events()] == [
            row.type for row in log.stored_events(process_id)
        ]
    return verdict


def may_delete(process: Process) -> bool:
    """Whether a process is refused as a scenario: the people of one are never gone."""
    return process.mode == "webhook" or process.deletes_missing


def round_trips(scenario: Scenario, seed: int) -> list[Verdict]:
    with open_log(":memory:") as log:
        simulate(scenario, seed, log)
        processes = map(log.load, log.ids())
        return [played(log, process.id) for process in processes if not may_delete(process)]


@pytest.mark.parametrize("first", range(1, tries(25, 97), 8))
def test_every_process_of_the_hostile_swarm_takes_its_path_again(first: int) -> None:
    verdicts = [verdict for seed in range(first, first + 8) for verdict in round_trips(HOSTILE, seed)]
    assert len(verdicts) >= 8


@pytest.mark.parametrize("seed", [48, 78, 83, 89, 99, 150, 1353])
def test_ties_in_any_order_take_their_path_again(seed: int) -> None:
    assert round_trips(HOSTILE, seed)


@pytest.mark.parametrize("name", named_scenarios())
def test_every_named_scenario_takes_its_path_again(name: str) -> None:
    scenario = load_scenario(name)
    assert round_trips(replace(scenario, people=min(300, scenario.people)), 1)


def invented(seed: int) -> Scenario:
    """Return an incident with anything in it, whether it makes sense or not."""
    chance = random.Random(seed)
    page, steps = 0, []
    for _ in range(chance.randrange(14)):
        page += chance.choice((0, 0, 0, 1, 1, 2))
        steps.append(invented_step(chance, page))
    mode = chance.choice(("initial", "initial", "initial", "rejects"))
    return Scenario(
        people=chance.randrange(1, 60),
        page_size=chance.randrange(2, 13),
        order=chance.choice(("newest", "oldest", "id")),
        limit_max=chance.choice((500, 500, 2, 4)),
        incident=Incident(mode=mode, options=incident_options(invented_options(chance)), steps=tuple(steps)),
    )


def invented_options(chance: random.Random) -> Options:
    return Options(
        attempts_max=chance.choice((2, 3, 8)),
        reject_min=chance.choice((2, 10, 99)),
        step_backs_max=chance.choice((1, 2, 32)),
        stalled_rows_max=chance.choice((3, 100_000)),
        waiting_s_max=chance.choice((5.0, 3600.0)),
        wait_s_max=chance.choice((2.0, 300.0)),
        confirm_end=chance.random() < 0.2,
        limit_max=chance.choice((13, 500, 1000)),
        termination=chance.choice(("peek", "peek", "short_page")),
    )


def invented_step(chance: random.Random, page: int) -> Step:
    action = chance.choice(("check", *["fetch"] * 4, "deliver", "deliver", "finish", "resume"))
    happenings = ["crash"] * 6 + ["cancelled", "end"] + ["unordered", "ties", "unasked"] * (action == "fetch")
    step = Step(page=page * (action != "check"), action=action, after=chance.choice((0, 0, 1)))
    if action == "resume":
        return replace(
            step, page_size=chance.choice((None, 5)), options=incident_options(invented_options(chance))
        )
    if chance.random() < 0.35:
        wait_s = chance.choice((None, 0.5, 1.25, 300.2))
        return replace(step, fails=chance.choice(tuple(FailureKind)), wait_s=wait_s)
    if chance.random() < 0.3:
        return replace(step, happens=chance.choice(happenings))
    return replace(step, **moves(chance, action))


def moves(chance: random.Random, action: str) -> dict[str, Any]:
    if action == "deliver":
        return {"refused": chance.randrange(6)}
    if action != "fetch":
        return {}
    counts = (
        "gone",
        "came",
        "next_gone",
        "next_came",
        "left",
        "joined",
        "nameless",
        "malformed",
        "twice",
        "tied",
    )
    found: dict[str, Any] = {name: chance.randrange(1, 7) for name in counts if chance.random() < 0.25}
    return {
        **found,
        "nameless_peek": chance.random() < 0.15,
        "shuffled": chance.choice((None, None, None, True, False)),
    }


@pytest.mark.parametrize("first", range(0, tries(40, 400), 40))
def test_an_incident_with_anything_in_it_takes_its_path_again(first: int) -> None:
    ends = set()
    for seed in range(first, first + 40):
        verdict = round_trips(invented(seed), seed)[0]
        ends.add((verdict.process.state, verdict.process.failure and verdict.process.failure.reason))
    assert len(ends) > 5

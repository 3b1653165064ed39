"""Simulations: one seed decides everything, and nothing goes wrong in a rough world."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncfsm.core.machine import State
from syncfsm.log import open_log
from syncfsm_simulator.runs.run import Verdict, simulate
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.scenario import Scenario

SMALL = Scenario(people=300, page_size=20)
ROUGH = Scenario(
    people=200,
    page_size=10,
    faults=FaultRates(
        rate_limited=0.1, unavailable=0.05, network=0.1, body=0.05, slow=0.05, sink=0.1, disk=0.05, crash=0.1
    ),
    changes=ChangeRates(created=1, updated=3, deleted=3),
)
NOTHING = {"faults": FaultRates(), "changes": ChangeRates()}


def exported(scenario: Scenario, seed: int) -> tuple[list[str], Verdict]:
    """Return the content of the log that a simulation leaves, and its verdict."""
    with open_log(":memory:") as log:
        verdict = simulate(scenario, seed, log)
        return [str(row) for row in log.stored_events()], verdict


def test_the_same_seed_leaves_the_same_log_byte_for_byte() -> None:
    assert exported(ROUGH, 7)[0] == exported(ROUGH, 7)[0]


def test_another_seed_leaves_another_log() -> None:
    assert exported(ROUGH, 7)[0] != exported(ROUGH, 8)[0]


@pytest.mark.parametrize("order", ["newest", "oldest", "id"])
@pytest.mark.parametrize("seed", range(8))
def test_nothing_goes_wrong_in_a_rough_world(seed: int, order: str) -> None:
    _, verdict = exported(replace(ROUGH, order=order), seed)
    assert verdict.violations == []
    assert verdict.process.state is State.COMPLETED
    assert verdict.virtual_s > 0


def test_a_rough_world_brings_restarts_and_shifts() -> None:
    verdicts = [exported(ROUGH, seed)[1] for seed in range(3)]
    assert all(verdict.starts > 1 for verdict in verdicts)
    assert all(verdict.process.progress.shifts for verdict in verdicts)


def test_when_nothing_goes_wrong_there_is_one_request_a_page_and_one_for_its_companies() -> None:
    calm = replace(SMALL, **NOTHING)
    _, verdict = exported(calm, 1)
    progress = verdict.process.progress
    assert (progress.pages, progress.retries, progress.shifts, verdict.starts) == (15, 0, 0, 1)
    assert verdict.requests <= 2 + 2 * 15  # two for the checks


def test_an_empty_workspace_is_no_error() -> None:
    _, verdict = exported(replace(SMALL, people=0, **NOTHING), 1)
    assert (verdict.process.state, verdict.violations) == (State.COMPLETED, [])


def test_the_first_request_after_the_faulty_phase_meets_no_fault_any_more() -> None:
    stormy = replace(ROUGH, faults=FaultRates(unavailable=1.0), faulty_s=600.0)
    _, verdict = exported(stormy, 1)
    assert (verdict.process.state, verdict.violations) == (State.COMPLETED, [])
    assert verdict.virtual_s > 600


def test_another_workers_step_in_the_middle_of_ours_does_no_harm() -> None:
    meddling = replace(SMALL, faults=FaultRates(rival=0.5), changes=ChangeRates(updated=1))
    _, verdict = exported(meddling, 1)
    assert (verdict.process.state, verdict.violations) == (State.COMPLETED, [])
    assert verdict.faults["rival_step"] + verdict.faults["duplicated_step"] > 5
    assert verdict.starts > 5  # each conflict ended an engine


def test_an_api_that_ignores_the_order_is_refused_before_anybody_can_be_lost() -> None:
    _, verdict = exported(replace(SMALL, sorts="ignored", **NOTHING), 1)
    assert verdict.violations == []
    assert verdict.process.state is State.FAILED
    assert verdict.process.failure is not None
    assert verdict.process.failure.reason == "unordered"


def test_an_api_that_cuts_pages_in_silence_loses_people_unless_the_end_is_confirmed() -> None:
    capped = replace(SMALL, limit_max=13, **NOTHING)
    assert {found.invariant for found in exported(capped, 1)[1].violations} == {"nothing_lost"}
    assert exported(replace(capped, confirm_end=True), 1)[1].violations == []

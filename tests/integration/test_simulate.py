"""Simulations: one seed decides everything, every invariant holds, and every invariant can fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from simulator import run as run_module
from simulator.changes import ChangeRates
from simulator.faults import Rates
from simulator.invariants import INVARIANTS, Run, Violation, violations
from simulator.run import Verdict, simulate
from simulator.scenario import Scenario, load_scenario
from syncfsm.errors import ConfigurationError
from syncfsm.log import open_log
from syncfsm.machine import State

SMALL = Scenario(people=300, page_size=20)
ROUGH = Scenario(
    people=200,
    page_size=10,
    faults=Rates(
        rate_limited=0.1,
        unavailable=0.05,
        refused=0.05,
        timeout=0.03,
        reset=0.05,
        truncated=0.05,
        slow=0.05,
        crash=0.1,
    ),
    changes=ChangeRates(created=1, updated=3, deleted=3),
)


def exported(scenario: Scenario, seed: int) -> tuple[list[str], Verdict]:
    """Return the content of the log that a simulation leaves, and its verdict."""
    with open_log(":memory:") as log:
        verdict = simulate(scenario, seed, log)
        return [str(row) for row in log.rows()], verdict


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


def test_the_rough_world_reaches_every_fault_and_restarts_and_shifts() -> None:
    struck: set[str] = set()
    shifts = restarts = 0
    for seed in range(6):
        _, verdict = exported(ROUGH, seed)
        struck |= verdict.faults.keys()
        shifts += verdict.process.progress.shifts
        restarts += verdict.starts - 1
    assert struck == set(Rates.__struct_fields__)
    assert shifts > 0
    assert restarts > 0


def test_when_nothing_goes_wrong_there_is_one_request_a_page_and_one_for_its_companies() -> None:
    calm = replace(SMALL, faults=Rates(), changes=ChangeRates())
    _, verdict = exported(calm, 1)
    progress = verdict.process.progress
    assert (progress.pages, progress.retries, progress.shifts, verdict.starts) == (15, 0, 0, 1)
    assert verdict.requests <= 2 + 2 * 15  # two for the checks


def test_an_empty_workspace_is_no_error() -> None:
    _, verdict = exported(replace(SMALL, people=0, changes=ChangeRates()), 1)
    assert (verdict.process.state, verdict.violations) == (State.COMPLETED, [])


def test_the_first_request_after_the_faulty_phase_meets_no_fault_any_more() -> None:
    stormy = replace(ROUGH, faults=Rates(unavailable=1.0), faulty_s=600.0)
    _, verdict = exported(stormy, 1)
    assert (verdict.process.state, verdict.violations) == (State.COMPLETED, [])
    assert verdict.virtual_s > 600


# ── each invariant can fail ──────────────────────────────────────────────────────────────────


def delivered_twice(run: Run) -> None:
    first = run.log.read(run.process.id)
    pages = [record.event for record in first if record.type == "PageFetched"]
    old, new = pages[1].record_ids[0], pages[0].record_ids[0]
    _edit(run, f"UPDATE events SET data = replace(data, '{old}', '{new}') WHERE type = 'PageFetched'")


def _edit(run: Run, statement: str) -> None:
    connection = run.log._connection  # type: ignore[attr-defined]
    connection.execute("DROP TRIGGER IF EXISTS events_refuse_update")
    connection.execute("DROP TRIGGER IF EXISTS events_refuse_delete")
    connection.execute(statement)


def somebody_is_missing(run: Run) -> None:
    run.contacts.execute("DELETE FROM contacts WHERE external_id = (SELECT min(external_id) FROM contacts)")


def somebody_is_changed(run: Run) -> None:
    run.contacts.execute("UPDATE contacts SET role = 'somebody else'")


def a_digest_is_wrong(run: Run) -> None:
    _edit(run, "UPDATE events SET digest = 'x' WHERE version = 3")


def a_count_is_off(run: Run) -> None:
    run.process = replace(run.process, progress=replace(run.process.progress, created=1))


def a_page_was_skipped(run: Run) -> None:
    _edit(run, "UPDATE events SET data = replace(data, '\"cursor\":20,', '\"cursor\":21,')")


def it_never_finished(run: Run) -> None:
    run.process = replace(run.process, state=State.FETCHING)


def it_took_too_long(run: Run) -> None:
    run.calmed_at = run.ended_at - timedelta(seconds=run.finish_s_max + 1)


def it_asked_too_early(run: Run) -> None:
    retries = (record for record in run.log.read(run.process.id) if record.type == "RetryScheduled")
    first = next(retries)
    run.asked_at.append(first.at + (first.event.retry_at - first.at) / 2)  # type: ignore[attr-defined]


def it_asked_too_often(run: Run) -> None:
    run.asked_at[:] = [run.asked_at[0]] * (run.reads_per_s + 1)


SABOTAGE = {
    "nothing_lost": somebody_is_missing,
    "nothing_twice": delivered_twice,
    "sink_is_world": somebody_is_changed,
    "log_is_sound": a_digest_is_wrong,
    "pages_add_up": a_count_is_off,
    "pages_are_contiguous": a_page_was_skipped,
    "it_ends": it_never_finished,
    "retries_wait": it_asked_too_early,
    "rate_is_kept": it_asked_too_often,
}


def violated(monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[Run], None]) -> set[str]:
    """Return the invariants that fail when a run is tampered with just before they are checked."""

    def tampered(run: Run) -> list[Violation]:
        sabotage(run)
        return violations(run)

    monkeypatch.setattr(run_module, "violations", tampered)
    _, verdict = exported(replace(SMALL, faults=Rates(rate_limited=0.2), changes=ChangeRates()), 3)
    return {violation.invariant for violation in verdict.violations}


@pytest.mark.parametrize("name", [invariant.__name__ for invariant in INVARIANTS])
def test_each_invariant_fails_when_it_is_broken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert name in violated(monkeypatch, SABOTAGE[name])


def test_it_ends_fails_when_the_end_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violated(monkeypatch, it_took_too_long) == {"it_ends"}


def test_no_invariant_fails_when_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violated(monkeypatch, lambda _run: None) == set()


# ── scenarios ────────────────────────────────────────────────────────────────────────────────


def test_a_scenario_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "rough.toml"
    path.write_text('people = 7\norder = "id"\nlatency_ms = [1, 2]\n[faults]\ncrash = 0.5\n')
    scenario = load_scenario(path)
    assert (scenario.people, scenario.order, scenario.latency_ms) == (7, "id", (1, 2))
    assert scenario.faults == Rates(crash=0.5)
    assert scenario.page_size == Scenario().page_size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("people = ", "cannot be used"),
        ('people = "many"', r"Expected `int`, got `str` - at `\$.people`"),
        ("[faults]\nearthquake = 1.0", "unknown field `earthquake`"),
        ('order = "random"', r"\$.order"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused_with_the_place(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        load_scenario(path)

"""Many seeds: what they reached, which of them failed, and the smallest scenario that still does."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from syncfsm.cli import main
from syncfsm.core.paging import offsets
from syncfsm.errors import LogUnwritable
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm_simulator.runs.run import simulate as run_one
from syncfsm_simulator.runs.shrink import shrink
from syncfsm_simulator.runs.sweep import TWICE_EVERY, Summary, run_seed, sweep
from syncfsm_simulator.stage.scenario import Scenario, concrete, load_scenario

HOSTILE = load_scenario("hostile")


def simulate(*args: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *args])


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A page rule that believes every page, so that people get lost when rows go away."""
    monkeypatch.setattr(offsets, "is_anchored", lambda *_: True)
    monkeypatch.chdir(tmp_path)


def test_seeds_side_by_side_come_to_the_same_as_one_after_the_other() -> None:
    one, two = (sweep(HOSTILE, range(1, 9), jobs=jobs) for jobs in (1, 2))
    assert one.failures == two.failures == []
    assert (one.seeds, one.faults, one.events) == (two.seeds, two.faults, two.events)
    assert one.transitions == two.transitions


def test_what_no_seed_reached_is_named() -> None:
    summary = sweep(load_scenario("calm"), [], jobs=1)
    assert summary.seeds == 0
    assert {"truncated", "SyncFailed", "SyncFailed FETCHING FAILED"} <= set(summary.unreached())


def test_a_sweep_stops_when_it_is_enough() -> None:
    summary = sweep(HOSTILE, range(1, 1000), jobs=1, is_enough=lambda summary: summary.seeds == 3)
    assert summary.seeds == 3


def test_an_engine_that_fails_in_a_new_way_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    async def upsert(_sink: SqliteSink, _items: Sequence[Contact]) -> UpsertResult:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(SqliteSink, "upsert", upsert)
    violation = run_seed(load_scenario("calm"), 1).violations[0]
    assert (violation.invariant, violation.phase) == ("no_surprise", "safety")
    assert "ZeroDivisionError: surprise" in violation.seen


def test_a_seed_that_leaves_another_log_the_second_time_is_a_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digests = iter(("one", "another"))
    monkeypatch.setattr("syncfsm_simulator.runs.sweep._run", lambda scenario, seed: (verdict, next(digests)))

    with open_log(":memory:") as log:
        verdict = run_one(concrete(HOSTILE, TWICE_EVERY), TWICE_EVERY, log)
    violations = run_seed(HOSTILE, TWICE_EVERY).violations
    assert [violation.invariant for violation in violations] == ["same_seed_same_log"]


@pytest.mark.usefixtures("forgetful")
def test_a_failing_seed_is_shrunk_to_the_few_strikes_that_matter() -> None:
    hostile = replace(HOSTILE, people=60)
    failing = sweep(hostile, range(1, 200), jobs=1, is_enough=lambda summary: bool(summary.failures))
    seed = failing.failures[0].seed
    tried: list[Scenario] = []
    small = shrink(hostile, seed, on_run=tried.append)
    assert len(tried) == len(set(tried)), "none is run twice"
    broken = {violation.invariant for violation in run_seed(small, seed).violations}
    assert broken & {violation.invariant for violation in failing.failures[0].violations}
    assert len(small.strikes) <= 3
    assert small.people < concrete(hostile, seed).people
    assert f"seed {seed}" in small.about


@pytest.mark.usefixtures("forgetful")
def test_the_command_names_the_failing_seed_the_line_that_runs_it_and_the_shrunk_scenario() -> None:
    result = simulate("hostile", "--people", "60", "--page-size", "20", "--until-failure", "--jobs", "1")
    assert result.exit_code == 3
    assert "VIOLATED  seed" in result.stdout
    (again,) = (line.split("again")[1].strip() for line in result.stdout.splitlines() if "again" in line)
    assert again.startswith("syncfsm simulate hostile --people 60 --page-size 20 --seed ")
    assert simulate(*again.split()[2:], "--json").exit_code == 3
    (shrunk,) = (line.split("shrunk")[1].strip() for line in result.stdout.splitlines() if "  shrunk" in line)
    rerun = simulate(*shrunk.split()[2:], "--json")
    assert rerun.exit_code == 3
    assert json.loads(rerun.stdout)["violations"] != []


def test_many_seeds_end_in_one_json_object_and_status_0() -> None:
    result = simulate("hostile", "--seeds", "3", "--jobs", "1", "--json")
    summary = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (summary["seeds"], summary["failures"], summary["again"], summary["shrunk"]) == (3, [], [], None)
    assert set(Summary().faults) == set(summary["faults"])


def test_no_seed_is_started_after_the_minutes_are_over() -> None:
    result = simulate("hostile", "--until-failure", "--minutes", "0.0001", "--jobs", "1", "--json")
    assert json.loads(result.stdout)["seeds"] == 1


def test_the_scenarios_are_listed_with_what_they_are() -> None:
    result = simulate("--list")
    assert "hostile        Everything at once" in result.stdout
    assert result.exit_code == 0


def test_the_plans_criteria_are_judged_one_by_one(tmp_path: Path) -> None:
    result = simulate("seed-5000", "--log", str(tmp_path / "sim.db"))
    assert result.exit_code == 0
    assert result.stdout.startswith("COMPLETED: 5,000 people")
    assert result.stdout.count("criterion   met") == 6


def test_options_for_many_seeds_are_refused_where_there_is_one() -> None:
    result = simulate("calm", "--jobs", "2")
    assert result.exit_code == 2
    assert "add --seeds" in result.stderr


def test_a_sweep_that_is_interrupted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_scenario: object, _seed: int) -> Result:
        raise KeyboardInterrupt

    monkeypatch.setattr("syncfsm_simulator.runs.sweep.run_seed", interrupted)
    result = simulate("calm", "--seeds", "3", "--jobs", "1")
    assert result.exit_code == 130
    assert result.stdout.startswith("interrupted: not all seeds have run\n0 seeds")


def test_a_sweep_that_is_asked_to_end_says_what_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    real = run_seed

    def asked_to_end(scenario: Scenario, seed: int) -> object:
        if seed == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(scenario, seed)

    monkeypatch.setattr("syncfsm_simulator.runs.sweep.run_seed", asked_to_end)
    before = signal.getsignal(signal.SIGTERM)
    result = simulate("calm", "--people", "3", "--seeds", "9", "--jobs", "1")
    assert result.exit_code == 130
    assert result.stdout.startswith("interrupted: not all seeds have run\n1 seed, none failed")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--minutes", "nan", "no number to work with"), ("--log", "some.db", "many seeds keep no log")],
)
def test_what_makes_no_sense_for_many_seeds_is_refused(option: str, value: str, words: str) -> None:
    result = simulate("calm", "--seeds", "2", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_log_that_is_not_kept_is_not_said_to_be_there_for_a_replay() -> None:
    result = simulate("calm", "--people", "3", "--log", ":memory:")
    assert "syncfsm replay" not in result.stdout
    assert "keep the log, to replay it: --log sim.db" in result.stdout


def test_a_log_that_really_cannot_be_written_ends_a_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_named: object) -> None:
        raise LogUnwritable("the disk is full; make room")

    monkeypatch.setattr("syncfsm.log.sqlite.store.SqliteLog.append", full)
    result = simulate("calm", "--people", "3", "--log", ":memory:")
    assert (result.exit_code, result.stderr) == (1, "error: the disk is full; make room\n")

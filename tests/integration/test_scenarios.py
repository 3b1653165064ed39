"""Scenarios: TOML in and out, the ones that come with the package, and what a swarm draws."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncfsm.core.machine import State
from syncfsm.errors import ConfigurationError
from syncfsm.log import open_log
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.effects.requests import REQUEST
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.faults import KINDS, MOVES, ChangeRates, FaultRates, Faults, Strike
from syncfsm_simulator.stage.scenario import Scenario, concrete, load_scenario, named_scenarios, to_toml


def test_a_scenario_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "rough.toml"
    path.write_text('people = 7\norder = "id"\nlatency_ms = [1, 2]\n[faults]\ncrash = 0.5\n')
    scenario = load_scenario(path)
    assert (scenario.people, scenario.order, scenario.latency_ms) == (7, "id", (1, 2))
    assert scenario.faults == FaultRates(crash=0.5)
    assert scenario.page_size == Scenario().page_size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("people = ", "cannot be used"),
        ('people = "many"', r"Expected `int`, got `str` - at `\$.people`"),
        ("[faults]\nearthquake = 1.0", "unknown field `earthquake`"),
        ('order = "random"', r"\$.order"),
        ("page_size = 0", r"Expected `int` >= 1 - at `\$.page_size`"),
        ("[faults]\ncrash = -0.5", r"`float` >= 0.0 - at `\$.faults.crash`"),
        ("[faults]\ncrash = nan", r"\$.faults.crash"),
        ("[faults]\ncrash = 1.5", r"`float` <= 1.0 - at `\$.faults.crash`"),
        ("[changes]\ndeleted = inf", r"\$.changes.deleted"),
        ("latency_ms = [9, 1]", "the least, then the most"),
        ("reads_per_s = 0", r"\$.reads_per_s"),
        ("limit_max = 1", r"\$.limit_max"),
        ('[[strikes]]\nkind = "earthquake"\nat = 1', "unknown strikes: earthquake"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused_with_the_place(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        load_scenario(path)


def test_a_name_that_is_none_says_which_there_are() -> None:
    with pytest.raises(ConfigurationError, match="calm, crash-loop, flaky-network, hostile"):
        load_scenario("hostil")


@pytest.mark.parametrize("name", named_scenarios())
def test_every_named_scenario_says_what_it_is_and_runs(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.about.endswith(".")
    with open_log(":memory:") as log:
        verdict = simulate(msgspec.structs.replace(scenario, people=min(scenario.people, 600)), 1, log)
    assert verdict.violations == []
    assert verdict.process.state is State.COMPLETED


def test_a_scenario_comes_back_from_its_toml(tmp_path: Path) -> None:
    path = tmp_path / "again.toml"
    for name, scenario in named_scenarios().items():
        drawn = concrete(scenario, 5)
        listed = msgspec.structs.replace(drawn, strikes=(Strike(kind="truncated", at=3),))
        path.write_text(to_toml(listed))
        assert load_scenario(path) == listed, name


def test_a_swarm_draws_another_day_for_each_seed_and_the_same_for_the_same() -> None:
    hostile = named_scenarios()["hostile"]
    days = [concrete(hostile, seed) for seed in range(20)]
    assert len({msgspec.json.encode(day) for day in days}) == 20
    assert days == [concrete(hostile, seed) for seed in range(20)]
    assert not any(day.swarm for day in days)
    assert {day.order for day in days} == {"newest", "oldest", "id"}


def test_every_group_has_a_rate_and_every_kind_one_row() -> None:
    rates = (*FaultRates.__struct_fields__, *ChangeRates.__struct_fields__)
    assert len(set(rates)) == len(rates)
    assert {fault.group for fault in FAULTS} == set(rates)
    assert set(ChangeRates.__struct_fields__) == set(MOVES)
    assert len(set(KINDS)) == len(KINDS) == len(list(FAULTS))


@given(st.integers(0, 10**6), st.sets(st.integers(0, 30), max_size=10))
def test_what_strikes_at_a_visit_does_not_depend_on_what_else_struck(seed: int, left_out: set[int]) -> None:
    rates, changes = FaultRates(rate_limited=0.3, body=0.2, crash=0.2), ChangeRates(deleted=0.5)
    drawn = Faults(seed, rates, changes)
    visits = [drawn.visit(REQUEST) for _ in range(30)]
    kept = [strike for strike in drawn.struck if strike.at not in left_out]
    scripted = Faults(seed, FaultRates(), ChangeRates(), kept)
    again = [scripted.visit(REQUEST) for _ in range(30)]
    assert scripted.struck == kept
    for at, (before, after) in enumerate(zip(visits, again, strict=True)):
        assert after.kind == (None if at in left_out else before.kind)
        assert after.rng.random() == before.rng.random()


def test_a_swarm_of_short_pages_draws_no_day_on_which_nobody_could_see_a_wrong_order() -> None:
    small = msgspec.structs.replace(named_scenarios()["hostile"], page_size=5)
    days = [concrete(small, seed) for seed in range(300)]
    assert {day.sorts for day in days} == {"honoured"}
    assert max(day.page_size for day in days) == 5

"""Scenarios that once broke an invariant, shrunk and kept for ever. Each names what it broke."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncfsm.log import open_log
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.scenario import load_scenario

SHRUNK = sorted(Path(__file__).parent.glob("*.toml"))


@pytest.mark.parametrize("path", SHRUNK, ids=lambda path: path.stem)
def test_what_was_once_broken_holds(path: Path) -> None:
    scenario = load_scenario(path)
    assert "breaks" in scenario.about
    with open_log(":memory:") as log:
        assert simulate(scenario, scenario.seed, log).violations == []


def test_there_is_something_to_run() -> None:
    assert SHRUNK

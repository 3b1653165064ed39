"""The same seeds on either log: whatever goes wrong, a server tells the same story as a file."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from syncfsm.log.transfer.exporting import Export
from syncfsm_simulator.runs.run import Verdict, simulate
from syncfsm_simulator.stage.scenario import Scenario, load_scenario
from tests.effort import tries

SCENARIOS = {
    "hostile": replace(load_scenario("hostile"), people=120),
    "seed-5000": replace(load_scenario("seed-5000"), people=300),
}


def of(log: EventLog, scenario: Scenario, seed: int) -> tuple[list[bytes], Verdict]:
    """Return the export of a log after a run that began with it empty, and what is said of the run."""
    verdict = simulate(scenario, seed, log)
    assert verify(log)[1] == check(log)[1] == []
    return list(Export(log).lines()), replace(verdict, wall_s=0.0)


@pytest.mark.parametrize(
    ("name", "seed"), [*(("hostile", seed) for seed in range(1, 1 + tries(5, 60))), ("seed-5000", 5000)]
)
def test_a_seed_leaves_the_same_log_byte_for_byte(newest_postgres_url: str, name: str, seed: int) -> None:
    with open_log(":memory:") as file, open_log(newest_postgres_url) as server:
        told, verdict = of(server, SCENARIOS[name], seed)
        assert (told, verdict) == of(file, SCENARIOS[name], seed)
        assert verdict.violations == []
        assert len(told) >= 7, "a beginning, a page and an end at least"

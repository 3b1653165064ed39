"""Does an incident take the path that it was made of? It is played, in memory, to see."""

from __future__ import annotations

from collections.abc import Iterable

from syncfsm.core.events import Recorded
from syncfsm.log import open_log
from syncfsm_simulator.incidents.event_fingerprint import Parting, parting
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.scenario import Scenario


def strays(scenario: Scenario, path: Iterable[Recorded]) -> Parting | None:
    """Play an incident in memory; return where it leaves the path of a process, or `None` if it does not."""
    with open_log(":memory:") as log:
        verdict = simulate(scenario, scenario.seed, log)
        return parting(path, log.read(verdict.process.id))

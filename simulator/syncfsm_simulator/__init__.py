"""The simulator: the real engine against a fake CRM, in virtual time, where all that can go wrong does.

A name is loaded when it is asked for: pytest imports this package wherever syncfsm is installed, and what is
behind the names takes extras that not everybody has (`syncfsm[sim]`; the strategies, `syncfsm[test]`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncfsm_simulator.fakes.attio import FakeAttio, Knobs
    from syncfsm_simulator.incidents.from_log import to_scenario
    from syncfsm_simulator.runs.criteria import CRITERIA
    from syncfsm_simulator.runs.invariants import INVARIANTS
    from syncfsm_simulator.runs.run import Verdict, simulate
    from syncfsm_simulator.stage.faults import ChangeRates, FaultRates, Strike
    from syncfsm_simulator.stage.incident import Incident, Step
    from syncfsm_simulator.stage.scenario import Scenario, load_scenario
    from syncfsm_simulator.strategies import change_rates, fault_rates, scenarios, strikes, worlds
    from syncfsm_simulator.workspace import VirtualTime, Workspace
    from syncfsm_simulator.world.clock import VirtualClock, run_virtual
    from syncfsm_simulator.world.world import World

__all__ = [
    "CRITERIA",
    "INVARIANTS",
    "ChangeRates",
    "FakeAttio",
    "FaultRates",
    "Incident",
    "Knobs",
    "Scenario",
    "Step",
    "Strike",
    "Verdict",
    "VirtualClock",
    "VirtualTime",
    "Workspace",
    "World",
    "change_rates",
    "fault_rates",
    "load_scenario",
    "run_virtual",
    "scenarios",
    "simulate",
    "strikes",
    "to_scenario",
    "worlds",
]

_PLACES = {
    "syncfsm_simulator.fakes.attio": "FakeAttio Knobs",
    "syncfsm_simulator.incidents.from_log": "to_scenario",
    "syncfsm_simulator.runs.criteria": "CRITERIA",
    "syncfsm_simulator.runs.invariants": "INVARIANTS",
    "syncfsm_simulator.runs.run": "Verdict simulate",
    "syncfsm_simulator.stage.faults": "ChangeRates FaultRates Strike",
    "syncfsm_simulator.stage.incident": "Incident Step",
    "syncfsm_simulator.stage.scenario": "Scenario load_scenario",
    "syncfsm_simulator.strategies": "change_rates fault_rates scenarios strikes worlds",
    "syncfsm_simulator.workspace": "VirtualTime Workspace",
    "syncfsm_simulator.world.clock": "VirtualClock run_virtual",
    "syncfsm_simulator.world.world": "World",
}


def _get(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not TYPE_CHECKING:  # types are only those that have a name here
    __getattr__ = _get

"""The fake Attio, over a world: app.py answers, by the handlers of routes.py, which work with service.py."""

from syncfsm_simulator.fakes.attio.app import FakeAttio
from syncfsm_simulator.fakes.attio.knobs import Knobs

__all__ = ["FakeAttio", "Knobs"]

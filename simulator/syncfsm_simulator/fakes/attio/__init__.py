"""The fake Attio, over a world: see `app.py`."""

from syncfsm_simulator.fakes.attio.app import FakeAttio
from syncfsm_simulator.fakes.attio.knobs import Knobs

__all__ = ["FakeAttio", "Knobs"]

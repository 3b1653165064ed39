"""The fake Attio, over a world: see `app.py`."""

from syncfsm_simulator.attio.app import FakeAttio
from syncfsm_simulator.attio.knobs import Knobs

__all__ = ["FakeAttio", "Knobs"]

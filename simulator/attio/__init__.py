"""The fake Attio, over a world: see `app.py`."""

from simulator.attio.app import FakeAttio
from simulator.attio.knobs import Knobs

__all__ = ["FakeAttio", "Knobs"]

"""What somebody's own code does wrong: it raises an error, as code that nobody has tried does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Never

from syncfsm_simulator.stage.effects.sinks import Upserting
from syncfsm_simulator.stage.port import Port

QUOTED = "a name that nobody is to read in a log"
"""What the error says."""


class SimulatedMistake(Exception):
    """An error of whoever wrote a transform or a sink."""


Transforming = Callable[[], Awaitable[Any]]
"""What comes to the port of a transform: the transform itself, to be called."""

TRANSFORM: Port[Transforming, Awaitable[Any]] = Port("transform", lambda transform: transform())


async def mistaken(_: object) -> Never:
    """Raise an error, and do nothing."""
    raise SimulatedMistake(QUOTED)


async def mistaken_upsert(page: Upserting) -> Never:
    """Take the page, and raise an error all the same."""
    await page.take(())
    raise SimulatedMistake(QUOTED)

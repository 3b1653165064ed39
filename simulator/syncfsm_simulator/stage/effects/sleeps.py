"""What may happen while the engine sleeps."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import msgspec

from syncfsm_simulator.stage.port import Crash, Port


class Sleeping(msgspec.Struct, frozen=True):
    """A sleep that is to last so long; `sleep` sleeps in true time."""

    seconds: float
    rng: random.Random
    sleep: Callable[[float], Awaitable[None]]


async def _usual(sleeping: Sleeping) -> None:
    await sleeping.sleep(sleeping.seconds)


SLEEP: Port[Sleeping, Awaitable[None]] = Port("sleep", _usual)


async def crash_asleep(sleeping: Sleeping) -> None:
    """Let the engine die in its sleep."""
    await sleeping.sleep(sleeping.seconds * sleeping.rng.random())
    raise Crash

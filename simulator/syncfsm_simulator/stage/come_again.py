"""When a server said to come again, and how long anybody would wait for that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from syncfsm.core.backoff import later
from syncfsm.core.process import Process
from syncfsm.core.starts import put_off_s
from syncfsm.engine.engine import Engine
from syncfsm.outside.clock import Clock

PATIENCE_S = 1800.0
"""How long somebody waits for a source that asks for it, before taking that for a mistake."""

IMPATIENT = "nobody waits so long"
"""Why a sync goes on then."""


class _Said(msgspec.Struct, frozen=True):
    at: datetime
    until: datetime
    engine: int


class ComeAgain:
    """Keeps what the last engine that was told so must not do: ask before then.

    Args:
        clock: True time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: _Said | None = None

    def hear(self, wait_s: float, engine: int) -> None:
        """Take note that a server is not to be asked for so long by an engine, the how-manieth."""
        now = self._clock.now()
        self._said = _Said(now, later(now, wait_s), engine)

    def not_before(self, engine: int) -> datetime | None:
        """Return when an engine may ask; what goes out in the instant in which that is said, may."""
        said = self._said
        is_known = said is not None and said.engine == engine and self._clock.now() > said.at
        return said.until if said is not None and is_known else None


def lose_patience(engine: Engine[Any], left: Process | None, now: datetime) -> None:
    """Let a sync go on at once that was told to wait for longer than anybody does."""
    if left is not None and put_off_s(left, now) > PATIENCE_S:
        engine.resume(left.id, by="simulation", why=IMPATIENT, asks_now=True)

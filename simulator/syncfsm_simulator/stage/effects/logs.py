"""What may happen to the log and its inbox: they cannot be written, or the writer dies around the write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

from syncfsm.errors import LogUnwritable
from syncfsm_simulator.stage.port import Crash, Port


class SimulatedUnwritable(LogUnwritable):
    """The log could not be written, but only for the simulation; a real full disk ends the run."""


# What comes to these ports is the write itself, to be called.

APPEND: Port[Callable[[], None], None] = Port("append", lambda write: write())
RECEIVE: Port[Callable[[], bool], bool] = Port("receive", lambda write: write())
CLEAR: Port[Callable[[], Any], Any] = Port("clear", lambda write: write())
"""Where notices and captures are deleted that are of no use any more."""


def unwritable(words: str) -> Callable[[object], Never]:
    """Let the log refuse, for a reason."""

    def effect(_: object) -> Never:
        raise SimulatedUnwritable(f"simulated: {words}")

    return effect


def crash_after(write: Callable[[], object]) -> Never:
    """Let the engine die when it has written."""
    write()
    raise Crash

"""What may happen to the log: it cannot be written, or its writer dies around the write."""

from __future__ import annotations

from collections.abc import Callable

from syncfsm.errors import LogUnwritable
from syncfsm_simulator.stage.port import Crash, Port

Write = Callable[[], None]
"""What is to be written to the log, once it is called."""


class SimulatedUnwritable(LogUnwritable):
    """The log could not be written, but only for the simulation; a real full disk ends the run."""


APPEND: Port[Write, None] = Port("append", lambda write: write())


def unwritable(words: str) -> Callable[[Write], None]:
    """Let the log refuse, for a reason."""

    def effect(_: Write) -> None:
        raise SimulatedUnwritable(f"simulated: {words}")

    return effect


def crash_before(_: Write) -> None:
    """Let the engine die before it writes."""
    raise Crash


def crash_after(write: Write) -> None:
    """Let the engine die when it has written."""
    write()
    raise Crash

"""Waiting for a log that another process holds, without holding up whoever shares the event loop.

A database waits by itself, and everything in the program with it. So what writes to the log from a coroutine
does not let it wait: it is told at once that the log is held, and tries again in small steps of the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, Protocol, TypeVar, cast

from syncfsm.errors import LogUnwritable
from syncfsm.outside.clock import Clock

P = ParamSpec("P")
R = TypeVar("R")

STEP_S = 0.05
"""How long until the next try."""


class Prompt(Protocol):
    """A log that can be told not to wait."""

    def at_once(self) -> AbstractContextManager[float]:
        """Let nothing within it wait for whoever holds the log; what it would wait is yielded, seconds."""
        ...


async def patiently(log: object, clock: Clock, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a write to a log returns, as soon as nobody else holds it.

    Args:
        log: The log; one that cannot be told not to wait does so.
        clock: Time.
        write: Writes all or nothing, and may be called again where the log was held.
        args: What it is called with.
        kwargs: Likewise.

    Raises:
        LogUnwritable: It cannot be written, or is held for longer than it waits.
    """
    if not hasattr(log, "at_once"):
        return write(*args, **kwargs)
    tries_left = None
    while True:
        with cast("Prompt", log).at_once() as patience_s:
            if tries_left is None:
                tries_left = round(patience_s / STEP_S)
            try:
                return write(*args, **kwargs)
            except LogUnwritable as held:
                if not held.is_locked or tries_left <= 0:
                    raise
        tries_left -= 1
        await clock.sleep(STEP_S)

"""What keeps syncs from beginning or going on, told once, and not at each try."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from syncfsm.errors import (
    ActiveSync,
    AppendInDoubt,
    LogUnwritable,
    NotActive,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.outside.clock import Clock, SteadyClock

SAID_EVERY = timedelta(minutes=10)
"""How often it is said that the same is still in the way of a sync."""


BUSY = (ActiveSync, AppendInDoubt, LogUnwritable, NotActive, VersionConflict)
"""Errors that the next try may find gone: another worker was faster, or the log cannot be written now."""


class Troubles:
    """Tells of troubles.

    Args:
        clock: Time.
        on_trouble: Called with the name of the sync and what is in its way.
    """

    def __init__(self, clock: Clock, on_trouble: Callable[[str, SyncfsmError], None]) -> None:
        self._steady = SteadyClock(clock)
        self._on_trouble = on_trouble
        self._said: dict[str, tuple[str, datetime]] = {}

    def tell(self, name: str, error: SyncfsmError) -> None:
        """Tell of one, unless it is the one that was told of this sync a short while ago."""
        words, now = f"{type(error).__name__}: {error}", self._steady.now()
        said, said_at = self._said.get(name, ("", now))
        if said != words or now - said_at >= SAID_EVERY:
            self._said[name] = words, now
            self._on_trouble(name, error)

    def forget(self, name: str) -> None:
        """Let the next be told, whatever it is: this one is over."""
        self._said.pop(name, None)

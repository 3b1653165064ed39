"""One slice of one sync: what is called by a queue that is not ours, by a schedule, by a cloud's function.

The log says what there is to do, so a call needs nothing but the name of a sync, and does no harm if it comes
twice, late, or for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.engine.requests import Leaves
from syncfsm.log.patience import patiently
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SteadyClock, SystemClock
from syncfsm.workers.account_sync import AccountSync
from syncfsm.workers.standing import due_in_s, last_process

T = TypeVar("T")

SLICE_S = 30.0

WAIT_S_MAX = 2.0
"""For how long a slice waits; what has to wait longer is left, and due again when the wait is over."""

EARLY_S = 1.0
"""By how much a sync may begin before it is due."""


class Place(Value, frozen=True):
    """Where a sync stood when somebody asked for a slice of it.

    Attributes:
        process: What came last of it; null if nothing did.
        version: The version of that; 0 if there was none.
    """

    process: str | None = None
    version: int = 0


def place_of(process: Process | None) -> Place:
    """Return where a sync stands whose last process this is."""
    return Place() if process is None else Place(process=process.id, version=process.version)


class Within:
    """Lets a slice go on for so long: see `Leaves`. However short that is, a slice takes a step.

    Args:
        seconds: How long.
        clock: Time; the machine's if `None`.
    """

    def __init__(self, seconds: float, *, clock: Clock | None = None) -> None:
        self._steady = SteadyClock(clock or SystemClock())
        self._ends_at = self._steady.now() + timedelta(seconds=seconds)
        self._has_begun = False

    def __call__(self, wait_s: float) -> bool:
        """Say whether to leave a process that is due in so many seconds."""
        is_over = self._has_begun and self._steady.now() >= self._ends_at
        self._has_begun = True
        return is_over or wait_s > WAIT_S_MAX


async def work_on(
    log: EventLog,
    sync: AccountSync[T],
    *,
    leaves: Leaves | None = None,
    at: Place | None = None,
    clock: Clock | None = None,
    on_over: Callable[[AccountSync[T], Process], None] = lambda _sync, _process: None,
) -> Process | None:
    """Work on a sync for a while: begin it if it is due, or go on with it.

    What is not due is left alone. An account is to be worked on by one call at a time, or its rate limit is
    kept by each and not by all: see `turn_of`.

    Args:
        log: The log.
        sync: The sync.
        leaves: When to leave it, between two pages; `Within(SLICE_S)` if `None`.
        at: Where it stood when it was asked for; if it does not stand there any more, nothing is done.
        clock: Time, by which it is due; the machine's if `None`.
        on_over: Called with the sync and a process that is over or has failed.

    Returns:
        The last process; one that is active is to be gone on with, when `due_in_s` says so. `None` if there
        is none, since it was not to begin.

    Raises:
        VersionConflict, ActiveSync, NotActive: Somebody else works on it, and goes on.
        LogError: The log cannot be read or written.
        ConfigurationError: No engine can be made, or what is wanted cannot work.
    """
    clock = clock or SystemClock()
    async with sync.engine() as engine:
        assert sync.route is not None, "its engine tells it"
        last = last_process(log, sync.route)
        if at is not None and at != place_of(last):
            return last
        if last is not None and due_in_s(last, every_s=sync.every_s, now=clock.now()) > EARLY_S:
            return last
        begun = await patiently(log, clock, sync.taken_up, engine)
        process = await engine.run(begun.id, leaves=leaves or Within(SLICE_S, clock=clock))
        if process.is_active:
            return process
        on_over(sync, process)
        return await patiently(log, clock, engine.start_sweep, process) or process

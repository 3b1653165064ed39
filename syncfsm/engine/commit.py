"""The only way an event gets into a log: fold, append, adopt. And stopping a process, which is no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from syncfsm.core import events as e
from syncfsm.core.capture import Recorder
from syncfsm.core.decide import ACTION_NAMES, next_action
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.giving_up import gave_up
from syncfsm.core.machine import State
from syncfsm.core.process import Process, fold
from syncfsm.errors import LogError, LogUnwritable, NotActive, VersionConflict
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.safe_words import raised_words

CONFLICTS_MAX = 10
"""Appends that a cancellation may lose to a busy worker before it gives up."""


class Hook(Protocol):
    """Called after each event is in the log, in order.

    What it raises stops the run, and is recorded as the process's failure, from which it can be taken up.
    What must never stop a run derives from `telemetry.Observer`, or is wrapped in `telemetry.Guarded`; all
    that syncfsm brings along is so. Any other may also cancel the process: then nothing more is asked for.
    """

    def __call__(self, process: Process, recorded: e.Recorded) -> None:
        """Take note of `recorded`; `process` is the state after its whole append."""
        ...


def commit(
    log: EventLog,
    process: Process | None,
    process_id: str,
    events: Sequence[e.Event],
    *,
    at: datetime,
    meta: Mapping[str, str] | None = None,
    hooks: Sequence[Hook] = (),
    recorder: Recorder | None = None,
    notices: Sequence[int] = (),
) -> Process:
    """Fold, append, adopt. Return the state after the events.

    What `recorder` has goes with them, and `notices` of the inbox count as taken by the process from then on.

    Raises:
        InvalidTransition: An event is not legal. Nothing was written.
        VersionConflict: Another worker appended first. Nothing was written.
        ActiveSync: A second sync of the same source object would be active. Nothing was written.
        LogUnwritable: The log cannot be written now.
        AppendInDoubt: The connection to the log was lost, and it is not known whether it was written.
    """
    version = process.version if process else 0
    recorded = [
        e.Recorded(stream=process_id, version=version + index, at=at, event=event, meta=dict(meta or {}))
        for index, event in enumerate(events, start=1)
    ]
    after = fold(process, recorded)
    assert after is not None, "an event leads to a state"
    exchanges = recorder.pending() if recorder else ()
    log.append(recorded, expected_version=version, after=after, exchanges=exchanges, notices=notices)
    if recorder:
        recorder.clear()
    try:
        for record in recorded:
            for hook in hooks:
                hook(after, record)
    except Exception as error:
        if isinstance(error, LogUnwritable):
            error.is_locked = False  # a log of the hook's: what was written here is not to be tried again
        _record_raised(log, after, error, at)
        raise
    return after


def _record_raised(log: EventLog, process: Process, error: Exception, at: datetime) -> None:
    """Let a process that is not over fail, since a hook raised; the other hooks do not hear of it."""
    action = next_action(process)
    if action is None:
        return
    failure = Failure(kind=FailureKind.RAISED, message=raised_words("a hook", error))
    with suppress(LogError):  # what was raised says more
        commit(log, process, process.id, (gave_up(process, ACTION_NAMES[type(action)], failure),), at=at)


def cancel(
    log: EventLog,
    process_id: str,
    *,
    by: str,
    why: str = "",
    clock: Clock | None = None,
    hooks: Sequence[Hook] = (),
) -> Process:
    """Stop an active process for good; a worker that is on it stops before its next page.

    A process that is cancelled already stays so.

    Raises:
        NotActive: It is over, or failed: there is nothing to stop.
        VersionConflict: A busy worker appended first each time. Try again.
    """
    clock = clock or SystemClock()
    for tries_left in reversed(range(CONFLICTS_MAX)):
        process = log.load(process_id)
        if process.state is State.CANCELLED:
            return process
        if not process.is_active:
            raise NotActive(f"process {process_id} is {process.state}: there is nothing to cancel")
        try:
            event = e.SyncCancelled(by=by, why=why)
            return commit(log, process, process_id, (event,), at=clock.now(), hooks=hooks)
        except VersionConflict:
            if not tries_left:
                raise
    raise AssertionError("unreachable: the last try returns or raises")

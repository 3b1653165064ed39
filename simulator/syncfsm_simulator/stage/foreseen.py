"""Errors that were raised within an engine: those that something on the stage let be raised, and all others.

An engine records both as failures of the process. The others are mistakes in our code, or in that of whoever
tests his own on this stage.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from syncfsm.core import events as e
from syncfsm.core.failure import FailureKind
from syncfsm.core.process import Process
from syncfsm.core.state import FailureReason
from syncfsm_simulator.stage.effects.mistakes import SimulatedMistake

SCRIPTED = "the script says so"
"""What an incident that is played says of a failure of its script."""

_FORESEEN = (SimulatedMistake.__name__, SCRIPTED)
"""What the words of an error hold that was raised on purpose."""


class Unforeseen(Exception):
    """Code broke what it promised, and nothing on the stage let it."""


def unforeseen(process: Process, raised: Exception | None) -> Exception | None:
    """Return what a process failed by, if it was an error that nothing on the stage let be raised.

    Args:
        process: As its engine left it.
        raised: The last error that was raised within that engine; none where a promise was broken.
    """
    failure = process.failure
    return (raised or Unforeseen(failure.error)) if failure and _is_unforeseen(failure) else None


def unforeseen_words(recorded: Iterable[e.Recorded]) -> str | None:
    """Return what is recorded of the first such error, if there was one."""
    ends = (record.event for record in recorded if isinstance(record.event, e.SyncFailed))
    return next((event.error for event in ends if _is_unforeseen(event)), None)


def surprise_words(error: Exception) -> str:
    """Return what an error was and where it came from."""
    places = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__}: {error}" + "".join(f" ({at.name}, line {at.lineno})" for at in places)


def _is_unforeseen(end: e.SyncFailed | FailureReason) -> bool:
    return end.reason == FailureKind.RAISED and not any(words in end.error for words in _FORESEEN)

"""The states of a process, and the one table that says what may follow what.

The table is given to `transitions.Machine`; the trigger of a transition is the type of the event. The
machine is used as a validated look-up and holds no process, so nothing can move by accident: no
conditions, no callbacks, no ignored triggers. A state that is no source in the table is final.
"""

from __future__ import annotations

import enum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transitions import Machine


class State(enum.StrEnum):
    """Where a process stands. `NONE` is the state before its first event."""

    NONE = "(none)"
    INITIALIZING = "INITIALIZING"
    FETCHING = "FETCHING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ACTIVE = (State.INITIALIZING, State.FETCHING)

TRANSITIONS: tuple[tuple[str, State, State], ...] = (
    # trigger            source               destination
    ("SyncStarted", State.NONE, State.INITIALIZING),
    ("FetchingBegan", State.INITIALIZING, State.FETCHING),
    ("NothingNewFound", State.INITIALIZING, State.COMPLETED),
    ("PageFetched", State.FETCHING, State.FETCHING),
    ("MissingFound", State.FETCHING, State.FETCHING),
    ("PageDelivered", State.FETCHING, State.FETCHING),
    ("RecordRejected", State.FETCHING, State.FETCHING),
    ("PagesShifted", State.FETCHING, State.FETCHING),
    ("RetryScheduled", State.INITIALIZING, State.INITIALIZING),
    ("RetryScheduled", State.FETCHING, State.FETCHING),
    ("SyncCompleted", State.FETCHING, State.COMPLETED),
    ("SyncFailed", State.INITIALIZING, State.FAILED),
    ("SyncFailed", State.FETCHING, State.FAILED),
    ("SyncCancelled", State.INITIALIZING, State.CANCELLED),
    ("SyncCancelled", State.FETCHING, State.CANCELLED),
    # Two rows: the event says which. A sync that never got to FETCHING has its checks to do again.
    ("SyncResumed", State.FAILED, State.INITIALIZING),
    ("SyncResumed", State.FAILED, State.FETCHING),
)


@cache
def machine() -> Machine:
    """Return the `transitions` machine built from the table, without a model."""
    from transitions import Machine as _Machine  # noqa: PLC0415 - kept off the import path

    return _Machine(
        model=None,
        states=[state.value for state in State],
        initial=State.NONE.value,
        transitions=[[trigger, source.value, dest.value] for trigger, source, dest in TRANSITIONS],
        auto_transitions=False,
    )


@cache
def destinations(state: State, trigger: str) -> tuple[State, ...]:
    """Return the states that `trigger` leads to from `state`; empty if it is not legal there."""
    return tuple(State(str(row.dest)) for row in machine().get_transitions(trigger, state.value))


@cache
def legal_triggers(state: State) -> tuple[str, ...]:
    """Return the event types that may follow in `state`, sorted; empty for a final state."""
    return tuple(sorted(set(machine().get_triggers(state.value))))

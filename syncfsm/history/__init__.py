"""What the log tells: the state at any version, what changed, what was rejected, what is missing."""

from __future__ import annotations

from syncfsm.history.difference import Change, Comparison, Parting, changes, compare
from syncfsm.history.rejects import Rejected, rejects_of
from syncfsm.history.replay import Moment, Timeline, at, find, first, moments

__all__ = [
    "Change",
    "Comparison",
    "Moment",
    "Parting",
    "Rejected",
    "Timeline",
    "at",
    "changes",
    "compare",
    "find",
    "first",
    "moments",
    "rejects_of",
]

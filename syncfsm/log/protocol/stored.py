"""An event as it is stored, and as a damaged log may have it. Nothing is decoded."""

from __future__ import annotations

from typing import NamedTuple

from syncfsm.core.pruning import Pruning
from syncfsm.core.value import Value


class StoredEvent(Value, frozen=True):
    """One event as it is stored: text and numbers, nothing decoded."""

    position: int
    stream: str
    version: int
    type: str
    schema: int
    at: str
    data: str
    meta: str
    digest: str


class Tally(Value, frozen=True):
    """What a log says of its events beside them: how many there are, and which is the last."""

    events: int
    position: int
    digest: str


class Scanned(Value, frozen=True):
    """One place of a log, as it was found there.

    Attributes:
        position: The place, told by its neighbours where it no longer says so itself.
        row: What is stored there; null where that cannot be read. Text that is no UTF-8 has U+FFFD in it.
        problem: What is wrong with the way it is stored; empty if nothing is. It says nothing of the digest.
        is_doubtful: Whether the row may have been read wrongly, and is only believed if its digest proves it.
    """

    position: int
    row: StoredEvent | None
    problem: str = ""
    is_doubtful: bool = False


class StoredPruning(NamedTuple):
    """A pruning as it is stored, chained to the one before it by its digest."""

    pruning: Pruning
    digest: str

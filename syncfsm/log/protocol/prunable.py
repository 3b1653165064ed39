"""Pruning: the events of what was over long ago go, and what stands for them stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from syncfsm.core.events import Mode
from syncfsm.core.machine import State
from syncfsm.core.pruning import Pruning, Reach


class Candidate(NamedTuple):
    """A process that is over, as far as the read model tells of it."""

    id: str
    source: str
    object: str
    sink: str
    mode: Mode
    changed_by: str
    state: State
    version: int
    position: int
    fetching_position: int | None
    end_position: int
    watermark: str | None
    created: int
    updated: int
    unchanged: int
    deleted: int
    missing: int
    items_left: int


class Place(NamedTuple):
    """An event that is to go, without what it says."""

    position: int
    stream: str
    version: int
    type: str
    at: str
    digest: str


class Links(NamedTuple):
    """What processes need of others: who has a parent, by id, and who has events of a type."""

    parents: dict[str, str]
    rejecting: list[str]
    delivering: list[str]


class Prunable(Protocol):
    """Forgets processes; `log/pruning` decides which."""

    def pruning_of(self, process_id: str) -> Pruning | None:
        """Return the pruning with which a process went, null if it did not."""
        ...

    def pruned_at(self) -> datetime | None:
        """Return when anything was pruned last, null if nothing ever was."""
        ...

    def pruned_until(self, source: str, object_: str, sink: str) -> Reach:
        """Return how far the pruned processes of a route reached."""
        ...

    def prunable(self, before: datetime) -> list[Candidate]:
        """Return the processes that are over and whose last events are earlier, in the order of their begin.

        Not those that took a notice which is still in the inbox: it says so.
        """
        ...

    def links(self) -> Links:
        """Return what processes need of others. It looks at all events, so it takes its time."""
        ...

    def prune(
        self, versions: dict[str, int], summed_up: Callable[[int, Sequence[Place]], Pruning]
    ) -> Pruning | None:
        """Delete processes with all that is kept of them, and write what stands for them, all or none.

        Args:
            versions: Of the processes; where one has moved on, nothing is done, and null is returned.
            summed_up: Makes of a number and of the events, in order, what stands for them.

        Raises:
            LogUnwritable: The log cannot be written now. Nothing was deleted.
        """
        ...

    def give_back(self, *, may_rebuild: bool) -> Callable[[], bool] | None:
        """Return what gives room back, a little each time, until it returns that there is no more.

        Args:
            may_rebuild: Whether a file that cannot give back any may be rebuilt, which takes as much room as
                it has and keeps writers waiting.

        Returns:
            Null where whoever holds the log sees to that, or where it cannot be done.
        """
        ...

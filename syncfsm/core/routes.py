"""What the processes of one source object and one sink come to: where a sync takes up, what they left. Pure.

What came last is told by the place in the log at which a process began, not by the time: that is what a wrong
clock has made wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from syncfsm.core.events import Mode
from syncfsm.core.machine import State
from syncfsm.core.value import Value


class Brief(Value, frozen=True):
    """A process in brief: as much of it as a log's read model says without folding its events.

    Attributes:
        position: The place in the log of its first event.
        watermark, changed_by: See `Process`.
        created, updated, unchanged, deleted, missing: See `Progress`.
    """

    id: str
    mode: Mode
    state: State
    position: int
    started_at: datetime
    watermark: datetime | None
    changed_by: str | None
    created: int
    updated: int
    unchanged: int
    deleted: int
    missing: int


def watermark(completed: Sequence[Brief], *, changed_by: str | None) -> datetime | None:
    """Return where an ongoing sync takes up: the latest watermark from the last initial sync on.

    So a sync of all records mends what a wrong clock made.

    Args:
        completed: The completed initial and ongoing syncs of a route, in the order in which they began; from
            the last initial one on is enough.
        changed_by: What the new sync asks by. Of ongoing syncs, those count that asked alike.
    """
    marks = [
        brief.watermark
        for brief in _from_last_initial(completed)
        if brief.watermark and (brief.mode == "initial" or brief.changed_by == changed_by)
    ]
    return max(marks, default=None)


def items_left(completed: Sequence[Brief]) -> int:
    """Return how many items completed processes have left in a sink, from the last initial sync on.

    Args:
        completed: The completed processes of a route, of every mode; see `watermark`.
    """
    return sum(map(_left, _from_last_initial(completed)))


def _from_last_initial(completed: Sequence[Brief]) -> Sequence[Brief]:
    places = [place for place, brief in enumerate(completed) if brief.mode == "initial"]
    return completed[places[-1] :] if places else ()


def _left(brief: Brief) -> int:
    """Return how many items more there are by a process; an initial sync has seen all that it leaves.

    What an initial one took for missing is none of what it saw; what another did was there before.
    """
    if brief.mode == "initial":
        return brief.created + brief.updated + brief.unchanged - brief.deleted
    return brief.created - brief.deleted - brief.missing

"""What the processes of one source object and one sink come to: where a sync takes up, what they left. Pure.

What came last is told by the place in the log at which a process began, not by the time: that is what a wrong
clock has made wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter

from syncfsm.core.events import Mode
from syncfsm.core.machine import State
from syncfsm.core.state import Route
from syncfsm.core.value import Value


class Brief(Value, frozen=True):
    """A process in brief: as much of it as is needed before its events are folded."""

    id: str
    mode: Mode
    state: State
    started_at: datetime


class Side(Value, frozen=True):
    """What the processes of a route come to that have one mode and ask by one key. Most routes have two.

    It outlives them: nothing here needs their events, nor themselves, to be still in the log.

    Attributes:
        changed_by: See `Process`.
        first_position: The place in the log at which the first of them began.
        last_position: That of the one that began last.
        last: The id of that.
        done: The id of the one that was completed last; null if none was.
        done_at: When.
        done_position: Where in the log the completed one began that began last.
        watermark: The latest of those that count.
        items_left: How many items more there are in the sink by those that count. They are the completed ones
            from that initial sync of the route on, itself included, that began last of all completed ones.
        fetching_position: The place of the last `FetchingBegan`; null if there is none.
        found: What the checks saw then.
    """

    route: Route
    mode: Mode
    changed_by: str | None
    first_position: int
    last_position: int
    last: str
    done: str | None
    done_at: datetime | None
    done_position: int | None
    watermark: datetime | None
    items_left: int
    fetching_position: int | None
    found: dict[str, str] | None


def watermark(sides: Sequence[Side], *, changed_by: str | None) -> datetime | None:
    """Return where an ongoing sync takes up: the latest watermark from the last initial sync on.

    So a sync of all records mends what a wrong clock made.

    Args:
        sides: Those of one route.
        changed_by: What the new sync asks by. Of ongoing syncs, those count that asked alike.
    """
    if not _has_initial(sides):
        return None
    marks = [
        side.watermark
        for side in sides
        if side.mode == "initial" or (side.mode == "ongoing" and side.changed_by == changed_by)
    ]
    return max((mark for mark in marks if mark), default=None)


def items_left(sides: Sequence[Side]) -> int:
    """Return how many items completed processes have left in a sink, from the last initial sync on."""
    return sum(side.items_left for side in sides) if _has_initial(sides) else 0


def _has_initial(sides: Iterable[Side]) -> bool:
    return any(side.mode == "initial" and side.done for side in sides)


def last_begun(sides: Iterable[Side], modes: Sequence[Mode]) -> str | None:
    """Return the id of the process of these modes that began last."""
    ours = [side for side in sides if side.mode in modes]
    return max(ours, key=lambda side: side.last_position).last if ours else None


def last_completed(sides: Iterable[Side], modes: Sequence[Mode]) -> str | None:
    """Return the id of the process of these modes that was completed last; of the same time, the first id."""
    done = [(side.done_at, side.done) for side in sides if side.mode in modes and side.done_at and side.done]
    return max(sorted(done, key=itemgetter(1)), key=itemgetter(0))[1] if done else None


def last_found(sides: Iterable[Side]) -> dict[str, str] | None:
    """Return what the checks saw when a process last began to fetch."""
    found = [(side.fetching_position, side.found) for side in sides if side.fetching_position is not None]
    return max(found, key=itemgetter(0))[1] if found else None


def first_begun(sides: Iterable[Side], mode: Mode) -> Route | None:
    """Return the route of which the first process of a mode was."""
    ours = [side for side in sides if side.mode == mode]
    return min(ours, key=lambda side: side.first_position).route if ours else None

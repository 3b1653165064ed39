"""The path of a process: what its events say of where it went, and nothing of whom it met. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

import msgspec

from syncfsm.core import events as e

WAIT_ERROR_S = 0.0011
"""By how much a wait may differ: an incident names waits in whole milliseconds, rounded down."""


class Parting(msgspec.Struct, frozen=True):
    """Where a path leaves another: the version, what was there, and what came instead."""

    version: int
    wanted: str
    came: str

    def words(self) -> str:
        """Return it in words."""
        return f"at version {self.version} came {self.came}, not {self.wanted}"


Mark = tuple[Any, ...]
"""What of an event must come again: its type, and the numbers of its page."""


def mark(event: e.Event | None) -> Mark:
    """Return what of an event must come again; of waits, see `is_same`."""
    return (type(event).__name__, *_MARKS[type(event)](event)) if event else ("nothing",)


def is_same(event: e.Event | None, other: e.Event | None) -> bool:
    """Whether two events are the same step of a path."""
    if mark(event) != mark(other):
        return False
    if isinstance(event, e.RetryScheduled) and isinstance(other, e.RetryScheduled):
        return abs(event.wait_s - other.wait_s) <= WAIT_ERROR_S
    return True


def parting(path: Iterable[e.Recorded], other: Iterable[e.Recorded]) -> Parting | None:
    """Return where the second path leaves the first, or `None` if it never does."""
    for version, (one, two) in enumerate(zip_longest(path, other), start=1):
        event, came = (one.event if one else None), (two.event if two else None)
        if not is_same(event, came):
            return Parting(version=version, wanted=_words(event), came=_words(came))
    return None


def _words(event: e.Event | None) -> str:
    name, *numbers = mark(event)
    waits = [f"{event.wait_s:.3f} s"] if isinstance(event, e.RetryScheduled) else []
    return f"{name} ({', '.join(map(str, [*numbers, *waits]))})" if numbers else str(name)


def _started(event: e.SyncStarted) -> Mark:
    return event.mode, event.page_size, event.order, event.options, len(event.record_ids)


def _fetched(event: e.PageFetched) -> Mark:
    taken, malformed = len(event.record_ids), len(event.malformed)
    place = (event.cursor, event.offset, event.limit, event.count, event.shift, event.margin)
    return (*place, taken, malformed, event.has_more, event.next_cursor, event.peek is not None)


def _completed(event: e.SyncCompleted) -> Mark:
    totals = event.totals
    return totals.pages, totals.fetched, totals.rejected


_MARKS: dict[type[e.Event], Callable[[Any], Mark]] = e.by_event(
    {
        e.SyncStarted: _started,
        e.FetchingBegan: lambda _: (),
        e.NothingNewFound: lambda _: (),
        e.PageFetched: _fetched,
        e.MissingFound: lambda event: (len(event.record_ids), event.known, bool(event.kept)),
        e.PageDelivered: lambda event: (
            event.cursor,
            event.created + event.updated + event.unchanged,
            event.rejected,
        ),
        e.RecordRejected: lambda event: (event.cursor,),
        e.RetryScheduled: lambda event: (event.action, event.cause, event.attempt, event.cursor),
        e.PagesShifted: lambda event: (event.cursor, event.offset, event.step_back, event.found is not None),
        e.SyncCompleted: _completed,
        e.SyncFailed: lambda event: (event.action, event.reason, event.resumable, event.cursor),
        e.SyncCancelled: lambda _: (),
        e.SyncResumed: lambda event: (event.to, event.page_size, event.options),
    }
)

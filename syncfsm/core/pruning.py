"""What a log says of processes that were pruned: what stands for their events, which are gone. Pure.

A log forgets what processes did long ago, and never that it has forgotten: which processes and positions
went, when and by whom, and all that is still asked of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import assert_never

from syncfsm.core import events as e
from syncfsm.core.events import Mode
from syncfsm.core.value import Value


class Gone(Value, frozen=True, array_like=True):
    """A process that was pruned, in few bytes: there are as many of them as there ever were processes.

    Attributes:
        position: The place of its last event that wrote into the sink; that of its first event if none did.
        version: From which of its versions on a mark of the sink speaks of all that it wrote; 0 if of any.
    """

    id: str
    position: int
    version: int


class Deeds(Value, frozen=True):
    """What the pruned processes did, and how they went.

    Attributes:
        by: Who pruned.
        before: Their last events were earlier than this.
        archive: The name of the file that they were exported to first; null if they were not.
        processes: In the order in which they began.
        places: The positions of their events: by turns how many are passed over, and how many follow.
        since, until: When the first and the last of their events were.
        ends: A digest over the digests of their last events, in the order of `processes`.
    """

    by: str
    before: datetime
    archive: str | None
    processes: tuple[Gone, ...]
    places: tuple[int, ...]
    since: datetime
    until: datetime
    fetched: int
    created: int
    updated: int
    deleted: int
    rejected: int
    ends: str

    @property
    def events(self) -> int:
        """How many events went."""
        return sum(self.places[1::2])

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield the first and the last position of each run of events that went."""
        position = 0
        for gap, count in zip(self.places[::2], self.places[1::2], strict=False):
            yield position + gap + 1, position + gap + count
            position += gap + count


class Pruning(Value, frozen=True):
    """One pruning, of processes of one side (see `routes.Side`).

    Attributes:
        number: From 1 on, in the order in which they were.
        source, object, sink, mode, changed_by: The side; `changed_by` is empty for none.
        first_position, last_position: Where the first and the last of the processes began.
        end_position: That of the last of their events.
        wrote_position: That of the last with which they wrote into the sink; 0 if there was none.
        watermark, items_left: What they add to those of the side.
    """

    number: int
    source: str
    object: str
    sink: str
    mode: Mode
    changed_by: str
    first_position: int
    last_position: int
    end_position: int
    wrote_position: int
    watermark: datetime | None
    items_left: int
    at: datetime
    deeds: Deeds

    def gone(self, process_id: str) -> Gone | None:
        """Return what is kept of a process, null if it is none of these."""
        return next((gone for gone in self.deeds.processes if gone.id == process_id), None)


class Reach(Value, frozen=True):
    """How far into a log the pruned processes of a route reached: their last event, the last that wrote."""

    end_position: int = 0
    wrote_position: int = 0


def last_write(stream: Iterable[e.Recorded], *, is_of_single: bool) -> tuple[int, int]:
    """Return the place of the last event with which a process wrote into its sink, and `Gone.version`.

    Args:
        stream: Its events.
        is_of_single: Whether it asked for single records, of which the counts do not tell what was written.
    """
    position = version = fetched = 0
    is_again = False
    for recorded in stream:
        match recorded.event:
            case e.PageFetched():
                fetched = recorded.version
            case e.PageDelivered() as page:
                if page.created or page.updated or page.deleted or is_again or is_of_single:
                    position, version = recorded.position or 0, fetched
                is_again = False
            case e.SyncCompleted(missing=missing) if missing:
                position, version = recorded.position or 0, recorded.version - 1
            case e.RetryScheduled(action="deliver") | e.SyncResumed():
                is_again = True
            case (
                e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound() | e.MissingFound()
                | e.RecordRejected() | e.RetryScheduled() | e.PagesShifted() | e.SyncCompleted()
                | e.SyncFailed() | e.SyncCancelled()
            ):  # fmt: skip
                pass
            case _:
                assert_never(recorded.event)
    return position, version


def places_of(positions: Iterable[int]) -> tuple[int, ...]:
    """Return positions, which must grow, as `Deeds.places` has them."""
    ordered = list(positions)
    starts = [0, *(place for place, (one, two) in enumerate(pairwise(ordered), start=1) if two != one + 1)]
    runs = [ordered[first:last] for first, last in pairwise([*starts, len(ordered)])]
    last = [0, *(run[-1] for run in runs)]
    return tuple(
        number for before, run in zip(last, runs, strict=False) for number in (run[0] - before - 1, len(run))
    )


class Ranges:
    """The positions of a log from which events were pruned."""

    def __init__(self, prunings: Iterable[Pruning] = ()) -> None:
        self._ranges = sorted(span for pruning in prunings for span in pruning.deeds.ranges())
        self._next = 0

    def holes(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield what is not pruned of the positions from `first` to `last`, which grow from call to call."""
        while self._next < len(self._ranges) and self._ranges[self._next][0] <= last:
            begins, ends = self._ranges[self._next]
            if begins > first:
                yield first, begins - 1
            first = max(first, ends + 1)
            if ends > last:
                break
            self._next += 1
        if first <= last:
            yield first, last

    def has(self, position: int) -> bool:
        """Whether what was at a position was pruned, asked of positions that grow."""
        return not list(self.holes(position, position))

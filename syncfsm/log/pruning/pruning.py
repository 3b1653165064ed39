"""Pruning a log: what is over long ago goes, portion by portion, each in a transaction of its own.

Whoever is stopped in between leaves a sound log, from which less was pruned; the next pruning goes on. Where
what goes is to be kept elsewhere, all of it is written there, and is safe, before the first event is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path

from syncfsm.core.pruning import Deeds, Gone, Pruning, last_write, places_of
from syncfsm.core.times import parse_time
from syncfsm.core.value import Value
from syncfsm.log.protocol import EventLog
from syncfsm.log.protocol.prunable import Candidate, Place
from syncfsm.log.pruning.archive import archive
from syncfsm.log.pruning.choosing import Choice
from syncfsm.outside.clock import SystemClock

_MAY_WRITE_UNCOUNTED = {"RetryScheduled", "SyncResumed"}
"""After these, a page may be delivered a second time, and its counts say nothing of the first."""


class Pruned(Value, frozen=True):
    """What came of a pruning.

    Attributes:
        processes, events: How many went.
        kept: How many processes stay though they are old enough: something still asks for them.
    """

    processes: int
    events: int
    kept: int


def prune(
    log: EventLog,
    *,
    before: datetime,
    keep_failed: bool = False,
    to: str | Path | None = None,
    by: str = "code",
    now: datetime | None = None,
    may_rebuild: bool = True,
    on_step: Callable[[int], object] = lambda _events: None,
) -> Pruned:
    """Delete what processes did that ended before a moment, and keep what stands for it.

    Args:
        log: The log; others may write to it meanwhile.
        before: What ended earlier goes, unless something still asks for it. See docs/logs.md.
        keep_failed: Whether those that failed stay.
        to: A file, which must not be there yet: an export of all that goes, written before anything goes.
        by: Who prunes; it is written down.
        now: When that is; by the machine's clock if `None`.
        may_rebuild: Whether a SQLite file of an older syncfsm is rebuilt, once, to give room back from then
            on: that takes as much room again, and nobody can write meanwhile.
        on_step: Called after each portion with the number of events that went until then.

    Raises:
        ConfigurationError: The file to export to is there already, or cannot be written.
        LogUnwritable: The log cannot be written now, or is only read.
    """
    choice = Choice(log, before=before, keep_failed=keep_failed)
    if to is not None and choice.portions:
        archive(log, {one.id for one in choice.processes}, Path(to))
    name = Path(to).name if to is not None else None
    processes = events = 0
    for pruning in in_portions(log, choice, before=before, by=by, now=now, archive_name=name):
        processes += len(pruning.deeds.processes)
        events += pruning.deeds.events
        on_step(events)
    give_back_all(log, may_rebuild=may_rebuild)
    return Pruned(processes=processes, events=events, kept=choice.kept)


def in_portions(
    log: EventLog,
    choice: Choice,
    *,
    before: datetime,
    by: str,
    now: datetime | None = None,
    archive_name: str | None = None,
) -> Iterator[Pruning]:
    """Yield each pruning when it is done: whoever does other things in between takes the next one later."""
    for portion in choice.portions:
        made = _Summary(log, portion, before=before, by=by, archive=archive_name)
        at = now or SystemClock().now()
        pruning = log.prune({one.id: one.version for one in portion}, partial(made.pruning, at))
        if pruning is not None:  # else one of them has moved on
            yield pruning


def give_back_all(log: EventLog, *, may_rebuild: bool) -> None:
    """Give the room back that is free, a little at a time."""
    step = log.give_back(may_rebuild=may_rebuild)
    while step is not None and not step():
        pass


class _Summary:
    """Sums up what goes at a time."""

    def __init__(
        self, log: EventLog, portion: Sequence[Candidate], *, before: datetime, by: str, archive: str | None
    ) -> None:
        self._log = log
        self._portion = portion
        self._before = before
        self._by = by
        self._archive = archive

    def pruning(self, at: datetime, number: int, places: Sequence[Place]) -> Pruning:
        """Return what stands for the events at these places."""
        first, last = self._portion[0], self._portion[-1]
        uncounted = {place.stream for place in places if place.type in _MAY_WRITE_UNCOUNTED}
        gone = [self._gone(one, may_write=one.id in uncounted) for one in self._portion]
        watermark = max((one.watermark for one in self._portion if one.watermark), default=None)
        return Pruning(
            number=number,
            source=first.source,
            object=first.object,
            sink=first.sink,
            mode=first.mode,
            changed_by=first.changed_by,
            first_position=first.position,
            last_position=last.position,
            end_position=max(place.position for place in places),
            wrote_position=max(position for position, _ in gone),
            watermark=parse_time(watermark) if watermark else None,
            items_left=sum(one.items_left for one in self._portion),
            at=at,
            deeds=self._deeds(places, [one for _, one in gone]),
        )

    def _deeds(self, places: Sequence[Place], gone: Sequence[Gone]) -> Deeds:
        counts = {
            name: sum(getattr(one, name) for one in self._portion)
            for name in ("created", "updated", "unchanged", "deleted")
        }
        rejected = sum(place.type == "RecordRejected" for place in places)
        fetched = sum(counts.values()) + rejected
        del counts["unchanged"]
        ends = {place.stream: place.digest for place in places}
        times = sorted(place.at for place in places)
        return Deeds(
            by=self._by,
            before=self._before,
            archive=self._archive,
            processes=tuple(gone),
            places=places_of(place.position for place in places),
            since=parse_time(times[0]),
            until=parse_time(times[-1]),
            fetched=fetched,
            rejected=rejected,
            ends=blake2b("".join(ends[one.id] for one in gone).encode(), digest_size=16).hexdigest(),
            **counts,
        )

    def _gone(self, one: Candidate, *, may_write: bool) -> tuple[int, Gone]:
        """Return where a process wrote last, 0 if it did not, and what is kept of it."""
        is_of_single = one.mode in {"webhook", "rejects"}
        has_counted = one.created or one.updated or one.deleted or one.missing
        position = version = 0
        if is_of_single or has_counted or may_write:
            position, version = last_write(self._log.read(one.id), is_of_single=is_of_single)
        return position, Gone(id=one.id, position=position or one.position, version=version)

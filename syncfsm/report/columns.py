"""One process as columns: everything a page needs to show it at any version, and nothing to compute.

The fold happens here, in Python, once. What the state is after each event is written down, so that a page
only looks values up: a second fold in JavaScript could disagree with the first. Columns, not objects, since
a process of 20,000 events would repeat the same names 20,000 times. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from syncfsm.core import events as e
from syncfsm.core.describe import action_words, event_words
from syncfsm.core.summary import summary
from syncfsm.core.value import Value
from syncfsm.history.replay import Moment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_THE_EVENT = ("version", "updated_at")  # fields that the event itself tells, anew at each version


class Runs(Value, frozen=True):
    """A column that seldom changes: `values[i]` holds from version `versions[i]` on."""

    versions: tuple[int, ...]
    values: tuple[Any, ...]


class Columns(Value, frozen=True):
    """One process; what is here once for each event is ordered by version, from 1 on.

    Attributes:
        process: The id.
        began_us: When its first event happened, microseconds since 1970.
        times_us: When each event happened, microseconds since the first; they may go back where a clock did.
        types: The types of events that there are, by their first appearance.
        type_of: For each event, the index of its type in `types`.
        words: What each event says.
        fields: The fields of `summary`, at each version, but those that the event itself tells.
        next: What the process would do next, in words.
        meta: What an embedding program remembered beside an event, in words; empty where nothing.
        fetch_ms: How long the request of a page took, at the version of its PageFetched.
        deliver_ms: How long the sink took for a page, at the version of its PageDelivered.
        waits: The versions at which a retry was scheduled, each with the end of the wait: microseconds since
            the first event.
    """

    process: str
    began_us: int
    times_us: tuple[int, ...]
    types: tuple[str, ...]
    type_of: tuple[int, ...]
    words: tuple[str, ...]
    fields: dict[str, Runs]
    next: Runs
    meta: Runs
    fetch_ms: Runs
    deliver_ms: Runs
    waits: Runs


def columns(steps: Iterable[Moment]) -> Columns:
    """Return the columns of the steps of one process, of which there is at least one, in order."""
    builder = _Builder()
    for moment in steps:
        builder.take(moment)
    return builder.built()


class _Column:
    """A column in the making."""

    def __init__(self) -> None:
        self.versions: list[int] = []
        self.values: list[Any] = []

    def add(self, version: int, value: Any) -> None:
        self.versions.append(version)
        self.values.append(value)

    def change(self, version: int, value: Any) -> None:
        """Add a value, unless it is what the column says already."""
        if not self.values or self.values[-1] != value:
            self.add(version, value)

    def built(self) -> Runs:
        return Runs(versions=tuple(self.versions), values=tuple(self.values))


class _Builder:
    """Takes the steps of a process, one by one."""

    def __init__(self) -> None:
        self._process = ""
        self._began_at = _EPOCH
        self._times_us: list[int] = []
        self._types: dict[str, int] = {}
        self._type_of: list[int] = []
        self._words: list[str] = []
        self._fields: dict[str, _Column] = {}
        self._next, self._meta = _Column(), _Column()
        self._fetch_ms, self._deliver_ms, self._waits = _Column(), _Column(), _Column()

    def take(self, moment: Moment) -> None:
        recorded, after = moment.recorded, moment.after
        if moment.before is None:
            self._process, self._began_at = after.id, recorded.at
        time_us = self._since_us(recorded.at)
        self._end_wait(time_us)
        self._times_us.append(time_us)
        self._type_of.append(self._types.setdefault(recorded.type, len(self._types)))
        self._words.append(event_words(recorded.event))
        for name, value in summary(after).items():
            if name not in _OF_THE_EVENT:
                self._fields.setdefault(name, _Column()).change(after.version, value)
        self._next.change(after.version, action_words(after, moment.next_action))
        self._meta.change(after.version, _meta_words(recorded.meta))
        self._take_times(after.version, recorded.event)

    def _take_times(self, version: int, event: e.Event) -> None:
        match event:
            case e.PageFetched():
                self._fetch_ms.add(version, event.elapsed_ms)
            case e.PageDelivered():
                self._deliver_ms.add(version, event.elapsed_ms)
            case e.RetryScheduled():
                self._waits.add(version, self._since_us(event.retry_at))
            case (
                e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
                | e.MissingFound() | e.RecordRejected()
                | e.PagesShifted() | e.SyncCompleted() | e.SyncFailed() | e.SyncCancelled() | e.SyncResumed()
            ):  # fmt: skip
                pass
            case _:
                assert_never(event)

    def _end_wait(self, time_us: int) -> None:
        """End the wait before an event with the event, where that came first: a cancellation, say."""
        if self._waits.versions and self._waits.versions[-1] == len(self._times_us):
            self._waits.values[-1] = min(self._waits.values[-1], time_us)

    def _since_us(self, at: datetime) -> int:
        return (at - self._began_at) // timedelta(microseconds=1)

    def built(self) -> Columns:
        assert self._times_us, "a process has at least one event"
        return Columns(
            process=self._process,
            began_us=(self._began_at - _EPOCH) // timedelta(microseconds=1),
            times_us=tuple(self._times_us),
            types=tuple(self._types),
            type_of=tuple(self._type_of),
            words=tuple(self._words),
            fields={name: column.built() for name, column in self._fields.items()},
            next=self._next.built(),
            meta=self._meta.built(),
            fetch_ms=self._fetch_ms.built(),
            deliver_ms=self._deliver_ms.built(),
            waits=self._waits.built(),
        )


def _meta_words(meta: dict[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in meta.items())

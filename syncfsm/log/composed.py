"""An event log made of its parts, one for each protocol: a backend makes the parts, callers see one log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Self

from syncfsm.core.capture import Captured, Exchange, Forgotten
from syncfsm.core.events import Mode, Recorded
from syncfsm.core.notices import Notice, Waiting
from syncfsm.core.process import Process
from syncfsm.core.pruning import Pruning, Reach
from syncfsm.core.routes import Side
from syncfsm.core.state import Route
from syncfsm.log.protocol import (
    Auditable,
    Captures,
    EventStore,
    Inbox,
    Prunable,
    Restorable,
    Routes,
    Scanned,
    StoredEvent,
    Tally,
)
from syncfsm.log.protocol.prunable import Candidate, Links, Place
from syncfsm.log.protocol.stored import StoredPruning


class ComposedLog:
    """An `EventLog` that passes every call on to the part whose it is."""

    path: str

    def __init__(
        self,
        *,
        events: EventStore,
        routes: Routes,
        inbox: Inbox,
        captures: Captures,
        audit: Auditable,
        restoring: Restorable,
        pruning: Prunable,
        close: Callable[[], None],
    ) -> None:
        self._events = events
        self._routes = routes
        self._inbox = inbox
        self._captures = captures
        self._audit = audit
        self._restoring = restoring
        self._pruning = pruning
        self._close = close

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the log."""
        self.close()

    def close(self) -> None:
        """See `EventLog.close`."""
        self._close()

    # ── events ───────────────────────────────────────────────────────────────────────────────

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
        notices: Sequence[int] = (),
    ) -> None:
        """See `EventStore.append`."""
        self._events.append(
            events, expected_version=expected_version, after=after, exchanges=exchanges, notices=notices
        )

    def read(self, process_id: str, *, after: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """See `EventStore.read`."""
        return self._events.read(process_id, after=after, until=until)

    def stored_events(self, process_id: str | None = None) -> Iterator[StoredEvent]:
        """See `EventStore.stored_events`."""
        return self._events.stored_events(process_id)

    def last_position(self, *, before: datetime | None = None) -> int:
        """See `EventStore.last_position`."""
        return self._events.last_position(before=before)

    def events_after(
        self, position: int, *, process_id: str | None = None, count_max: int = 500
    ) -> list[Recorded]:
        """See `EventStore.events_after`."""
        return self._events.events_after(position, process_id=process_id, count_max=count_max)

    def last_events(self, count: int, *, process_id: str | None = None) -> list[Recorded]:
        """See `EventStore.last_events`."""
        return self._events.last_events(count, process_id=process_id)

    def load(self, process_id: str) -> Process:
        """See `EventStore.load`."""
        return self._events.load(process_id)

    def loaded(self, process_ids: Sequence[str]) -> Iterator[Process]:
        """See `EventStore.loaded`."""
        return self._events.loaded(process_ids)

    def version(self, process_id: str) -> int:
        """See `EventStore.version`."""
        return self._events.version(process_id)

    def ids(self, *, begin_with: str = "", last: int | None = None) -> list[str]:
        """See `EventStore.ids`."""
        return self._events.ids(begin_with=begin_with, last=last)

    def restore(
        self,
        rows: Iterable[StoredEvent],
        after: Callable[[], Iterable[Process]],
        prunings: Sequence[StoredPruning] = (),
    ) -> None:
        """See `Restorable.restore`."""
        self._restoring.restore(rows, after, prunings)

    # ── pruning ──────────────────────────────────────────────────────────────────────────────

    def pruning_of(self, process_id: str) -> Pruning | None:
        """See `Prunable.pruning_of`."""
        return self._pruning.pruning_of(process_id)

    def pruned_at(self) -> datetime | None:
        """See `Prunable.pruned_at`."""
        return self._pruning.pruned_at()

    def pruned_until(self, source: str, object_: str, sink: str) -> Reach:
        """See `Prunable.pruned_until`."""
        return self._pruning.pruned_until(source, object_, sink)

    def prunable(self, before: datetime) -> list[Candidate]:
        """See `Prunable.prunable`."""
        return self._pruning.prunable(before)

    def links(self) -> Links:
        """See `Prunable.links`."""
        return self._pruning.links()

    def prune(
        self, versions: dict[str, int], summed_up: Callable[[int, Sequence[Place]], Pruning]
    ) -> Pruning | None:
        """See `Prunable.prune`."""
        return self._pruning.prune(versions, summed_up)

    def give_back(self, *, may_rebuild: bool) -> Callable[[], bool] | None:
        """See `Prunable.give_back`."""
        return self._pruning.give_back(may_rebuild=may_rebuild)

    # ── routes ───────────────────────────────────────────────────────────────────────────────

    def active(self, source: str, object_: str) -> Process | None:
        """See `Routes.active`."""
        return self._routes.active(source, object_)

    def recent(self, *, over_max: int) -> list[Process]:
        """See `Routes.recent`."""
        return self._routes.recent(over_max=over_max)

    def routes(self, source: str | None = None) -> list[Route]:
        """See `Routes.routes`."""
        return self._routes.routes(source)

    def sides(self, source: str, object_: str | None = None, sink: str | None = None) -> Sequence[Side]:
        """See `Routes.sides`."""
        return self._routes.sides(source, object_, sink)

    def moved_since(self, source: str, object_: str, sink: str, *, position: int) -> list[Process]:
        """See `Routes.moved_since`."""
        return self._routes.moved_since(source, object_, sink, position=position)

    def latest(
        self, source: str, object_: str, sink: str, *, mode: Mode | None = "initial"
    ) -> Process | None:
        """See `Routes.latest`."""
        return self._routes.latest(source, object_, sink, mode=mode)

    def last_begun(self, source: str, object_: str, sink: str) -> Process | None:
        """See `Routes.last_begun`."""
        return self._routes.last_begun(source, object_, sink)

    def last_completed(self, source: str, object_: str, sink: str) -> Process | None:
        """See `Routes.last_completed`."""
        return self._routes.last_completed(source, object_, sink)

    def last_found(self, source: str, sink: str) -> dict[str, str] | None:
        """See `Routes.last_found`."""
        return self._routes.last_found(source, sink)

    def last_sync_time(
        self, source: str, object_: str, sink: str, *, changed_by: str | None = None
    ) -> datetime | None:
        """See `Routes.last_sync_time`."""
        return self._routes.last_sync_time(source, object_, sink, changed_by=changed_by)

    def items_left_by_syncs(self, source: str, object_: str, sink: str) -> int:
        """See `Routes.items_left_by_syncs`."""
        return self._routes.items_left_by_syncs(source, object_, sink)

    def webhook_sink(self, source: str, object_: str) -> str | None:
        """See `Routes.webhook_sink`."""
        return self._routes.webhook_sink(source, object_)

    # ── inbox and captures ───────────────────────────────────────────────────────────────────

    def receive(self, notice: Notice) -> bool:
        """See `Inbox.receive`."""
        return self._inbox.receive(notice)

    def waiting(
        self, source: str, object_: str, *, until: datetime | None = None, now: datetime | None = None
    ) -> Waiting:
        """See `Inbox.waiting`."""
        return self._inbox.waiting(source, object_, until=until, now=now)

    def clear_inbox(self, before: datetime) -> int:
        """See `Inbox.clear_inbox`."""
        return self._inbox.clear_inbox(before)

    def captures(self, process_id: str) -> list[Captured]:
        """See `Captures.captures`."""
        return self._captures.captures(process_id)

    def exchange(self, capture_id: int) -> Exchange:
        """See `Captures.exchange`."""
        return self._captures.exchange(capture_id)

    def capture_counts(self) -> dict[str, int]:
        """See `Captures.capture_counts`."""
        return self._captures.capture_counts()

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """See `Captures.forget`."""
        return self._captures.forget(before=before, process_id=process_id)

    # ── audit ────────────────────────────────────────────────────────────────────────────────

    @property
    def has_gaps(self) -> bool:
        """See `Auditable.has_gaps`."""
        return self._audit.has_gaps

    def reading(self) -> AbstractContextManager[None]:
        """See `Auditable.reading`."""
        return self._audit.reading()

    def scan(self) -> Iterator[Scanned]:
        """See `Auditable.scan`."""
        return self._audit.scan()

    def prunings(self) -> list[StoredPruning]:
        """See `Auditable.prunings`."""
        return self._audit.prunings()

    def position_given(self) -> int | None:
        """See `Auditable.position_given`."""
        return self._audit.position_given()

    def tally(self) -> Tally | None:
        """See `Auditable.tally`."""
        return self._audit.tally()

    def doubts(self) -> list[str]:
        """See `Auditable.doubts`."""
        return self._audit.doubts()

    def side_doubts(self) -> list[str]:
        """See `Auditable.side_doubts`."""
        return self._audit.side_doubts()

    def damages(self) -> list[str]:
        """See `Auditable.damages`."""
        return self._audit.damages()

    def notices_waiting(self) -> int | None:
        """See `Auditable.notices_waiting`."""
        return self._audit.notices_waiting()

    def projection(self) -> dict[str, int]:
        """See `Auditable.projection`."""
        return self._audit.projection()

    def model_doubt(self, process: Process, *, position: int, fetching_position: int | None) -> str | None:
        """See `Auditable.model_doubt`."""
        return self._audit.model_doubt(process, position=position, fetching_position=fetching_position)

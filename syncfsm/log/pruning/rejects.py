"""Rejects that somebody may still ask for: whose events they need."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, TypeAlias

from syncfsm.core import events as e
from syncfsm.core.deliveries import deliveries
from syncfsm.core.state import Route
from syncfsm.log.protocol import EventStore
from syncfsm.log.protocol.prunable import Links

_Key: TypeAlias = tuple[Route, str]


class Owed(NamedTuple):
    """Who has a reject that is open, and nobody rejected after; and whose events say that it is not."""

    open: set[str]
    settled_by: dict[str, set[str]]


class _Account:
    """What became of rejects, process by process in the order in which they began."""

    def __init__(self) -> None:
        self._rejected: dict[str, list[tuple[_Key, int]]] = defaultdict(list)
        self._last_rejecter: dict[_Key, str] = {}
        self._settled: dict[_Key, tuple[int, str, int | None]] = {}
        self._order: dict[str, int] = {}

    def take(self, process_id: str, route: Route, events: list[e.Recorded]) -> None:
        """Take in what a process delivered of what was rejected before, and what it rejects."""
        order = self._order[process_id] = len(self._order)
        for record_id, recorded in deliveries(events):
            if (route, record_id) in self._last_rejecter:
                position = recorded.position if recorded else None
                self._settled[route, record_id] = (order, process_id, position)
        for recorded in events:
            if isinstance(recorded.event, e.RecordRejected) and recorded.event.record_id:
                key = (route, recorded.event.record_id)
                self._rejected[process_id].append((key, recorded.position or 0))
                self._last_rejecter[key] = process_id

    def owed(self) -> Owed:
        """Return what came of it."""
        owed = Owed(set(), defaultdict(set))
        for process_id, rejects in self._rejected.items():
            for key, position in rejects:
                by = self._settler(process_id, key, position)
                if by is not None:
                    owed.settled_by[process_id].add(by)
                elif self._last_rejecter[key] == process_id:
                    owed.open.add(process_id)
        return owed

    def _settler(self, process_id: str, key: _Key, position: int) -> str | None:
        """Return who delivered a record that was rejected, or found it gone; see `history.rejects`."""
        order, by, settled_at = self._settled.get(key, (0, "", None))
        is_later = order > self._order[process_id] and (settled_at is None or settled_at > position)
        return by if is_later else None


def owed(log: EventStore, links: Links) -> Owed:
    """Return whose events the rejects of a log need."""
    if not links.rejecting:
        return Owed(set(), {})
    meant = {*links.rejecting, *links.delivering}
    begun = [process_id for process_id in log.ids() if process_id in meant]
    rejecting = set(links.rejecting)
    first = next(place for place, process_id in enumerate(begun) if process_id in rejecting)
    account = _Account()
    for process in log.loaded(begun[first:]):
        route = Route(source=process.source, object=process.object, sink=process.sink)
        account.take(process.id, route, list(log.read(process.id)))
    return account.owed()

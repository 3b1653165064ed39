"""The questions of `Routes`, answered from any read model: what counts as the last, and where to go on.

Each costs a look at a few rows and at most one process, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import get_args

from syncfsm.core import routes
from syncfsm.core.events import Mode
from syncfsm.core.machine import ACTIVE, State
from syncfsm.core.process import Process
from syncfsm.core.routes import Side
from syncfsm.core.state import Route
from syncfsm.log.protocol import EventStore
from syncfsm.log.read_model import Query, ReadModel

_OVER = (State.COMPLETED, State.FAILED, State.CANCELLED)
_SYNCS: tuple[Mode, ...] = ("initial", "ongoing")
_MODES: tuple[Mode, ...] = get_args(Mode)


class ModelRoutes:
    """`Routes` over a read model.

    Args:
        model: What is asked.
        events: Asked for the states of processes.
        resumed_after: Returns the processes that were resumed behind a position; see `Routes.moved_since`.
    """

    def __init__(
        self, model: ReadModel, events: EventStore, resumed_after: Callable[[int], Sequence[str]]
    ) -> None:
        self._model = model
        self._events = events
        self._resumed_after = resumed_after

    def active(self, source: str, object_: str) -> Process | None:
        """See `Routes.active`."""
        found = self._model.select(Query(source=source, object=object_, states=ACTIVE, count_max=1))
        return self._loaded(found[0].id if found else None)

    def recent(self, *, over_max: int) -> list[Process]:
        """See `Routes.recent`."""
        active = self._model.select(Query(states=ACTIVE))
        over = self._model.select(Query(states=_OVER, sorting="last_moved", count_max=over_max))
        active.sort(key=lambda brief: (brief.started_at, brief.id))
        return list(self._events.loaded([brief.id for brief in (*active, *over)]))

    def routes(self, source: str | None = None) -> list[Route]:
        """See `Routes.routes`."""
        return self._model.routes(source)

    def sides(self, source: str, object_: str | None = None, sink: str | None = None) -> Sequence[Side]:
        """See `Routes.sides`."""
        return self._model.sides(source, object_, sink)

    def moved_since(self, source: str, object_: str, sink: str, *, position: int) -> list[Process]:
        """See `Routes.moved_since`."""
        begun = self._model.select(Query(source=source, object=object_, sink=sink, position_min=position + 1))
        ids = dict.fromkeys((*(brief.id for brief in begun), *self._resumed_after(position)))
        found = self._events.loaded(list(ids))
        ours = (source, object_, sink)
        return [process for process in found if (process.source, process.object, process.sink) == ours]

    def latest(
        self, source: str, object_: str, sink: str, *, mode: Mode | None = "initial"
    ) -> Process | None:
        """See `Routes.latest`."""
        sides = self.sides(source, object_, sink)
        return self._loaded(routes.last_begun(sides, (mode,) if mode else _MODES))

    def last_begun(self, source: str, object_: str, sink: str) -> Process | None:
        """See `Routes.last_begun`."""
        return self._loaded(routes.last_begun(self.sides(source, object_, sink), _SYNCS))

    def last_completed(self, source: str, object_: str, sink: str) -> Process | None:
        """See `Routes.last_completed`."""
        return self._loaded(routes.last_completed(self.sides(source, object_, sink), _SYNCS))

    def last_found(self, source: str, sink: str) -> dict[str, str] | None:
        """See `Routes.last_found`."""
        return routes.last_found(self._model.sides(source, sink=sink))

    def last_sync_time(
        self, source: str, object_: str, sink: str, *, changed_by: str | None = None
    ) -> datetime | None:
        """See `Routes.last_sync_time`."""
        return routes.watermark(self.sides(source, object_, sink), changed_by=changed_by)

    def items_left_by_syncs(self, source: str, object_: str, sink: str) -> int:
        """See `Routes.items_left_by_syncs`."""
        return routes.items_left(self.sides(source, object_, sink))

    def webhook_sink(self, source: str, object_: str) -> str | None:
        """See `Routes.webhook_sink`."""
        first = routes.first_begun(self._model.sides(source, object_), "webhook")
        return first.sink if first else None

    def _loaded(self, process_id: str | None) -> Process | None:
        return self._events.load(process_id) if process_id is not None else None

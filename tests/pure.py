"""A sync without any I/O: the pure core driven by a function that answers requests for rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.failure import Failure
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process, fold

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Row(msgspec.Struct, frozen=True):
    id: str
    key: str
    problem: str = ""


Answer = Sequence[Row] | Failure


class PureSync:
    """Runs the loop by hand; keeps every event and every request."""

    def __init__(
        self,
        answer: Callable[[PageRequest], Answer],
        *,
        page_size: int = 50,
        order: Order = "newest",
        options: Options | None = None,
        record_ids: tuple[str, ...] = (),
        is_total: bool = True,
        missing: tuple[str, ...] = (),
    ) -> None:
        self.answer = answer
        self.missing = missing  # what the sink has, no page has, and is to be deleted
        self.is_total = is_total
        self.next_token: str | None = None  # the cursor that comes with the answer
        self.total: int | None = None  # the total that comes with it
        self.at = EPOCH
        self.requests: list[PageRequest] = []
        self.recorded: list[e.Recorded] = []
        self.delivered: list[str] = []
        started = e.SyncStarted(
            source="model",
            object="people",
            sink="list",
            mode="rejects" if record_ids else "initial",
            page_size=page_size,
            order=order,
            options=options or Options(limit_max=10**6),
            parent="p0" if record_ids else None,
            record_ids=record_ids,
            deletes_missing=bool(missing),
        )
        self.process = self._append(None, (started,))

    def run(self, actions_max: int = 10_000) -> Process:
        for _ in range(actions_max):
            if not self.turn():
                return self.process
        raise AssertionError(f"no end after {actions_max} actions: {self.process!r}")

    def turn(self) -> bool:
        """Perform the next action; say whether there was one."""
        action = d.next_action(self.process)
        if action is None:
            return False
        self.process = self._append(self.process, d.decide(self.process, self._perform(action)))
        return True

    def _perform(self, action: d.Action) -> d.Outcome:
        if action.not_before is not None:
            self.at = max(self.at, action.not_before)
        match action:
            case d.CheckSetup():
                return d.Checked(found={})
            case d.FetchPage():
                return self._fetch(action.request)
            case d.DeliverPage():
                self.delivered.extend(action.record_ids)
                created = len(action.record_ids)
                return d.Delivered(created=created, updated=0, unchanged=0, rejects=(), elapsed_ms=1)
            case d.FindMissing():
                following = tuple(record_id for record_id in self.missing if record_id > action.after)
                known = len(self.delivered) + len(self.missing)
                return d.FoundMissing(record_ids=following[: action.limit], known=known)
            case d.FinishSync():
                return d.Finished(missing=len(self.missing))
            case d.AskAgain():
                raise AssertionError("nothing here is told of by webhooks")

    def _fetch(self, request: PageRequest) -> d.Outcome:
        self.requests.append(request)
        answer = self.answer(request)
        if isinstance(answer, Failure):
            return d.Failed(action="fetch", failure=answer, at=self.at, chance=0.5)
        return d.Fetched(
            request=request,
            rows=answer,
            as_of=self.at,
            elapsed_ms=1,
            is_total=self.is_total,
            next_token=self.next_token,
            total=self.total,
        )

    def _append(self, process: Process | None, events: Sequence[e.Event]) -> Process:
        version = process.version if process else 0
        self.at += timedelta(milliseconds=1)
        recorded = [
            e.Recorded(stream="p1", version=version + index, at=self.at, event=event)
            for index, event in enumerate(events, start=1)
        ]
        after = fold(process, recorded)
        assert after is not None
        self.recorded += recorded
        return after


def people(count: int) -> list[Row]:
    """Rows newest first, each with its own key."""
    return [Row(id=f"r{index:05}", key=f"{count - index:05}") for index in range(count)]


def listed_of(rows: Sequence[Row]) -> Callable[[PageRequest], Answer]:
    """Answer with the rows that are asked for by their ids, last first."""
    return lambda request: [row for row in reversed(rows) if row.id in request.record_ids]


def slice_of(rows: Sequence[Row]) -> Callable[[PageRequest], Answer]:
    """Answer from rows that stay as they are."""
    return lambda request: rows[request.offset : request.offset + request.limit]

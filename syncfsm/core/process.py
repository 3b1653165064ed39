"""Process: the state of one sync, folded from its events.

What may follow what is asked of the machine (`machine.py`); what it leaves behind is computed here, one
small function for each event. A process is one frozen value, so that folding, snapshots and time travel
are values too. Nothing here does I/O, asks the time or draws a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.advance import advanced
from syncfsm.core.blanking import Blanking, added
from syncfsm.core.failure import FailureKind
from syncfsm.core.machine import ACTIVE, State, destinations, legal_triggers
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.place import Paging, ToldGone
from syncfsm.core.state import FailureReason, Missing, Progress, Retry
from syncfsm.core.value import Value
from syncfsm.errors import InvalidTransition


class Process(Value, frozen=True):
    """One sync, as its events left it.

    Attributes:
        id: The id, which is also the name of its stream.
        version: The version of the last event folded in.
        pending: The page fetched but not yet delivered, if any.
        record_ids: The only records to ask for; empty where it is not known which.
        since: The least creation or change of the records to ask for; null for all.
        changed_by: The attribute that says when a record last changed, where `since` is of that one.
        deletes_missing: Whether the sink is to delete, in the end, what no page had.
        missing: What has been found missing, once all pages are delivered; null before.
        may_be_gone: Those of `record_ids` that webhooks said are gone; null where that was not kept.
        asking: What is asked for by id now: `record_ids`, those that did not come yet, or what is missing.
        absent: Those of them that did not come yet, and are asked for again.
        asks: How often they have been asked for, this time included.
        budget_from: The progress at the start or at the last resume; error and wait budgets count from it.
        watermark: Where a next, ongoing sync takes up; known with the first page, null for single records.
        waits_since: When the wait began that is to come before the next action; null if none is.
    """

    id: str
    version: int
    state: State
    source: str
    object: str
    sink: str
    mode: e.Mode
    page_size: int
    order: Order
    options: Options
    parent: str | None
    record_ids: tuple[str, ...]
    started_at: datetime
    updated_at: datetime
    found: dict[str, str] | None = None
    paging: Paging = Paging()
    pending: e.PageFetched | None = None
    progress: Progress = Progress()
    budget_from: Progress = Progress()
    retry: Retry | None = None
    failure: FailureReason | None = None
    watermark: datetime | None = None
    since: datetime | None = None
    changed_by: str | None = None
    deletes_missing: bool = False
    missing: Missing | None = None
    may_be_gone: tuple[ToldGone, ...] | None = None
    asking: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    asks: int = 1
    waits_since: datetime | None = None

    def __repr__(self) -> str:
        """One line that tells the state."""
        at = f" cursor={self.paging.cursor}" if self.state is State.FETCHING else ""
        return f"<Process {self.id} {self.object} {self.state} v{self.version}{at}>"

    @property
    def is_active(self) -> bool:
        """Whether it has something left to do."""
        return self.state in ACTIVE

    @property
    def is_resumable(self) -> bool:
        """Whether `resume` would take it up again."""
        return self.failure is not None and self.failure.resumable

    @property
    def records_per_s(self) -> float:
        """Records taken, over the time from the first event to the last."""
        elapsed_s = (self.updated_at - self.started_at).total_seconds()
        return self.progress.fetched / elapsed_s if elapsed_s > 0 else 0.0


def fold(process: Process | None, recorded: Iterable[e.Recorded]) -> Process | None:
    """Return the state after the events; `None` stands for a stream without any.

    Raises:
        InvalidTransition: An event is not legal in its state, or its version is not the next one.
    """
    for record in recorded:
        process = apply(process, record)
    return process


def apply(process: Process | None, record: e.Recorded) -> Process:
    """Return the state after one event. See `fold` for what it raises."""
    dest = _destination(process, record)
    if process is None:
        assert isinstance(record.event, e.SyncStarted), "the table lets nothing else come first"
        return _started(record, record.event)
    moved: Process = _EVOLVE[type(record.event)](process, record.event)
    is_put_off = isinstance(record.event, e.RetryScheduled | e.SyncResumed) and record.event.retry_at
    since = record.at if is_put_off else None
    return replace(moved, version=record.version, state=dest, updated_at=record.at, waits_since=since)


def _destination(process: Process | None, record: e.Recorded) -> State:
    """Return the state that the event leads to, or refuse the event."""
    state = process.state if process else State.NONE
    version = process.version if process else 0
    dests = destinations(state, record.type)
    if not dests:
        legal = ", ".join(legal_triggers(state)) or "nothing, the state is final"
        raise InvalidTransition(
            f"{record.type} is not legal for process {record.stream} at version {version}, "
            f"which is {state}; legal here: {legal}"
        )
    if record.version != version + 1:
        raise InvalidTransition(
            f"{record.type} of process {record.stream} has version {record.version}; expected {version + 1}"
        )
    return dests[0] if len(dests) == 1 else State(getattr(record.event, "to"))  # noqa: B009 - only such rows


def _started(record: e.Recorded, event: e.SyncStarted) -> Process:
    return Process(
        id=record.stream,
        version=record.version,
        state=State.INITIALIZING,
        source=event.source,
        object=event.object,
        sink=event.sink,
        mode=event.mode,
        page_size=event.page_size,
        order=event.order,
        options=event.options,
        parent=event.parent,
        record_ids=event.record_ids,
        started_at=record.at,
        updated_at=record.at,
        since=event.since,
        changed_by=event.changed_by,
        deletes_missing=event.deletes_missing,
        may_be_gone=event.may_be_gone,
        asking=event.record_ids,
    )


def _fetching_began(process: Process, event: e.FetchingBegan) -> Process:
    return replace(process, found=event.found, retry=None)


def _nothing_new_found(process: Process, event: e.NothingNewFound) -> Process:
    return replace(process, retry=None, watermark=event.as_of)


def _page_fetched(process: Process, event: e.PageFetched) -> Process:
    if process.record_ids:  # a few records say nothing of the rest
        return replace(process, pending=event)
    progress = process.progress
    if event.total is not None and event.total != progress.total:
        progress = replace(progress, total=event.total)
    return replace(process, pending=event, progress=progress, watermark=process.watermark or event.as_of)


def _page_delivered(process: Process, event: e.PageDelivered) -> Process:
    page = process.pending
    if page is None:
        raise InvalidTransition(f"PageDelivered for process {process.id}, which has no page fetched")
    missing = process.missing
    return replace(
        process,
        pending=None,
        retry=None,
        paging=advanced(process.paging, page, is_by_cursor=process.options.pagination == "cursor"),
        progress=_count(process.progress, page, event),
        absent=(*process.absent, *(page.absent or ())),
        missing=replace(missing, came=missing.came + len(page.record_ids)) if missing else None,
    )


def _missing_found(process: Process, event: e.MissingFound) -> Process:
    missing = process.missing or Missing(known=event.known)
    if not event.record_ids:
        return replace(process, retry=None, missing=replace(missing, is_over=True, kept=event.kept))
    asked = missing.asked + len(event.record_ids)
    return replace(
        process,
        retry=None,
        missing=replace(missing, asked=asked, last=event.record_ids[-1]),
        asking=event.record_ids,
        paging=Paging(),
    )


def _count(progress: Progress, page: e.PageFetched, event: e.PageDelivered) -> Progress:
    return replace(
        progress,
        pages=progress.pages + 1,
        fetched=progress.fetched + len(page.record_ids) + len(page.malformed) + len(page.gone),
        created=progress.created + event.created,
        updated=progress.updated + event.updated,
        unchanged=progress.unchanged + event.unchanged,
        rejected=progress.rejected + event.rejected,
        deleted=progress.deleted + event.deleted,
        last_cursor=page.cursor,
        ids_digest=page.ids_digest,
        left_out=added(progress.left_out, event.left_out),
        blanking=_blanking(progress.blanking, event.blanking or Blanking()),
    )


def _blanking(before: Blanking, page: Blanking) -> Blanking:
    return Blanking(had=added(before.had, page.had), blanked=added(before.blanked, page.blanked))


def _retry_scheduled(process: Process, event: e.RetryScheduled) -> Process:
    if event.cause == FailureKind.NOT_YET:
        process = replace(process, asking=process.absent, absent=(), asks=process.asks + 1, paging=Paging())
    progress = process.progress
    return replace(
        process,
        retry=Retry(
            action=event.action,
            cause=event.cause,
            error=event.error,
            attempt=0 if event.cause == FailureKind.NOT_YET else event.attempt,  # nothing failed
            retry_at=event.retry_at,
        ),
        progress=replace(
            progress,
            retries=progress.retries + 1,
            rate_limited=progress.rate_limited + (event.cause == "rate_limited"),
            waited_s=progress.waited_s + event.wait_s,
        ),
    )


def _pages_shifted(process: Process, event: e.PagesShifted) -> Process:
    paging = process.paging
    return replace(
        process,
        pending=None,
        paging=replace(paging, step_back=event.step_back, step_backs=paging.step_backs + 1),
        progress=replace(process.progress, shifts=process.progress.shifts + 1),
    )


def _sync_completed(process: Process, event: e.SyncCompleted) -> Process:
    return replace(process, progress=replace(process.progress, missing=event.missing, before=event.before))


def _sync_failed(process: Process, event: e.SyncFailed) -> Process:
    failure = FailureReason(
        action=event.action,
        reason=event.reason,
        error=event.error,
        resumable=event.resumable,
        what=event.what,
        retry_at=event.retry_at,
    )
    return replace(process, failure=failure)


def _sync_resumed(process: Process, event: e.SyncResumed) -> Process:
    if process.missing is not None:  # what was so before the failure may not be so any more: found anew
        process = replace(process, missing=None, asking=(), paging=Paging(has_more=False))
    return replace(
        process,
        failure=None,
        retry=process.failure.put_off(event.retry_at) if process.failure else None,
        pending=None,
        page_size=event.page_size or process.page_size,
        options=event.options or process.options,
        paging=replace(process.paging, step_back=0, step_backs=0, stalled_rows=0, stalled_pages=0),
        budget_from=process.progress,
    )


def _unchanged(process: Process, event: e.Event) -> Process:  # noqa: ARG001
    return process


_EVOLVE: dict[type[e.Event], Callable[[Process, Any], Process]] = e.by_event(
    {
        e.FetchingBegan: _fetching_began,
        e.NothingNewFound: _nothing_new_found,
        e.PageFetched: _page_fetched,
        e.MissingFound: _missing_found,
        e.PageDelivered: _page_delivered,
        e.RetryScheduled: _retry_scheduled,
        e.PagesShifted: _pages_shifted,
        e.SyncCompleted: _sync_completed,
        e.SyncFailed: _sync_failed,
        e.SyncResumed: _sync_resumed,
    },
    e.SyncStarted,  # made by `apply`, of nothing
    e.RecordRejected,  # PageDelivered, in the same append, carries the count
    e.SyncCancelled,
    otherwise=_unchanged,
)

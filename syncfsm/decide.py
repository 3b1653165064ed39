"""What to do next, and what came of it: two pure functions, the heart of the loop.

`next_action` reads the state alone: after a crash, fold the log, ask again, go on. `decide` turns the
outcome of an action into events. No I/O, no clock, no randomness: an outcome carries the time at which it
came and the number that chance drew, so that the same outcome always decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, assert_never

from syncfsm import events as e
from syncfsm.backoff import GiveUp, later, spent_budget, wait_s
from syncfsm.failure import Failure
from syncfsm.machine import State
from syncfsm.pagination import PageRequest, Row, Shifted, Taken, Unsafe, accept, plan, rule_of
from syncfsm.process import Process

# ── actions: what to do, imperative ──────────────────────────────────────────────────────────


class CheckSetup(e.Value, frozen=True):
    """Check credentials, object and sink, so that what can't work fails within a second."""

    not_before: datetime | None


class FetchPage(e.Value, frozen=True):
    """Ask the source for the next page."""

    request: PageRequest
    not_before: datetime | None


class DeliverPage(e.Value, frozen=True):
    """Give the page that was fetched to the sink. `refetch` gets it again where it is no longer held."""

    record_ids: tuple[str, ...]
    refetch: PageRequest
    not_before: datetime | None


class FinishSync(e.Value, frozen=True):
    """Let the sink put its house in order; then the sync is complete."""

    not_before: datetime | None


Action = CheckSetup | FetchPage | DeliverPage | FinishSync

ACTION_NAMES: dict[type[Any], e.ActionName] = {
    CheckSetup: "check",
    FetchPage: "fetch",
    DeliverPage: "deliver",
    FinishSync: "finish",
}

# ── outcomes: what came of it ────────────────────────────────────────────────────────────────


class Checked(e.Value, frozen=True):
    """Source and sink are in order; `found` is what the checks saw."""

    found: dict[str, str]


class Fetched(e.Value, frozen=True):
    """Rows came for a request. `as_of` is the instant they reflect; `is_total` as in `PageFetched`."""

    request: PageRequest
    rows: Sequence[Row]
    as_of: datetime
    elapsed_ms: int
    is_total: bool = True


class Delivered(e.Value, frozen=True):
    """The sink took the page, but for the rejects."""

    created: int
    updated: int
    unchanged: int
    rejects: tuple[e.Reject, ...]
    elapsed_ms: int


class Finished(e.Value, frozen=True):
    """The sink is in order."""


class Failed(e.Value, frozen=True):
    """The action failed. `chance` is a number in [0, 1) for the jitter."""

    action: e.ActionName
    failure: Failure
    at: datetime
    chance: float


Outcome = Checked | Fetched | Delivered | Finished | Failed


def next_action(process: Process) -> Action | None:
    """Return what to do next, or `None` if the process is over (or has failed, and waits for a resume)."""
    not_before = process.retry.retry_at if process.retry else None
    if process.state is State.INITIALIZING:
        return CheckSetup(not_before=not_before)
    if process.state is not State.FETCHING:
        return None
    if process.pending is not None:
        return DeliverPage(
            record_ids=process.pending.record_ids,
            refetch=plan(process.paging, rule_of(process)),
            not_before=not_before,
        )
    if process.paging.has_more:
        return FetchPage(request=plan(process.paging, rule_of(process)), not_before=not_before)
    return FinishSync(not_before=not_before)


def decide(process: Process, outcome: Outcome) -> tuple[e.Event, ...]:
    """Return the events that the outcome of the process's next action makes."""
    match outcome:
        case Checked():
            return (e.FetchingBegan(found=outcome.found),)
        case Fetched():
            return (_page(process, outcome),)
        case Delivered():
            return _delivered(process, outcome)
        case Finished():
            return (_completed(process),)
        case Failed():
            return (_failed(process, outcome),)
        case _:
            assert_never(outcome)


def _page(process: Process, outcome: Fetched) -> e.Event:
    rule = rule_of(process)
    verdict = accept(process.paging, outcome.request, outcome.rows, rule, is_total=outcome.is_total)
    match verdict:
        case Taken():
            stalled = process.paging.stalled_rows
            if stalled > process.options.stalled_rows_max:
                return _too_fast(process, "stalled_rows_max", f"{stalled} rows came without a new one")
            return _fetched(process, outcome, verdict)
        case Shifted():
            return _shifted(process, outcome, verdict)
        case Unsafe():
            return _unsafe(process, verdict)
        case _:
            assert_never(verdict)


def _fetched(process: Process, outcome: Fetched, taken: Taken) -> e.PageFetched:
    request = outcome.request
    return e.PageFetched(
        cursor=request.cursor,
        offset=request.offset,
        limit=request.limit,
        count=len(outcome.rows),
        record_ids=taken.record_ids,
        malformed=taken.malformed,
        frontier=taken.frontier,
        peek=taken.peek,
        has_more=taken.has_more,
        next_cursor=taken.next_cursor,
        margin=taken.margin,
        shift=taken.shift,
        as_of=outcome.as_of,
        ids_digest=add_to_digest(process.progress.ids_digest, taken.record_ids),
        elapsed_ms=outcome.elapsed_ms,
        is_total=outcome.is_total,
    )


def add_to_digest(digest: str, record_ids: Sequence[str]) -> str:
    """Return the digest of all ids so far: a sum of hashes, so neither order nor page size matters."""
    total = int(digest or "0", 16)
    for record_id in record_ids:
        total += int.from_bytes(blake2b(record_id.encode(), digest_size=16).digest())
    return f"{total % 2**128:032x}"


def _shifted(process: Process, outcome: Fetched, shifted: Shifted) -> e.Event:
    if process.paging.step_backs >= process.options.step_backs_max:
        return _too_fast(
            process,
            "step_backs_max",
            f"{process.paging.step_backs} steps back did not find a row that was seen before",
        )
    return e.PagesShifted(
        cursor=outcome.request.cursor,
        offset=outcome.request.offset,
        expected=shifted.expected,
        found=shifted.found,
        step_back=shifted.step_back,
        elapsed_ms=outcome.elapsed_ms,
    )


def _too_fast(process: Process, limit: str, what: str) -> e.SyncFailed:
    return e.SyncFailed(
        action="fetch",
        reason=limit,
        error=f"{what}: {process.source} does not page by offset, or its rows move faster than they can be "
        f"read. Resume when it is calmer, or raise {limit}.",
        resumable=True,
        cursor=process.paging.cursor,
    )


def _unsafe(process: Process, verdict: Unsafe) -> e.SyncFailed:
    return e.SyncFailed(
        action="fetch",
        reason=verdict.reason,
        error=f"{process.source} {verdict.what}; going on could lose records. Start anew with another order, "
        "for instance 'id'.",
        resumable=False,
        cursor=process.paging.cursor,
    )


def _delivered(process: Process, outcome: Delivered) -> tuple[e.Event, ...]:
    page = process.pending
    assert page is not None, "only a page that was fetched can be delivered"
    rejects = (*page.malformed, *outcome.rejects)
    events: list[e.Event] = [
        e.RecordRejected(record_id=reject.record_id, reason=reject.reason, cursor=page.cursor)
        for reject in rejects
    ]
    events.append(
        e.PageDelivered(
            cursor=page.cursor,
            created=outcome.created,
            updated=outcome.updated,
            unchanged=outcome.unchanged,
            rejected=len(rejects),
            elapsed_ms=outcome.elapsed_ms,
        )
    )
    overrun = _reject_overrun(process, page, len(rejects))
    return (*events, overrun) if overrun else tuple(events)


def _reject_overrun(process: Process, page: e.PageFetched, rejected: int) -> e.SyncFailed | None:
    """Return the failure if the rejects, this page's included, pass the error budget."""
    options = process.options
    before = process.progress.rejected - process.budget_from.rejected
    fetched = process.progress.fetched - process.budget_from.fetched
    fetched += len(page.record_ids) + len(page.malformed)
    total = before + rejected
    if rejected == 0 or total <= max(options.reject_min, options.reject_ratio_max * fetched):
        return None
    return e.SyncFailed(
        action="deliver",
        reason="reject_ratio_max",
        error=f"{total} of {fetched} records were rejected, more than {options.reject_ratio_max:.0%} "
        f"and more than {options.reject_min}. Mend what the log's RecordRejected events name, then resume; "
        "or raise reject_ratio_max.",
        resumable=True,
        cursor=page.cursor,
    )


def _completed(process: Process) -> e.SyncCompleted:
    assert process.watermark is not None, "a page was fetched before the end"
    return e.SyncCompleted(
        totals=process.progress.totals,
        watermark=process.watermark,
        digest=process.progress.ids_digest,
    )


def _failed(process: Process, outcome: Failed) -> e.Event:
    failure = outcome.failure
    attempt = (process.retry.attempt if process.retry else 0) + 1
    if not failure.is_retryable:
        return _gave_up(process, outcome, failure.kind.value, failure.message)
    wait = wait_s(attempt, failure.retry_after_s, outcome.chance, process.options)
    waited_s = process.progress.waited_s - process.budget_from.waited_s
    spent = spent_budget(attempt, wait, waited_s, process.options)
    if spent is not None:
        return _gave_up(process, outcome, spent.limit, _budget_message(failure, spent))
    return e.RetryScheduled(
        action=outcome.action,
        cause=failure.kind.value,
        error=failure.message,
        attempt=attempt,
        wait_s=wait,
        retry_at=later(outcome.at, wait),
        cursor=process.paging.cursor,
        status=failure.status,
    )


def _budget_message(failure: Failure, spent: GiveUp) -> str:
    return f"{failure.message} Gave up after {spent.why}; resume later, or raise {spent.limit}."


def _gave_up(process: Process, outcome: Failed, reason: str, error: str) -> e.SyncFailed:
    return e.SyncFailed(
        action=outcome.action,
        reason=reason,
        error=error,
        resumable=True,
        cursor=process.paging.cursor,
    )

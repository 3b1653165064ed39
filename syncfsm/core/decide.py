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

from msgspec import field

from syncfsm.core import events as e
from syncfsm.core.backoff import asks_too_much, later, spent_budget, wait_s
from syncfsm.core.failure import Failure
from syncfsm.core.failures import (
    gave_up,
    never_anchored,
    out_of_budget,
    stalled,
    told_to_wait,
    too_many_missing,
    too_many_rejects,
    unasked,
    unsafe,
)
from syncfsm.core.machine import State
from syncfsm.core.page_rule import rule_of
from syncfsm.core.paging.offsets import accept, plan
from syncfsm.core.paging.pages import PageRequest, Row, Shifted, Taken, Unasked, Unsafe
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.core.value import Value

# ── actions: what to do, imperative ──────────────────────────────────────────────────────────


class CheckSetup(Value, frozen=True):
    """Check credentials, object and sink, so that what can't work fails within a second."""

    not_before: datetime | None


class FetchPage(Value, frozen=True):
    """Ask the source for the next page."""

    request: PageRequest
    not_before: datetime | None


class DeliverPage(Value, frozen=True):
    """Give the page that was fetched to the sink. `refetch` gets it again where it is no longer held."""

    record_ids: tuple[str, ...]
    refetch: PageRequest
    not_before: datetime | None
    gone: tuple[str, ...] = ()


class FinishSync(Value, frozen=True):
    """Let the sink delete what no page had, if it is to, and put its house in order; then all is done."""

    not_before: datetime | None
    deletes_missing: bool = False


Action = CheckSetup | FetchPage | DeliverPage | FinishSync

ACTION_NAMES: dict[type[Any], e.ActionName] = {
    CheckSetup: "check",
    FetchPage: "fetch",
    DeliverPage: "deliver",
    FinishSync: "finish",
}

# ── outcomes: what came of it ────────────────────────────────────────────────────────────────


class Checked(Value, frozen=True):
    """Source and sink are in order; `found` is what the checks saw."""

    found: dict[str, str]


class Fetched(Value, frozen=True):
    """Rows came for a request; `as_of`, `is_total`, `total`, `next_token` as in `PageFetched`."""

    request: PageRequest
    rows: Sequence[Row]
    as_of: datetime
    elapsed_ms: int
    is_total: bool = True
    total: int | None = None
    next_token: str | None = None


class Delivered(Value, frozen=True):
    """The sink took the page, but for the rejects."""

    created: int
    updated: int
    unchanged: int
    rejects: tuple[Reject, ...]
    elapsed_ms: int
    left_out: dict[str, int] = field(default_factory=dict)
    deleted: int = 0


class Finished(Value, frozen=True):
    """The sink is in order; `missing` and `kept` as in `SyncCompleted`."""

    missing: int = 0
    kept: str = ""


class TooManyMissing(Value, frozen=True):
    """The sink has `known` contacts, and no page had `missing` of them: more than it may delete at once."""

    missing: int
    known: int


class Failed(Value, frozen=True):
    """The action failed. `chance` is a number in [0, 1) for the jitter."""

    action: e.ActionName
    failure: Failure
    at: datetime
    chance: float


Outcome = Checked | Fetched | Delivered | Finished | TooManyMissing | Failed


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
            gone=process.pending.gone,
        )
    if process.paging.has_more:
        return FetchPage(request=plan(process.paging, rule_of(process)), not_before=not_before)
    return FinishSync(not_before=not_before, deletes_missing=process.deletes_missing)


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
            return (_completed(process, outcome),)
        case TooManyMissing():
            return (too_many_missing(process, outcome.missing, outcome.known),)
        case Failed():
            return (_failed(process, outcome),)
        case _:
            assert_never(outcome)


def _page(process: Process, outcome: Fetched) -> e.Event:
    verdict = accept(
        process.paging,
        outcome.request,
        outcome.rows,
        rule_of(process),
        is_total=outcome.is_total,
        next_token=outcome.next_token,
    )
    match verdict:
        case Taken():
            return stalled(process) or _fetched(process, outcome, verdict)
        case Shifted():
            return never_anchored(process) or _shifted(outcome, verdict)
        case Unsafe():
            return unsafe(process, verdict)
        case Unasked():
            return unasked(process, verdict)
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
        gone=taken.gone,
        total=outcome.total,
        token=request.token,
        next_token=taken.next_token,
    )


def add_to_digest(digest: str, record_ids: Sequence[str]) -> str:
    """Return the digest of all ids so far: a sum of hashes, so neither order nor page size matters."""
    total = int(digest or "0", 16)
    for record_id in record_ids:
        total += int.from_bytes(blake2b(record_id.encode(), digest_size=16).digest())
    return f"{total % 2**128:032x}"


def _shifted(outcome: Fetched, shifted: Shifted) -> e.PagesShifted:
    return e.PagesShifted(
        cursor=outcome.request.cursor,
        offset=outcome.request.offset,
        expected=shifted.expected,
        found=shifted.found,
        step_back=shifted.step_back,
        elapsed_ms=outcome.elapsed_ms,
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
            left_out=outcome.left_out,
            deleted=outcome.deleted,
        )
    )
    overrun = too_many_rejects(process, page, len(rejects))
    return (*events, overrun) if overrun else tuple(events)


def _completed(process: Process, outcome: Finished) -> e.SyncCompleted:
    assert process.watermark is not None or process.record_ids, "a page was fetched before the end"
    return e.SyncCompleted(
        totals=process.progress.totals,
        watermark=process.watermark,
        digest=process.progress.ids_digest,
        missing=outcome.missing,
        kept=outcome.kept,
    )


def _failed(process: Process, outcome: Failed) -> e.Event:
    failure = outcome.failure
    attempt = (process.retry.attempt if process.retry else 0) + 1
    if not failure.is_retryable:
        return gave_up(process, outcome.action, failure)
    refused = asks_too_much(failure.retry_after_s, process.options)
    if refused is not None:
        return told_to_wait(process, outcome.action, failure, refused, at=outcome.at)
    wait = wait_s(attempt, failure.retry_after_s, outcome.chance, process.options)
    waited_s = process.progress.waited_s - process.budget_from.waited_s
    spent = spent_budget(attempt, wait, waited_s, process.options)
    if spent is not None:
        return out_of_budget(process, outcome.action, failure, spent, at=outcome.at)
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

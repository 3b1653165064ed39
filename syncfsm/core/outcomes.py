"""What comes of a page, its delivery, a failure, the end, and of what did not come yet: the events. Pure.

A part of `decide`, which has the types of the outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.backoff import asks_too_much, later, spent_budget, wait_s
from syncfsm.core.failure import FailureKind
from syncfsm.core.giving_up import gave_up, out_of_budget, told_to_wait, too_many_rejects
from syncfsm.core.paging.pages import Shifted, Taken
from syncfsm.core.process import Process

if TYPE_CHECKING:
    from syncfsm.core.decide import Delivered, Failed, Fetched, Finished, Unanswered


def fetched(process: Process, outcome: Fetched, taken: Taken) -> e.PageFetched:
    """Return the event of a page that is anchored."""
    request = outcome.request
    is_missing = process.missing is not None  # which the sink deletes in the end, and not with a page
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
        gone=() if is_missing else taken.gone,
        total=outcome.total,
        token=request.token,
        next_token=taken.next_token,
        absent=taken.absent or UNSET,
        confirmed=(taken.gone if is_missing else ()) or UNSET,
        from_key=UNSET if request.from_key is None else request.from_key,
    )


def delivered(process: Process, outcome: Delivered) -> tuple[e.Event, ...]:
    """Return the events of a page that the sink took: the rejects, the page, and the end if it is by them."""
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
            blanking=outcome.blanking if outcome.blanking.had else UNSET,
        )
    )
    overrun = too_many_rejects(process, page, len(rejects))
    return (*events, overrun) if overrun else tuple(events)


def completed(process: Process, outcome: Finished) -> e.SyncCompleted:
    """Return the end of a sync, with the evidence on which it deleted what was missing."""
    assert process.watermark is not None or process.record_ids, "a page was fetched before the end"
    missing = process.missing
    return e.SyncCompleted(
        totals=process.progress.totals,
        watermark=process.watermark,
        digest=process.progress.ids_digest,
        missing=outcome.missing,
        kept=outcome.kept,
        asked=missing.asked if missing else 0,
        came=missing.came if missing else 0,
        before=outcome.before,
    )


def not_yet(process: Process, outcome: Unanswered) -> e.RetryScheduled:
    """Return when to ask again for what did not come: what failed meanwhile is no reason to wait longer."""
    wait = wait_s(process.asks, None, outcome.chance, process.options)
    count = len(process.absent)
    what = "a record that a webhook told of" if count == 1 else f"{count} records that webhooks told of"
    return e.RetryScheduled(
        action="fetch",
        cause=FailureKind.NOT_YET.value,
        error=f"{process.source} does not have {what} yet.",
        attempt=process.asks,
        wait_s=wait,
        retry_at=later(outcome.at, wait),
        cursor=None,
    )


def failed(process: Process, outcome: Failed) -> e.Event:
    """Return when to try again what failed, or the end where that cannot help or was tried often enough."""
    failure = outcome.failure
    attempt = (process.retry.attempt if process.retry else 0) + 1
    if not failure.is_retryable:
        return replace(gave_up(process, outcome.action, failure), what=outcome.what)
    refused = asks_too_much(failure.retry_after_s, process.options)
    if refused is not None:
        end = told_to_wait(process, outcome.action, failure, refused, at=outcome.at)
        return replace(end, what=outcome.what)
    wait = wait_s(attempt, failure.retry_after_s, outcome.chance, process.options)
    waited_s = process.progress.waited_s - process.budget_from.waited_s
    spent = spent_budget(attempt, wait, waited_s, process.options)
    if spent is not None:
        end = out_of_budget(process, outcome.action, failure, spent, at=outcome.at)
        return replace(end, what=outcome.what)
    return e.RetryScheduled(
        action=outcome.action,
        cause=failure.kind.value,
        error=failure.message,
        attempt=attempt,
        wait_s=wait,
        retry_at=later(outcome.at, wait),
        cursor=process.paging.cursor,
        status=failure.status,
        what=outcome.what,
    )


def shifted(outcome: Fetched, verdict: Shifted) -> e.PagesShifted:
    """Return the event of a page that is not anchored."""
    return e.PagesShifted(
        cursor=outcome.request.cursor,
        offset=outcome.request.offset,
        expected=verdict.expected,
        found=verdict.found,
        step_back=verdict.step_back,
        elapsed_ms=outcome.elapsed_ms,
    )


def add_to_digest(digest: str, record_ids: Sequence[str]) -> str:
    """Return the digest of all ids so far: a sum of hashes, so neither order nor page size matters."""
    total = int(digest or "0", 16)
    for record_id in record_ids:
        total += int.from_bytes(blake2b(record_id.encode(), digest_size=16).digest())
    return f"{total % 2**128:032x}"

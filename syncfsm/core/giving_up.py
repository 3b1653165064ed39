"""When a sync gives up, and in which words: every SyncFailed is made here.

The words say what happened, which limit was hit and its value, and what to do: wait, mend, raise the limit,
or start anew. `explain` reads the setting of a limit back from these words, to make a command of it. No I/O,
no clock, no randomness.
"""

from __future__ import annotations

import math
from datetime import datetime

from syncfsm.core import events as e
from syncfsm.core.backoff import GiveUp, later
from syncfsm.core.blanking import Overrun
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.limits import advice
from syncfsm.core.paging.pages import Unasked, Unsafe
from syncfsm.core.process import Process

ABSURD_S = 24 * 3600.0
"""A wait that no limit of an API needs; whoever reads of it is to look for a mistake."""


def gave_up(process: Process, action: e.ActionName, failure: Failure) -> e.SyncFailed:
    """Return the end by a failure that waiting cannot cure."""
    where = _refused_deep_in(process, action, failure)
    return _failed(process, action, failure.kind.value, f"{failure.message}{where}")


def _refused_deep_in(process: Process, action: e.ActionName, failure: Failure) -> str:
    """Say where a page was refused, and what to do, if pages before it were not: some APIs end there."""
    place = process.paging.offset
    if action != "fetch" or failure.kind is not FailureKind.BAD_REQUEST or not place or process.asking:
        return ""
    what, way = f"rows from offset {place:,} on", "bring the rest from the other end, by another order"
    if process.options.pagination == "cursor":
        what, way = f"the cursor behind {place:,} rows", "start anew"
    return (
        f" It refused {what}, and not what came before, which is delivered. Run again to go on from there; "
        f"if it is refused again, {way}."
    )


def told_to_wait(
    process: Process, action: e.ActionName, failure: Failure, refused: GiveUp, *, at: datetime
) -> e.SyncFailed:
    """Return the end by a wait that is asked for and longer than one may be: nobody asks before."""
    retry_at = _earliest(failure, at)
    assert retry_at is not None, "a wait was asked for"
    asked = f"asks to be left alone for {refused.needed:,.0f} s, until {retry_at:%Y-%m-%d %H:%M:%S} UTC"
    absurd = ", which looks like a mistake of its own" if refused.needed > ABSURD_S else ""
    raising = advice(process.options, refused.limit, refused.needed)
    error = (
        f"{failure.message} It {asked}{absurd}; nothing is asked before. Run again then, and it goes on. "
        f"{raising} That run waits; one that starts anew asks at once."
    )
    return _failed(process, action, refused.limit, error, retry_at=retry_at)


def _earliest(failure: Failure, at: datetime) -> datetime | None:
    """Return when may be asked again after a failure that came at a moment, where it says so."""
    return later(at, failure.retry_after_s) if failure.retry_after_s else None


def out_of_budget(
    process: Process, action: e.ActionName, failure: Failure, spent: GiveUp, *, at: datetime
) -> e.SyncFailed:
    """Return the end by a failure that was tried often enough."""
    raising = advice(process.options, spent.limit, spent.needed)
    error = f"{failure.message} Gave up after {spent.why}; going on later may help. {raising}"
    return _failed(process, action, spent.limit, error, retry_at=_earliest(failure, at))


def stalled(process: Process) -> e.SyncFailed | None:
    """Return the end by rows or pages that come without a new record, if there were too many."""
    if process.options.pagination == "cursor":
        return _goes_round(process)
    rows = process.paging.stalled_rows
    if rows <= process.options.stalled_rows_max:
        return None
    return _too_fast(process, "stalled_rows_max", f"{rows} rows came without a new one")


def _goes_round(process: Process) -> e.SyncFailed | None:
    """Return the end by cursors that lead to nothing new, in a circle or for ever."""
    pages = process.paging.stalled_pages
    if pages <= process.options.stalled_pages_max:
        return None
    error = (
        f"{pages} pages in a row had no new record: the cursors of {process.source} lead in a circle, or "
        f"past records of other kinds. {advice(process.options, 'stalled_pages_max')}"
    )
    return _failed(process, "fetch", "stalled_pages_max", error)


def never_anchored(process: Process) -> e.SyncFailed | None:
    """Return the end by steps back that found no row seen before, if there were too many."""
    steps = process.paging.step_backs
    if steps < process.options.step_backs_max:
        return None
    return _too_fast(process, "step_backs_max", f"{steps} steps back did not find a row that was seen before")


def _too_fast(process: Process, limit: str, what: str) -> e.SyncFailed:
    error = (
        f"{what}: {process.source} does not page by offset, or its rows move faster than they can be read; "
        f"going on when it is calmer may help. {advice(process.options, limit)}"
    )
    return _failed(process, "fetch", limit, error)


def unsafe(process: Process, verdict: Unsafe) -> e.SyncFailed:
    """Return the end by rows among which the page rule cannot hold."""
    anew = (
        "Start anew"
        if process.options.pagination == "cursor"
        else "Start anew with another order, for instance 'id'"
    )
    error = f"{process.source} {verdict.what}; going on could lose records. {anew}."
    return _failed(process, "fetch", verdict.reason, error, resumable=False)


def unasked(process: Process, verdict: Unasked) -> e.SyncFailed:
    """Return the end by a row that was not asked for."""
    error = (
        f"{process.source} returned {verdict.found}, though only other records were asked for: it does not "
        "heed `record_ids`, and so rejects cannot be sent again. Run a whole sync instead."
    )
    return _failed(process, "fetch", "unasked", error, resumable=False)


def too_many_rejects(process: Process, page: e.PageFetched, rejected: int) -> e.SyncFailed | None:
    """Return the end by rejects, this page's included, that pass the error budget; if they do.

    Where single records were asked for, there is no such budget: that some rejects are refused again is what
    to expect, and of the few that webhooks tell of, one that is refused must not hold up the others.
    """
    if process.record_ids:
        return None
    options = process.options
    before = process.progress.rejected - process.budget_from.rejected
    fetched = process.progress.fetched - process.budget_from.fetched
    fetched += len(page.record_ids) + len(page.malformed)
    total = before + rejected
    if rejected == 0 or total <= max(options.reject_min, options.reject_ratio_max * fetched):
        return None
    needed = math.ceil(100 * total / fetched) / 100
    error = (
        f"{total} of {fetched} records were rejected, more than {options.reject_ratio_max:.12g} of them and "
        f"more than {options.reject_min}. `syncfsm log rejects` names them and says why: mend that, then go "
        f"on. {advice(options, 'reject_ratio_max', needed)}"
    )
    return _failed(process, "deliver", "reject_ratio_max", error)


def too_many_missing(process: Process, missing: int, known: int) -> e.SyncFailed:
    """Return the end by contacts that are gone, more of them than one process may delete."""
    needed = math.ceil(100 * missing / known) / 100
    contacts = f"{missing} of the {known} contacts that {process.sink} has of this source"
    is_told = process.mode == "webhook"
    what = f"webhooks told that {contacts} are gone" if is_told else f"no page had {contacts}"
    error = (
        f"{what}, more than {process.options.missing_ratio_max:.12g} of them, so none was deleted. Everybody "
        f"who came is delivered. If they are indeed gone, go on. "
        f"{advice(process.options, 'missing_ratio_max', needed)}"
    )
    return _failed(process, "deliver" if is_told else "finish", "missing_ratio_max", error)


def too_much_blanked(process: Process, overrun: Overrun) -> e.SyncFailed:
    """Return the end by a field that too many contacts would lose."""
    needed = math.ceil(100 * overrun.blanked / overrun.had) / 100
    error = (
        f"{overrun.blanked} of the {overrun.had} contacts that had a value in {overrun.name} would lose it, "
        f"more than {process.options.blanked_ratio_max:.12g} of them and more than "
        f"{process.options.blanked_min}, so nothing of this page was written. See in the source whether so "
        f"many have none any more; if so, go on. {advice(process.options, 'blanked_ratio_max', needed)}"
    )
    return _failed(process, "deliver", "blanked_ratio_max", error)


def _failed(
    process: Process,
    action: e.ActionName,
    reason: str,
    error: str,
    *,
    resumable: bool = True,
    retry_at: datetime | None = None,
) -> e.SyncFailed:
    return e.SyncFailed(
        action=action,
        reason=reason,
        error=error,
        resumable=resumable,
        cursor=process.paging.cursor,
        retry_at=retry_at,
    )

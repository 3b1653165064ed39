"""Events and actions in words, one line each: the words of the command line and of reports. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, assert_never

from syncfsm.core import events as e
from syncfsm.core.decide import (
    Action,
    AskAgain,
    CheckSetup,
    DeliverPage,
    FetchPage,
    FindMissing,
    FinishSync,
)
from syncfsm.core.marks import SINK_ID
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.core.state import Missing, Progress


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Return `1 page`, `2 pages`, `5,000 people`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def counts_words(progress: Progress) -> str:
    """Return what was delivered: `3 created, 0 updated, 97 unchanged`, and `2 deleted` if any were."""
    words = f"{progress.created:,} created, {progress.updated:,} updated, {progress.unchanged:,} unchanged"
    return words + (f", {progress.deleted:,} deleted" if progress.deleted else "")


def duration(seconds: float) -> str:
    """Return `0.25 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.3g} s" if seconds else "0 s"
    whole = round(seconds)
    for size, unit, smaller_size, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def time_words(at: datetime) -> str:
    """Return a moment for a person: UTC, to the millisecond."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"


def event_words(event: e.Event) -> str:
    """Return what an event says, for a person."""
    return _WORDS[type(event)](event)


def action_words(process: Process, action: Action | None) -> str:
    """Return what a process would do next, for a person."""
    match action:
        case None:
            resume = "; it can be resumed: run its sync again" if process.is_resumable else ""
            return f"nothing: the process is {process.state}{resume}"
        case CheckSetup():
            words = "check the key, the object and the sink"
            words += ", and see whether anything is new" if action.first else ""
        case FetchPage(request=request) if request.record_ids:
            words = f"ask for {plural(request.limit, 'record')} by their ids"
        case FetchPage(request=request):
            words = _request_words(process, request)
        case DeliverPage():
            words = f"deliver the {plural(len(action.record_ids), 'record')} of the page to the sink"
            words += f", and delete {len(action.gone):,}" if action.gone else ""
        case AskAgain():
            words = f"ask again for {plural(len(process.absent), 'record')} that did not come yet"
        case FindMissing():
            words = "find what the sink has and no page had, and ask for it by id"
        case FinishSync(deletes_missing=True):
            words = "delete what no page had from the sink, and finish: every page is delivered"
        case FinishSync():
            words = "finish: every page is delivered"
        case _:
            assert_never(action)
    return f"{words}, not before {time_words(action.not_before)}" if action.not_before else words


def _request_words(process: Process, request: PageRequest) -> str:
    match process.options.pagination:
        case "offset":
            return f"ask for {request.limit} rows from offset {request.offset}"
        case "page":
            return f"ask for page {request.number} of {request.limit} rows each"
        case "cursor":
            where = "that the last cursor leads to" if request.token else "that comes first"
            return f"ask for the page {where}, of up to {request.limit} rows"


def done_words(progress: Progress) -> str:
    """Return how many records were taken, and of how many where the source says so: `50 of 1,234 records`."""
    if progress.total is None:
        return plural(progress.fetched, "record")
    return f"{progress.fetched:,} of {plural(progress.total, 'record')}"


def _started(event: e.SyncStarted) -> str:
    count = len(event.record_ids)
    if event.mode == "rejects":
        rejects = plural(count, "reject")
        return f"a retry of {rejects} of process {event.parent} began, {event.page_size} a page"
    if event.mode == "webhook":
        told = f"{plural(count, 'record')} that webhooks told of"
        return f"a sync of {told} from {event.source} into {event.sink} began, {event.page_size} a page"
    return f"{_what_began(event)} began, {event.order} first, {event.page_size} a page" + (
        "; what no page has is deleted" if event.deletes_missing else ""
    )


def _what_began(event: e.SyncStarted) -> str:
    where = f"of {event.object} from {event.source} into {event.sink}"
    if event.since is None:
        return f"a sync {where}"
    sweep = f", behind process {event.parent}" if event.parent else ""
    return f"an ongoing sync {where}, {since_words(event.since, event.changed_by)}{sweep}"


def since_words(since: datetime, changed_by: str | None) -> str:
    """Return whom an ongoing sync asks for: `of those created since 2026-01-01 00:00:00.000Z`."""
    what = f"changed (by {changed_by})" if changed_by else "created"
    return f"of those {what} since {time_words(since)}"


def _fetching_began(event: e.FetchingBegan) -> str:
    facts = (fact for name, fact in event.found.items() if name != SINK_ID)  # which says nothing to anybody
    return "source and sink are in order: " + ", ".join(facts)


def _nothing_new(event: e.NothingNewFound) -> str:
    return f"source and sink are as they were, and nothing is new; watermark {time_words(event.as_of)}"


def _fetched(event: e.PageFetched) -> str:
    where = "after a cursor" if event.token else f"from offset {event.offset}"
    words = f"{plural(event.count, 'row')} {where}, {len(event.record_ids)} of them new"
    words += f"; {plural(len(event.gone), 'record is', 'records are')} gone" if event.gone else ""
    words += f"; {plural(len(event.absent), 'record')} not there yet" if event.absent else ""
    words += f"; {plural(len(event.confirmed), 'record')} missing by id too" if event.confirmed else ""
    if event.shift > 0:
        words += f"; {plural(event.shift, 'row')} before them had gone away"
    if event.shift < 0:
        words += f"; {plural(-event.shift, 'row')} had come before them"
    if event.total is not None:
        words += f"; {event.total:,} in all"
    if event.next_token is not None:
        return f"{words}; more after the next cursor"
    return words + (f"; more from {event.next_cursor}" if event.has_more else "; no more")


def _delivered(event: e.PageDelivered) -> str:
    return (
        (
            f"{event.created} created, {event.updated} updated, {event.unchanged} unchanged, "
            f"{event.rejected} rejected"
        )
        + (f", {event.deleted} deleted" if event.deleted else "")
        + _left_out(event)
    )


def _left_out(event: e.PageDelivered) -> str:
    return f"; left out: {left_out_words(event.left_out)}" if event.left_out else ""


def left_out_words(left_out: Mapping[str, int]) -> str:
    """Return what a sink left out, the most first."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(left_out.items(), key=lambda it: -it[1]))


def _retry(event: e.RetryScheduled) -> str:
    return (
        f"{event.what or event.action} failed: {event.error} Try {event.attempt + 1} in {event.wait_s:.1f} s"
    )


def _shifted(event: e.PagesShifted) -> str:
    return (
        f"the page at offset {event.offset} began with {event.found or 'nothing'}, not with a row seen "
        f"before: rows went away; going back {event.step_back} rows"
    )


def _completed(event: e.SyncCompleted) -> str:
    totals = event.totals
    words = f"all {plural(totals.fetched, 'record')} were delivered"
    words += f", but for {totals.rejected:,} rejected" if totals.rejected else ""
    words += f"; {plural(event.missing, 'contact')} that no page had deleted" if event.missing else ""
    words += f": of {event.asked:,} asked for by id" if event.missing and event.asked else ""
    words += f"; {short_words(event.came)}" if event.came else ""
    words += f"; nothing that is missing was deleted: {event.kept}" if event.kept else ""
    return f"{words}; watermark {time_words(event.watermark)}" if event.watermark else words


def missing_words(missing: Missing) -> str:
    """Return what a sync that deletes what is missing has found; nothing if nothing was missing."""
    if not missing.asked:
        return ""
    asked = f"No page had {plural(missing.asked, 'contact')} of the sink; each was asked for by its id."
    return asked + (f" {short_words(missing.came)}." if missing.came else " None of them came.")


def short_words(came: int) -> str:
    """Return what it means that records came by their ids which no page had."""
    return f"{plural(came, 'record')} that no page had came by id and stayed: the listing was short"


def _found(event: e.MissingFound) -> str:
    if event.kept:
        return f"nothing that is missing can be deleted: {event.kept}"
    count = len(event.record_ids)
    if not count:
        return "whatever no page had has been asked for"
    return f"no page had {plural(count, 'contact')} of the {event.known:,} in the sink: asked for by id next"


def _resumed(event: e.SyncResumed) -> str:
    words = f"by {event.by}" + (f": {event.why}" if event.why else "")
    return f"{words}; nothing is asked before {time_words(event.retry_at)}" if event.retry_at else words


_WORDS: dict[type[e.Event], Callable[[Any], str]] = e.by_event(
    {
        e.SyncStarted: _started,
        e.FetchingBegan: _fetching_began,
        e.NothingNewFound: _nothing_new,
        e.PageFetched: _fetched,
        e.MissingFound: _found,
        e.PageDelivered: _delivered,
        e.RecordRejected: lambda event: f"{event.record_id or 'a row without id'}: {event.reason}",
        e.RetryScheduled: _retry,
        e.PagesShifted: _shifted,
        e.SyncCompleted: _completed,
        e.SyncFailed: lambda event: (
            f"{event.what or event.action} failed for good ({event.reason}): {event.error}"
        ),
        e.SyncCancelled: lambda event: f"by {event.by}" + (f": {event.why}" if event.why else ""),
        e.SyncResumed: _resumed,
    }
)

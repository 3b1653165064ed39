"""Which moves of the rows let a page come again as it came? Guesses, tried by the page rule. Pure.

A log says how many rows came, how many of them were new and by how much they had shifted, but not which rows
moved. Any moves that make the rule see the same will do, and the simplest are tried first; the rule itself
is the judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import product
from typing import assert_never

from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.history.replay import Moment
from syncfsm_simulator.incidents.event_fingerprint import is_same
from syncfsm_simulator.incidents.rows_remaining import Ahead, is_followed, new_rows, twice
from syncfsm_simulator.stage.incident import Step
from syncfsm_simulator.stage.rows import Rows


class Fit:
    """One guess that came true: the step, the rows after it, and the events that it made."""

    def __init__(self, step: Step, rows: Rows, events: tuple[e.Event, ...]) -> None:
        self.step = step
        self.rows = rows
        self.events = events


def fit(process: Process, rows: Rows, moment: Moment, index: int, ahead: Ahead) -> Fit | None:
    """Return the first guess with which a process meets an event of a fetch, or `None` if none does.

    Args:
        process: The process of the incident, before the event.
        rows: Its rows; they stay as they are.
        moment: The event, and what was before and after it in the log.
        index: The place of the event in its history.
        ahead: What the rest of that history tells.
    """
    wanted = moment.recorded.event
    for step in _guesses(process, rows, moment, index, ahead):
        tried = attempt(process, rows, step, moment.recorded.at)
        if is_same(tried.events[0], wanted):
            return tried
    return None


def attempt(process: Process, rows: Rows, step: Step, at: datetime) -> Fit:
    """Return what comes of a fetch with a step."""
    moved = rows.copy()
    request = step.asked(due_request(process))
    come = moved.answer(request, step, process.page_size, process.paging.frontier)
    is_total = moved.is_total and step.happens != "ties"
    outcome = d.Fetched(
        request=request,
        rows=come,
        as_of=at,
        elapsed_ms=0,
        is_total=is_total,
        is_followed=step.followed,
    )
    return Fit(step, moved, d.decide(process, outcome))


def due_request(process: Process) -> PageRequest:
    """Return the request that is due; that of the page again, where one is no longer held."""
    action = d.next_action(process)
    assert isinstance(action, d.FetchPage | d.DeliverPage), "pages come of nothing else"
    return action.request if isinstance(action, d.FetchPage) else action.refetch


def _guesses(process: Process, rows: Rows, moment: Moment, index: int, ahead: Ahead) -> Iterator[Step]:
    plain = _asked(Step(page=process.progress.pages, action="fetch"), process, moment.recorded.event)
    match moment.recorded.event:
        case e.PageFetched() as page if process.record_ids:
            yield _listed(plain, page)
        case e.PageFetched() as page:
            yield from _anchored(plain, process, rows, moment, index=index, ahead=ahead)
        case e.PagesShifted() as page:
            yield from _unanchored(plain, rows, page, ahead.place_from(index), ahead.rows_from(index))
        case e.SyncFailed(reason="unordered"):
            yield replace(plain, happens="unordered")
        case e.SyncFailed(reason="unasked"):
            yield replace(plain, happens="unasked")
        case e.SyncFailed(reason="ties"):
            yield from _tied(plain, process, rows)
        case e.SyncFailed(reason="stalled_rows_max"):
            yield plain
            yield _placed(plain, rows, process.paging.offset, extra=0)
        case e.SyncFailed(reason="step_backs_max"):
            page = e.PagesShifted(
                cursor=None,
                offset=due_request(process).offset,
                expected=None,
                found="",
                step_back=0,
                elapsed_ms=0,
            )
            yield from _unanchored(plain, rows, page, None, None)
        case (
            e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
            | e.MissingFound() | e.PageDelivered() | e.RecordRejected()
            | e.RetryScheduled() | e.SyncCompleted() | e.SyncFailed() | e.SyncCancelled() | e.SyncResumed()
        ):  # fmt: skip
            return
        case _:
            assert_never(moment.recorded.event)


def _asked(plain: Step, process: Process, event: e.Event) -> Step:
    """Return a step that says what was asked for, if that is not what was due: the page came ahead."""
    due = due_request(process)
    if not isinstance(event, e.PageFetched | e.PagesShifted):
        return plain
    offset, limit = event.offset, max(1, due.offset + due.limit - event.offset)
    if isinstance(event, e.PageFetched):
        limit, plain = event.limit, replace(plain, followed=is_followed(process, event))
    return plain if (offset, limit) == (due.offset, due.limit) else replace(plain, offset=offset, limit=limit)


def _listed(plain: Step, page: e.PageFetched) -> Step:
    """Return how the records of a list came: gone are those that did not."""
    sound, asked = len(page.record_ids), page.limit
    malformed = min(page.count, asked) - sound
    more = page.count - sound - malformed
    return replace(plain, gone=asked - sound - malformed, malformed=malformed, twice=more)


def _anchored(
    plain: Step, process: Process, rows: Rows, moment: Moment, *, index: int, ahead: Ahead
) -> Iterator[Step]:
    page = moment.recorded.event
    assert isinstance(page, e.PageFetched), "only such pages are anchored"
    spoiled = _spoiled(plain, process, rows, moment, page)
    spoiled = spoiled if ahead.is_total else replace(spoiled, tied=_ties(moment, page))
    place = process.paging.offset - page.shift
    least, wanted = new_rows(moment, page), ahead.rows_from(index) or 0
    extras = dict.fromkeys((0, *_in_the_way(process, rows, page.offset), rows.passed))
    squeezed = dict.fromkeys((0, spoiled.nameless))
    for again, extra, next_came in product(_hidden_twice(process, page), extras, squeezed):
        step = replace(_placed(spoiled, rows, place - again, extra), next_came=next_came)
        step = replace(step, twice=spoiled.twice + again)
        yield _long_enough(step, rows.ahead + next_came, least, wanted, is_end=ahead.is_end(index))


def _hidden_twice(process: Process, page: e.PageFetched) -> Iterable[int]:
    """Return how many rows may have come twice: where ties are shuffled, these count as seen before."""
    if process.paging.is_total and page.is_total:
        return (0,)
    lead = process.paging.offset - page.offset - page.shift
    return [count for count in dict.fromkeys((0, 1, lead)) if count <= lead]


def _in_the_way(process: Process, rows: Rows, offset: int) -> Iterator[int]:
    """Yield how many rows before the cursor may hide the anchor: not seen, or tied with the frontier."""
    frontier = process.paging.frontier
    passed = rows.rows[offset : rows.passed]
    key = frontier.key if frontier else ""
    seen = [
        place for place, row in enumerate(passed) if frontier and row.key == key and row.id in frontier.ids
    ]
    if frontier is None:
        yield len(passed)
    elif seen:
        yield len(passed) - 1 - seen[-1]
        yield len(passed) - seen[0]


def _placed(step: Step, rows: Rows, place: int, extra: int) -> Step:
    """Let rows before the cursor go and come, so that the sync has passed `place` of them."""
    moved = place - rows.passed
    return replace(step, gone=max(0, -moved) + extra, came=max(0, moved) + extra)


def _long_enough(step: Step, there: int, least: int, wanted: int, *, is_end: bool) -> Step:
    """Let rows at the end go or come, where there are not as many ahead as the page showed."""
    if there >= least and not (is_end and there > least):
        return step
    rows = least if is_end else max(least, wanted)
    return replace(step, joined=max(0, rows - there), left=max(0, there - rows))


def _spoiled(plain: Step, process: Process, rows: Rows, moment: Moment, page: e.PageFetched) -> Step:
    """Return how the rows of a page came: without id, malformed, twice, without an order."""
    has_place = page.frontier is not None
    nameless = [reject for reject in page.malformed if not (has_place and reject.record_id)]
    is_changed = process.paging.is_total and page.is_total != rows.is_total
    is_total = process.paging.is_total and page.is_total
    has_peek = page.next_cursor is not None and page.next_cursor - page.offset < page.count
    return replace(
        plain,
        nameless=len(nameless),
        malformed=len(page.malformed) - len(nameless),
        twice=twice(moment, page),
        nameless_peek=is_total and has_peek and page.peek is None,
        shuffled=not page.is_total if is_changed else None,
    )


def _ties(moment: Moment, page: e.PageFetched) -> int:
    """Return how many rows share the frontier's key after a page, if more than one does."""
    assert moment.before is not None, "a page is fetched for a process"
    mark, frontier = page.frontier, moment.before.paging.frontier
    if mark is None:
        return 0
    known = frontier.ids if frontier and frontier.key == mark.key else frozenset()
    count = len(known | set(mark.ids))
    return count if count > 1 else 0


def _unanchored(
    plain: Step, rows: Rows, page: e.PagesShifted, place: int | None, wanted: int | None
) -> Iterator[Step]:
    """Let the page begin with a row that is neither the peek nor seen, or with none."""
    yield plain  # where rows went away before the page before
    least = 1 if page.found is not None else 0
    spots = [min(spot, page.offset) for spot in (place, page.offset - 1, 0) if spot is not None]
    guesses = [(max(0, spot), next_gone) for spot in spots for next_gone in (0, 1)]
    for spot, next_gone in dict.fromkeys([*guesses, (rows.passed, 0)]):
        step = replace(_placed(plain, rows, spot, extra=0), next_gone=min(next_gone, rows.ahead))
        there, needed = rows.ahead - step.next_gone, page.offset - spot + least
        if page.found is None:
            yield _long_enough(step, there, min(there, needed), 0, is_end=True)
        else:
            yield _long_enough(step, there, needed, wanted or 0, is_end=False)


def _tied(plain: Step, process: Process, rows: Rows) -> Iterator[Step]:
    """Let so many rows of one key come that no page could be trusted."""
    request, frontier = due_request(process), process.paging.frontier
    tied = len(frontier.ids) if frontier else 0
    enough = request.limit - max(1, process.options.limit_max - 1 - tied)
    leads = (process.paging.offset - request.offset, enough, 1, 0)
    for lead in dict.fromkeys(leads):
        if lead >= 0:
            place = request.offset + lead
            for extra in dict.fromkeys((0, *_in_the_way(process, rows, request.offset), rows.passed)):
                yield replace(_placed(plain, rows, place, extra), happens="ties")

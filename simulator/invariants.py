"""What must hold after every run: one function each, with a sentence that says what it means to a user."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec

from simulator.changes import Changes
from simulator.world import Values, World
from syncfsm.events import PageDelivered, PageFetched, RetryScheduled
from syncfsm.log import EventLog
from syncfsm.log.verify import verify
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.replay import moments


class Violation(msgspec.Struct, frozen=True):
    """An invariant that did not hold: its name, what that means, and what was seen."""

    invariant: str
    means: str
    seen: str


class Run(msgspec.Struct):
    """Everything there is to know of a run that is over."""

    process: Process
    log: EventLog
    contacts: sqlite3.Connection
    world: World
    changes: Changes
    asked_at: list[datetime]
    reads_per_s: int
    calmed_at: datetime | None
    ended_at: datetime
    finish_s_max: float


def nothing_lost(run: Run) -> str | None:
    """Every person who was there from the start to the end is in the sink."""
    lost = run.changes.survivors - set(_contacts(run))
    return f"{len(lost)} people are missing, such as {min(lost)}" if lost else None


def nothing_twice(run: Run) -> str | None:
    """No person is delivered a second time by paging."""
    delivered = Counter(
        record_id
        for moment in moments(run.log, run.process.id)
        if isinstance(moment.recorded.event, PageDelivered) and moment.before and moment.before.pending
        for record_id in moment.before.pending.record_ids
    )
    twice = [record_id for record_id, count in delivered.items() if count > 1]
    return f"{len(twice)} people came more than once, such as {min(twice)}" if twice else None


def sink_is_world(run: Run) -> str | None:
    """The sink has what the CRM has, for everybody who did not change meanwhile."""
    contacts, people = _contacts(run), run.world.entities("people")
    for record_id in sorted(run.changes.untouched & contacts.keys()):
        expected = _expected(people[record_id].values)
        if contacts[record_id] != expected:
            return f"{record_id} is {contacts[record_id]}, not {expected}"
    return None


def log_is_sound(run: Run) -> str | None:
    """The log is legal and without gaps, its digests match, and its read model is the fold of its events."""
    _, findings = verify(run.log)
    return findings[0].problem if findings else None


def pages_add_up(run: Run) -> str | None:
    """The totals are those of the pages: nothing is counted twice, nothing goes uncounted."""
    progress = run.process.progress
    if progress.fetched != progress.delivered + progress.rejected:
        return f"{progress.fetched} fetched, {progress.delivered} delivered, {progress.rejected} rejected"
    return None


def retries_wait(run: Run) -> str | None:
    """Nothing is asked before the moment that a retry was scheduled for."""
    for moment in moments(run.log, run.process.id):
        recorded = moment.recorded
        if isinstance(recorded.event, RetryScheduled):
            for asked_at in run.asked_at:
                if recorded.at < asked_at < recorded.event.retry_at:
                    return f"asked at {asked_at}, though {recorded.event.retry_at} was scheduled"
    return None


def rate_is_kept(run: Run) -> str | None:
    """The API's rate limit is kept, whatever a second begins with."""
    window = timedelta(seconds=1)
    for first, last in zip(run.asked_at, run.asked_at[run.reads_per_s :], strict=False):
        if last - first < window:
            return f"more than {run.reads_per_s} requests in the second from {first}"
    return None


def it_ends(run: Run) -> str | None:
    """Every sync ends, and once nothing goes wrong any more it completes within the stated time."""
    if run.process.state is not State.COMPLETED:
        return f"process {run.process.id} is {run.process.state}"
    if run.calmed_at is None:
        return None
    took_s = (run.ended_at - run.calmed_at).total_seconds()
    return f"it took {took_s:.0f} s after the last fault" if took_s > run.finish_s_max else None


def pages_are_contiguous(run: Run) -> str | None:
    """Each page begins where the one before it said it would."""
    events = [moment.recorded.event for moment in moments(run.log, run.process.id)]
    delivered = list(_settled(events))
    for page, following in pairwise(delivered):
        if following.cursor != (page.next_cursor or None):
            return f"the page at {following.cursor} follows one that ended at {page.next_cursor}"
    return None


def _settled(events: Iterable[object]) -> Iterable[PageFetched]:
    """Yield the pages that were delivered: of several fetches of a page, the last."""
    page: PageFetched | None = None
    for event in events:
        if isinstance(event, PageFetched):
            page = event
        elif isinstance(event, PageDelivered) and page is not None:
            yield page


INVARIANTS: tuple[Callable[[Run], str | None], ...] = (
    it_ends,
    nothing_lost,
    nothing_twice,
    sink_is_world,
    log_is_sound,
    pages_add_up,
    pages_are_contiguous,
    retries_wait,
    rate_is_kept,
)


def violations(run: Run) -> list[Violation]:
    """Return every invariant that does not hold."""
    found = []
    for invariant in INVARIANTS:
        seen = invariant(run)
        if seen is not None:
            means = (invariant.__doc__ or "").strip()
            found.append(Violation(invariant=invariant.__name__, means=means, seen=seen))
    return found


def _contacts(run: Run) -> dict[str, tuple[Any, ...]]:
    sql = "SELECT external_id, first_name, last_name, role, phone_numbers, emails FROM contacts"
    return {row[0]: tuple(row[1:]) for row in run.contacts.execute(sql)}


def _expected(values: Values) -> tuple[Any, ...]:
    """Return a contact's columns straight from the world: an oracle that shares no code with syncfsm."""
    name = next(iter(_active(values["name"])), {})
    title = next(iter(_active(values["job_title"])), {})
    phones = [value["phone_number"] for value in _active(values["phone_numbers"])]
    emails = [value["email_address"] for value in _active(values["email_addresses"])]
    return (
        name.get("first_name") or None,
        name.get("last_name") or None,
        title.get("value") or None,
        msgspec.json.encode(phones).decode(),
        msgspec.json.encode(emails).decode(),
    )


def _active(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [value for value in values if value["active_until"] is None]

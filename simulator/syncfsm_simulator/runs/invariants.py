"""What must hold after every run: one function each, with a sentence that says what it means to a user."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain, pairwise

import msgspec

from syncfsm.core import events as e
from syncfsm.core.legality import refusal
from syncfsm.core.machine import State
from syncfsm.core.marks import Mark
from syncfsm.core.process import Process
from syncfsm.history.replay import Moment, moments
from syncfsm.log import EventLog
from syncfsm.log.checks.verify import verify
from syncfsm_simulator.runs.alive import nobody_alive_is_deleted
from syncfsm_simulator.runs.fields import FIELDS, contacts_of, fits
from syncfsm_simulator.runs.oracle import Known, everybody
from syncfsm_simulator.runs.silence import no_secret_shows, nobody_is_quoted
from syncfsm_simulator.runs.tampering import unnoticed
from syncfsm_simulator.runs.times import (
    rate_is_kept,
    requests_are_bounded,
    retries_wait,
    servers_are_heeded,
    sleeps_are_decided,
    waits_are_bounded,
    watermarks_are_past,
)
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.foreseen import surprise_words, unforeseen_words
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.world import World


class Violation(msgspec.Struct, frozen=True):
    """An invariant that did not hold: its name, what that means, and what was seen.

    Of the two phases of a run, `it_ends` judges liveness, all others safety.
    """

    invariant: str
    means: str
    seen: str

    @property
    def phase(self) -> str:
        """Which promise was broken: `safety` or `liveness`."""
        return "liveness" if self.invariant == it_ends.__name__ else "safety"


class Run(msgspec.Struct, dict=True):
    """Everything there is to know of a run that is over.

    Attributes:
        timeline: Every request made and every event recorded, in true order.
        unnamed: The ids of people whose row came without its id.
        refused: The ids of people whom the sink refused and did not take later.
        untold: The ids of people whose row came without an attribute, each with that.
        blanked: The ids of people who had a value in a field of the sink and lost it, each with the field.
        calmed_at: When faults ended, if the run lasted so long.
        surprise: The error that nobody foresaw, if there was one.
    """

    scenario: Scenario
    process: Process
    log: EventLog
    contacts: sqlite3.Connection
    marks: tuple[Mark, ...]
    world: World
    changes: Changes
    timeline: list[Asked | e.Recorded]
    unnamed: set[str]
    refused: set[str]
    untold: set[tuple[str, str]]
    blanked: frozenset[tuple[str, str]]
    key: str
    calmed_at: datetime | None
    ended_at: datetime
    chance: random.Random
    surprise: Exception | None

    @cached_property
    def histories(self) -> list[list[Moment]]:
        """Every step of every process."""
        return [list(moments(self.log, process_id)) for process_id in self.log.ids()]

    @cached_property
    def known(self) -> dict[str, Known]:
        """What the CRM has of everybody who is there at the end, by id."""
        return everybody(self.world)

    def steps(self) -> Iterator[Moment]:
        """Yield every step of every process."""
        return chain.from_iterable(self.histories)

    def recorded(self) -> Iterator[e.Recorded]:
        """Yield every event of every process."""
        return (moment.recorded for moment in self.steps())


Check = Callable[[Run], str | None]
"""Returns what was seen if something does not hold; its docstring says what that means to a user."""


def no_surprise(run: Run) -> str | None:
    """Nothing that the world does makes the engine fail in a way that nobody foresaw."""
    return surprise_words(run.surprise) if run.surprise else unforeseen_words(run.recorded())


def it_ends(run: Run) -> str | None:
    """Every sync ends, and once nothing goes wrong any more it completes within the stated time."""
    failure = run.process.failure
    if run.process.state is not State.COMPLETED and not (failure and _may_refuse(run, failure.reason)):
        return f"process {run.process.id} is {run.process.state}"
    if run.calmed_at is None:
        return None
    took_s = (run.ended_at - run.calmed_at).total_seconds()
    return f"it took {took_s:.0f} s after the last fault" if took_s > run.scenario.finish_s_max else None


def _may_refuse(run: Run, reason: str) -> bool:
    """Whether the sync was right to give up for good: nobody could page safely by this source."""
    is_unsorted, is_shuffled = run.scenario.sorts == "ignored", run.scenario.ties == "shuffled"
    return (is_unsorted and reason == "unordered") or (is_shuffled and reason == "ties")


def nothing_lost(run: Run) -> str | None:
    """Every person who was there from the start to the end is in the sink, or named among the rejects."""
    if run.process.state is not State.COMPLETED:
        return None
    complete = (history for history in run.histories if history[-1].after.state is State.COMPLETED)
    events = [moment.recorded.event for history in complete for moment in history]
    rejected = [event.record_id for event in events if isinstance(event, e.RecordRejected)]
    lost = run.changes.survivors - set(contacts_of(run)) - (run.refused & set(rejected))
    if len(lost & run.unnamed) <= rejected.count(""):  # as many as were rejected without a name
        lost -= run.unnamed
    return f"{len(lost)} people are missing, such as {min(lost)}" if lost else None


def nothing_twice(run: Run) -> str | None:
    """No person is delivered a second time by paging, and none is twice in the sink."""
    for history in run.histories:
        twice = [record_id for record_id, count in _delivered(history).items() if count > 1]
        if twice:
            return f"{len(twice)} people came more than once, such as {min(twice)}"
    doubled = run.contacts.execute(
        "SELECT external_id FROM contacts GROUP BY external_id HAVING count(*) > 1"
    ).fetchall()
    return f"{len(doubled)} people are twice in the sink, such as {min(doubled)[0]}" if doubled else None


def _delivered(history: Iterable[Moment]) -> Counter[str]:
    return Counter(
        record_id
        for moment in history
        if isinstance(moment.recorded.event, e.PageDelivered) and moment.before and moment.before.pending
        for record_id in moment.before.pending.record_ids
    )


def sink_is_world(run: Run) -> str | None:
    """The sink has what the CRM has, for everybody who did not change meanwhile."""
    contacts, people = contacts_of(run), run.known
    untouched = run.changes.untouched & contacts.keys()
    others = sorted(each for each in untouched if contacts[each] != people[each].fields)
    for record_id in others:
        found, wanted = contacts[record_id], people[record_id].fields
        if not fits(run, record_id, found, wanted):
            return f"{record_id} is {found}, not {wanted}"
    return None


def sink_knows_itself(run: Run) -> str | None:
    """The sink says by itself what the log says: which sync it had last, and up to what time it has all."""
    process, said = run.process, [(mark.process, mark.watermark) for mark in run.marks]
    time = run.log.last_sync_time(process.source, process.object, process.sink, changed_by=process.changed_by)
    is_so = process.state is not State.COMPLETED or said == [(process.id, time)]
    return None if is_so else f"it says {said}, after process {process.id}"


def log_is_sound(run: Run) -> str | None:
    """The log is legal and without gaps, its digests match, and its read model is the fold of its events."""
    _, findings = verify(run.log)
    return findings[0].problem if findings else None


def tampering_shows(run: Run) -> str | None:
    """An event that is changed, dropped or swapped afterwards does not go unnoticed."""
    return unnoticed(run.log, run.chance)


def events_answer_actions(run: Run) -> str | None:
    """Every event is one that the action due before it can lead to."""
    for history in run.histories:
        for moment in history:
            reason = refusal(moment.before, moment.recorded.event)
            if reason is not None:
                return f"version {moment.recorded.version} of {moment.after.id}: {reason}"
    return None


def totals_add_up(run: Run) -> str | None:
    """The totals are those of the pages: nothing is counted twice, nothing goes uncounted."""
    for history in run.histories:
        progress = history[-1].after.progress
        if progress.fetched != progress.delivered + progress.rejected:
            return f"{progress.fetched} fetched, {progress.delivered} delivered, {progress.rejected} rejected"
    return None


def pages_are_contiguous(run: Run) -> str | None:
    """Each page begins where the one before it said it would."""
    for history in run.histories:
        events = [moment.recorded.event for moment in history]
        for page, following in pairwise(_settled(events)):
            if page and following and following.cursor != (page.next_cursor or None):
                return f"the page at {following.cursor} follows one that ended at {page.next_cursor}"
    return None


def _settled(events: Iterable[object]) -> Iterable[e.PageFetched | None]:
    """Yield the pages that were delivered: of several fetches of a page, the last; null where lists begin."""
    page: e.PageFetched | None = None
    for event in events:
        if isinstance(event, e.PageFetched):
            page = event
        elif isinstance(event, e.MissingFound):
            yield None
        elif isinstance(event, e.PageDelivered) and page is not None:
            yield page


def failures_are_resumable(run: Run) -> str | None:
    """A sync that failed says why and can be taken up again, unless going on could lose somebody."""
    for record in run.recorded():
        event = record.event
        if not isinstance(event, e.SyncFailed) or (event.error and event.resumable):
            continue
        if not _may_refuse(run, event.reason):
            return f"process {record.stream} failed for good: {event.error}"
    return None


INVARIANTS: tuple[Check, ...] = (
    no_surprise,
    it_ends,
    nothing_lost,
    nothing_twice,
    nobody_alive_is_deleted,
    sink_is_world,
    *FIELDS,
    sink_knows_itself,
    log_is_sound,
    tampering_shows,
    events_answer_actions,
    totals_add_up,
    pages_are_contiguous,
    retries_wait,
    servers_are_heeded,
    sleeps_are_decided,
    waits_are_bounded,
    requests_are_bounded,
    watermarks_are_past,
    rate_is_kept,
    failures_are_resumable,
    no_secret_shows,
    nobody_is_quoted,
)
"""What must hold of every run, whatever went wrong in it."""

_UNPLAYED = {it_ends, sink_is_world, sink_knows_itself, failures_are_resumable, *FIELDS}

PLAYED: tuple[Check, ...] = tuple(check for check in INVARIANTS if check not in _UNPLAYED)
"""What must hold where an incident is played: it ends as it ended; of people only ids are known, no marks."""


def violations(run: Run, checks: Sequence[Check] = INVARIANTS) -> list[Violation]:
    """Return everything that does not hold."""
    found = []
    for check in checks:
        seen = check(run)
        if seen is not None:
            means = (check.__doc__ or "").strip()
            found.append(Violation(invariant=check.__name__, means=means, seen=seen))
    return found

"""The account of a process: what was asked, how far it got, where time went, what failed, what to do next."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from syncfsm.core.describe import action_words, event_words, missing_words
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.errors import ProcessNotFound
from syncfsm.explain.advice import Advice, LogName, steps
from syncfsm.explain.spending import Spending, Spent
from syncfsm.explain.trouble import Ending, RejectGroup, TroubleAt, Troubles
from syncfsm.history.replay import Moment, moments
from syncfsm.log import log_name

if TYPE_CHECKING:
    from syncfsm.log.protocol import EventLog


class Account(Value, frozen=True):
    """What became of a process.

    Attributes:
        process: Its last state.
        asked: What was asked for, in words.
        asked_at: When.
        last: The last event, in words.
        due: What it would do next, in words; null once it is over.
        spent: Where the time went.
        slowest_page: The page whose request took longest: its version, and seconds.
        longest_idle: The longest time without a worker: the version that ended it, and seconds.
        silent_s: Seconds since the last event, or since the wait that it scheduled, if the time is known.
        causes: Retries, by the kind of failure.
        refetched: Pages fetched again since a worker had died or stopped holding one.
        resumes: How often a failed process went on.
        first: The very first failure.
        ending: What ended it, if it has failed.
        rejects: The records that were rejected, by reason.
        steps: What to do next, in this order.
        evidence: Of a sync that looked for what is missing, what it found; else empty.
    """

    process: Process
    asked: str
    asked_at: datetime
    last: str
    due: str | None
    spent: Spent
    slowest_page: tuple[int, float] | None
    longest_idle: tuple[int, float] | None
    silent_s: float | None
    causes: dict[str, int]
    refetched: int
    resumes: int
    first: TroubleAt | None
    ending: Ending | None
    rejects: tuple[RejectGroup, ...]
    steps: tuple[Advice, ...]
    evidence: str = ""


def explain(log: EventLog, process_id: str, log_path: str, *, now: datetime | None = None) -> Account:
    """Return the account of a process.

    Args:
        log: Where it is.
        process_id: Which process.
        log_path: The log, as the commands of `steps` are to name it.
        now: The time, for a process that may still be under way.

    Raises:
        ProcessNotFound: There is no such process.
        CorruptLog, InvalidTransition: The log does not hold what was written to it.
    """
    spending, troubles = Spending(), Troubles()
    asked = last = None
    for moment in moments(log, process_id):
        spending.add(last.recorded if last else None, moment)
        troubles.add(moment)
        asked, last = asked or moment, moment
    if asked is None or last is None:
        raise ProcessNotFound(f"there is no process {process_id} in this log")
    named = LogName(path=log_name(log_path), is_captured=process_id in log.capture_counts())
    return _account(asked, last, spending=spending, troubles=troubles, log=named, now=now)


def _silent_s(process: Process, now: datetime) -> float:
    """Return for how long nothing was recorded, a wait that was scheduled left out."""
    waits_until = process.retry.retry_at if process.retry and process.is_active else process.updated_at
    return max(0.0, (now - max(waits_until, process.updated_at)).total_seconds())


def _account(
    asked: Moment,
    last: Moment,
    *,
    spending: Spending,
    troubles: Troubles,
    log: LogName,
    now: datetime | None,
) -> Account:
    process = last.after
    silent_s = _silent_s(process, now) if now else None
    since_event_s = max(0.0, (now - process.updated_at).total_seconds()) if now else None
    ending = troubles.ending if process.state is State.FAILED else None
    return Account(
        process=process,
        asked=event_words(asked.recorded.event),
        asked_at=asked.recorded.at,
        last=f"{last.recorded.type}: {event_words(last.recorded.event)}",
        due=action_words(process, last.next_action) if process.is_active else None,
        spent=spending.spent,
        slowest_page=spending.slowest_page,
        longest_idle=spending.longest_idle,
        silent_s=silent_s,
        causes=dict(troubles.causes.most_common()),
        refetched=troubles.refetched,
        resumes=troubles.resumes,
        first=troubles.first,
        ending=ending,
        rejects=troubles.rejects,
        steps=steps(process, log, silent_s, since_event_s),
        evidence=missing_words(process.missing) if process.missing else "",
    )

"""An account as lines of text, each a heading and a sentence or two."""

from __future__ import annotations

from collections.abc import Iterator

from syncfsm.core.describe import counts_words, done_words, duration, left_out_words, plural, time_words
from syncfsm.core.limits import LIMITS
from syncfsm.core.machine import State
from syncfsm.core.shortfall import shortfall_words
from syncfsm.core.value import Value
from syncfsm.explain.account import Account
from syncfsm.explain.trouble import Ending, TroubleAt

_DOING = {"check": "checking key, object and sink", "finish": "finishing"}

_PARTS = {"look-up": "looking up what goes with"}

_SPENT = {
    # part of the time: its words
    "fetching_s": "fetching pages",
    "delivering_s": "delivering them",
    "rate_limited_s": "waiting for rate limits",
    "retrying_s": "waiting after other failures",
    "failing_s": "attempts that failed",
    "checking_s": "checking",
    "stopped_s": "stopped, until it was resumed",
    "idle_s": "no worker on it",
}

IDLE_S = 1.0

_LESS_THAN_WORTH_TELLING_S = 0.0005


class Section(Value, frozen=True):
    """A part of an account: what it is about, and sentences. A sentence indented by four is a command."""

    heading: str
    sentences: tuple[str, ...]


def sections(account: Account) -> tuple[Section, ...]:
    """Return the account for a person: what was asked first, what to do next last."""
    parts = (
        ("asked", [f"{time_words(account.asked_at)}: {account.asked}."]),
        ("state", _state(account)),
        ("failed", _failed(account)),
        ("rejected", _rejected(account)),
        ("troubles", _troubles(account)),
        ("time", _time(account)),
        ("next", _next(account)),
    )
    found = (Section(heading=heading, sentences=tuple(sentences)) for heading, sentences in parts)
    return tuple(section for section in found if section.sentences)


def lines(account: Account) -> list[str]:
    """Return the sections of an account as lines of text."""
    return [
        f"{'' if index else section.heading:<9} {sentence}"
        for section in sections(account)
        for index, sentence in enumerate(section.sentences)
    ]


def _state(account: Account) -> Iterator[str]:
    process, progress = account.process, account.process.progress
    yield (
        f"{process.state} at version {process.version:,}: {plural(progress.pages, 'page')} done, "
        f"{done_words(progress)} fetched, {progress.delivered:,} delivered "
        f"({counts_words(progress)}), {progress.rejected:,} rejected."
    )
    if progress.left_out:
        yield f"Left out: {left_out_words(progress.left_out)}."
    if progress.missing:
        yield f"{plural(progress.missing, 'contact')} that no page had {_were(progress.missing)} deleted."
    if account.evidence:
        yield account.evidence
    short = shortfall_words(process)
    if short:
        yield short
    if process.state is State.CANCELLED:
        yield f"{account.last}."
    if account.due is not None:
        silent = f"; nothing was recorded for {duration(account.silent_s)}" if account.silent_s else ""
        yield f"It is under way{silent}. Due: {account.due}."


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _failed(account: Account) -> Iterator[str]:
    ending = account.ending
    if ending is None:
        return
    yield f"While {_where(ending.place)}: {ending.place.error}"
    limit = ending.place.cause
    if limit in LIMITS:
        value: float = getattr(account.process.options, limit)
        yield f"The limit that ended it: {limit} = {value:,.12g}."
    yield _row(ending)


def _row(ending: Ending) -> str:
    """Say which failures led to the last one."""
    last, began = ending.place, ending.began
    place = f"version {last.version:,}, {time_words(last.at)}"
    if ending.failures == 1:
        why = "no wait may be so long" if last.cause == "wait_s_max" else "waiting cannot cure this"
        return f"It gave up at once, since {why}: {last.cause}, at {place}."
    lasted = duration((last.at - began.at).total_seconds())
    return (
        f"It had failed {ending.failures} times in a row, over {lasted}: first {began.cause} at version "
        f"{began.version:,}, {time_words(began.at)}; it gave up at {place}."
    )


def _where(place: TroubleAt) -> str:
    if place.page is None:
        return _DOING.get(place.action, place.action)
    doing = _PARTS.get(place.what) or ("delivering" if place.action == "deliver" else "fetching")
    first = f", its first record {place.first_record}" if place.first_record else ""
    return f"{doing} page {place.page:,} (rows from offset {place.offset:,}{first})"


def _rejected(account: Account) -> Iterator[str]:
    for group in account.rejects:
        named = ", ".join(record_id or "a row without id" for record_id in group.record_ids)
        more = ", …" if group.count > len(group.record_ids) else ""
        yield f"{plural(group.count, 'record')}: {group.reason} ({named}{more})"


def _troubles(account: Account) -> Iterator[str]:
    progress = account.process.progress
    counts = [f"{plural(count, 'retry', 'retries')} after {cause}" for cause, count in account.causes.items()]
    if progress.shifts:
        counts.append(f"{plural(progress.shifts, 'shift')} of the pages, since rows went away")
    if account.refetched:
        counts.append(f"{plural(account.refetched, 'page')} fetched again, since a worker died or stopped")
    if account.resumes:
        counts.append(f"resumed {plural(account.resumes, 'time')}")
    yield f"{'; '.join(counts) or 'none'}."
    if account.first is not None and (account.ending is None or account.first != account.ending.began):
        first = account.first
        yield f"The first trouble, at version {first.version:,}, while {_where(first)}: {first.error}"


def _is_idle(account: Account) -> bool:
    """Whether there was a time without any worker, and not only time between two steps."""
    return account.longest_idle is not None and account.longest_idle[1] >= IDLE_S


def _time(account: Account) -> Iterator[str]:
    spent = account.spent
    named = _SPENT if _is_idle(account) else {**_SPENT, "idle_s": "between steps"}
    parts = [(getattr(spent, name), words) for name, words in named.items()]
    told = [
        f"{duration(seconds)} {words}"
        for seconds, words in sorted(parts, reverse=True)
        if seconds > _LESS_THAN_WORTH_TELLING_S
    ]
    yield f"{duration(spent.total_s)} in all" + (f": {', '.join(told)}." if told else ".")
    if account.slowest_page is not None:
        version, seconds = account.slowest_page
        yield f"The slowest page took {duration(seconds)}, at version {version:,}."
    if account.longest_idle is not None and _is_idle(account):
        version, seconds = account.longest_idle
        yield f"No worker was on it for {duration(seconds)} before version {version:,}."


def _next(account: Account) -> Iterator[str]:
    for step in account.steps:
        yield step.words
        if step.command:
            yield f"    {step.command}"
    if not account.steps:
        yield "nothing: all is done."

"""One step of a process in lines, as `replay` prints it and its keys show it."""

from __future__ import annotations

from syncfsm.core.describe import action_words, counts_words, duration, event_words, plural, time_words
from syncfsm.core.state import Progress
from syncfsm.history.difference import changes, value_words
from syncfsm.history.replay import Moment


def moment_lines(moment: Moment, last: int | None = None) -> list[str]:
    """Return one step of a process for a person, a line each.

    Args:
        moment: The step.
        last: The last version of the process, if it is to be shown.
    """
    process, before = moment.after, moment.before
    due = action_words(before, moment.action) if before else "nothing yet: somebody asked for it"
    of = f" of {last:,}" if last else ""
    since = f"; {duration(moment.since_s)} after the event before" if before else ""
    lines = (
        ("version", f"{process.version:,}{of}"),
        ("at", f"{time_words(moment.recorded.at)}, {duration(moment.elapsed_s)} after the start{since}"),
        ("due was", due),
        ("event", f"{moment.recorded.type}: {event_words(moment.recorded.event)}"),
        ("state", f"{before.state if before else '(none)'} → {process.state}"),
        *_change_lines(moment),
        ("progress", _progress_words(process.progress)),
        ("trouble", _trouble_words(process.progress)),
        ("next", action_words(process, moment.next_action)),
    )
    title = f"process {process.id}: {process.object} of {process.source} → {process.sink}"
    return [title, *(f"  {label:<10} {words}" for label, words in lines)]


def _progress_words(progress: Progress) -> str:
    return (
        f"{plural(progress.pages, 'page')}, {progress.fetched:,} fetched, {progress.delivered:,} delivered "
        f"({counts_words(progress)}), {progress.rejected:,} rejected"
    )


def _trouble_words(progress: Progress) -> str:
    return (
        f"{plural(progress.retries, 'retry', 'retries')}, {progress.rate_limited:,} for rate limits, "
        f"{progress.waited_s:.1f} s of waiting, {plural(progress.shifts, 'shift')} of the pages"
    )


def _change_lines(moment: Moment) -> list[tuple[str, str]]:
    """Return what the event changed; nothing for the first, whose words say all."""
    if moment.before is None:
        return []
    changed = [change for change in changes(moment.before, moment.after) if change.field != "state"]
    width = max((len(change.field) for change in changed), default=0)
    lines = [f"{c.field:<{width}}  {value_words(c.before)} → {value_words(c.after)}" for c in changed]
    return [("" if index else "changed", line) for index, line in enumerate(lines or ["nothing"])]

"""`syncfsm replay`: one step of a process in full, or all of them by keys."""

from __future__ import annotations

import sys
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import Command, fitted, json_option, print_json
from syncfsm.core.decide import ACTION_NAMES, Action
from syncfsm.core.describe import action_words, counts_words, duration, event_words, plural, time_words
from syncfsm.core.state import Progress
from syncfsm.core.summary import summary
from syncfsm.errors import ConfigurationError
from syncfsm.history.difference import changes, value_words
from syncfsm.history.replay import Moment, Timeline, at, find, first
from syncfsm.log import open_log
from syncfsm.log.checks.rules import ensure_chained


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.option("--at", "version", type=click.IntRange(min=1), help="The version to show; the last by default.")
@click.option(
    "--until", metavar="STATE", help="Show the first version that came to it: FAILED, or RetryScheduled."
)
@json_option
def replay(
    *, log_path: str, process: str | None, version: int | None, until: str | None, as_json: bool
) -> None:
    """Show what happened at any version of a process, what it changed, and why.

    On a terminal, keys step forward and back. With --at, --until or --json, or where there is no terminal,
    one version is printed. PROCESS may be a unique prefix; left out, it is the last one that began.
    """
    if version is not None and until is not None:
        raise ConfigurationError("--at and --until both say which version to show: give one of them")
    with open_log(log_path, read_only=True) as log:
        process_id = find(log, process)
        ensure_chained(log, process_id)
        is_asked = version is not None or until is not None or as_json
        if not is_asked and sys.stdin.isatty() and sys.stdout.isatty():
            from syncfsm.cli.shared.stepping import step_by_keys  # noqa: PLC0415 - rich is loaded when it is used

            step_by_keys(Timeline(log, process_id))
            return
        moment = first(log, process_id, until) if until else at(log, process_id, version)
    if as_json:
        print_json(_as_json(moment))
    else:
        click.echo("\n".join(fitted(moment_lines(moment), 13)))


def _as_json(moment: Moment) -> dict[str, Any]:
    return {
        **summary(moment.after),
        "event": {"type": moment.recorded.type, **to_builtins(moment.recorded)},
        "elapsed_s": moment.elapsed_s,
        "since_s": moment.since_s,
        "before": summary(moment.before) if moment.before else None,
        "changes": to_builtins(changes(moment.before, moment.after), order="deterministic"),
        "action": _action(moment.action),
        "next_action": _action(moment.next_action),
    }


def _action(action: Action | None) -> dict[str, Any] | None:
    return {"action": ACTION_NAMES[type(action)], **to_builtins(action)} if action else None


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

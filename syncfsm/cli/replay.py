"""`syncfsm replay`."""

from __future__ import annotations

from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.output import Command, json_option, print_json
from syncfsm.decide import ACTION_NAMES
from syncfsm.describe import action_words, event_words, plural
from syncfsm.log import open_log
from syncfsm.replay import Moment, at, find
from syncfsm.summary import summary


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.option("--at", "version", type=click.IntRange(min=1), help="The version to show; the last by default.")
@json_option
def replay(*, log_path: str, process: str | None, version: int | None, as_json: bool) -> None:
    """Show the state of a process at any version, what led to it, and what it would do next.

    PROCESS may be a unique prefix; left out, it is the last one that began.
    """
    with open_log(log_path, read_only=True) as log:
        moment = at(log, find(log, process), version)
    if as_json:
        print_json(_as_json(moment))
    else:
        _print(moment)


def _as_json(moment: Moment) -> dict[str, Any]:
    action = moment.next_action
    event = {"type": moment.recorded.type, **to_builtins(moment.recorded)}
    return {
        **summary(moment.after),
        "event": event,
        "next_action": {"action": ACTION_NAMES[type(action)], **to_builtins(action)} if action else None,
    }


def _print(moment: Moment) -> None:
    process, progress = moment.after, moment.after.progress
    before = moment.before.state if moment.before else "(none)"
    click.echo(f"process {process.id}: {process.object} of {process.source} → {process.sink}")
    click.echo(f"  version    {process.version}, {to_builtins(moment.recorded.at)}")
    click.echo(f"  state      {before} → {process.state}")
    click.echo(f"  because    {moment.recorded.type}: {event_words(moment.recorded.event)}")
    click.echo(
        f"  progress   {plural(progress.pages, 'page')}, {progress.fetched:,} fetched, "
        f"{progress.delivered:,} delivered ({progress.created:,} created, {progress.updated:,} updated, "
        f"{progress.unchanged:,} unchanged), {progress.rejected:,} rejected"
    )
    click.echo(
        f"  trouble    {plural(progress.retries, 'retry', 'retries')}, {progress.rate_limited:,} for rate "
        f"limits, {progress.waited_s:.1f} s of waiting, {plural(progress.shifts, 'shift')} of the pages"
    )
    click.echo(f"  next       {action_words(process, moment.next_action)}")

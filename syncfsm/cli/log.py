"""`syncfsm log`: ls, show, verify, rejects, forget."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
from msgspec import to_builtins

from syncfsm.cli.forget import forget
from syncfsm.cli.output import BROKEN, Command, json_option, print_json
from syncfsm.cli.rejects import rejects
from syncfsm.describe import event_words, plural
from syncfsm.events import Recorded
from syncfsm.log import open_log
from syncfsm.replay import find
from syncfsm.summary import summary


@click.group()
def log() -> None:
    """List, show and verify event logs, and forget what was captured."""


log.add_command(rejects)
log.add_command(forget)


@log.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@json_option
def ls(*, log_path: str, as_json: bool) -> None:
    """List the processes of a log, oldest first."""
    with open_log(log_path, read_only=True) as events:
        processes = [events.load(process_id) for process_id in events.ids()]
        captured = events.capture_counts()
    if as_json:
        found = [{**summary(process), "captured": captured.get(process.id, 0)} for process in processes]
        print_json({"processes": found})
        return
    for process in processes:
        progress = process.progress
        kept = f", {plural(captured[process.id], 'answer')} captured" if process.id in captured else ""
        click.echo(
            f"{process.id}  {process.state:<12}  v{process.version:<6} "
            f"{process.started_at:%Y-%m-%d %H:%M:%S}  "
            f"{process.object} of {process.source} → {process.sink}: "
            f"{plural(progress.fetched, 'record')} in {plural(progress.pages, 'page')}{kept}"
        )
    if not processes:
        click.echo("no processes yet", err=True)


@log.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@json_option
def show(*, log_path: str, process: str | None, as_json: bool) -> None:
    """Show every event of a process, one line each.

    PROCESS may be a unique prefix; left out, it is the last one that began. With --json, the events come
    whole: the same sync gives the same bytes.
    """
    with open_log(log_path, read_only=True) as events:
        process_id = find(events, process)
        if as_json:
            rows = [{"type": recorded.type, **to_builtins(recorded)} for recorded in events.read(process_id)]
            print_json({"process": process_id, "events": rows})
        else:
            _print_events(events.read(process_id))


def _print_events(events: Iterable[Recorded]) -> None:
    for recorded in events:
        at = f"{recorded.at:%H:%M:%S.%f}"[:-3]
        click.echo(f"{recorded.version:>6}  {at}  {recorded.type:<15} {event_words(recorded.event)}")


@log.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@json_option
def verify(*, log_path: str, as_json: bool) -> None:
    """Check that a log is what was written to it: digests, versions, transitions. Exit status 3 if not."""
    from syncfsm.log.verify import verify as verify_log  # noqa: PLC0415 - only this command needs it

    with open_log(log_path, read_only=True) as events:
        count, findings = verify_log(events)
    if as_json:
        print_json({"log": log_path, "events": count, "findings": to_builtins(findings)})
    else:
        for finding in findings:
            place = f"position {finding.position}" if finding.position else "the read model"
            click.echo(f"{place}, process {finding.process}, version {finding.version}: {finding.problem}")
        verdict = "sound" if not findings else plural(len(findings), "finding")
        click.echo(f"{log_path}: {plural(count, 'event')}, {verdict}")
    sys.exit(BROKEN if findings else 0)

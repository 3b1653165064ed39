"""`syncfsm log`: ls, show and verify; the others are modules of their own."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.log.backup import backup
from syncfsm.cli.log.check import check
from syncfsm.cli.log.export import export
from syncfsm.cli.log.follow import follow
from syncfsm.cli.log.forget import forget
from syncfsm.cli.log.import_ import import_
from syncfsm.cli.log.migrate import migrate
from syncfsm.cli.log.prune import prune
from syncfsm.cli.log.rejects import rejects
from syncfsm.cli.log.scenario import scenario
from syncfsm.cli.shared.events import event_line, event_object
from syncfsm.cli.shared.filters import Wanted, filter_options
from syncfsm.cli.shared.output import BROKEN, Command, json_option, print_findings, print_json, say
from syncfsm.core.describe import plural
from syncfsm.core.pruning import Deeds
from syncfsm.core.summary import summary
from syncfsm.errors import LogError
from syncfsm.history.replay import find
from syncfsm.log import log_name, open_log
from syncfsm.log.protocol import Auditable


@click.group()
def log() -> None:
    """List, show, follow, verify, back up, export and import event logs."""


log.add_command(backup)
log.add_command(check)
log.add_command(follow)
log.add_command(forget)
log.add_command(migrate)
log.add_command(prune)
log.add_command(rejects)
log.add_command(scenario)
log.add_command(export)
log.add_command(import_)


@log.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@filter_options
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the N that began last.")
@json_option
def ls(*, log_path: str, last: int | None, as_json: bool, **asked: Any) -> None:
    """List the processes of a log, oldest first."""
    wanted = Wanted(**asked)
    with open_log(log_path, read_only=True) as events, events.reading():
        newest_first = events.ids(last=None if wanted else last)[::-1]
        processes = list(islice(filter(wanted, events.loaded(newest_first)), last))[::-1]
        captured = events.capture_counts()
    if as_json:
        found = [{**summary(process), "captured": captured.get(process.id, 0)} for process in processes]
        print_json({"processes": found})
        return
    for process in processes:
        progress = process.progress
        kept = f", {plural(captured[process.id], 'answer')} captured" if process.id in captured else ""
        say(
            f"{process.id}  {process.state:<12}  v{process.version:<6} "
            f"{process.started_at:%Y-%m-%d %H:%M:%S}  "
            f"{process.object} of {process.source} → {process.sink}: "
            f"{plural(progress.fetched, 'record')} in {plural(progress.pages, 'page')}{kept}"
        )
    if not processes:
        say("no such processes" if wanted else "no processes yet", err=True)


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
            print_json({"process": process_id, "events": list(map(event_object, events.read(process_id)))})
            return
        for recorded in events.read(process_id):
            say(event_line(recorded))


@log.command(cls=Command, short_help="Check that a log is what was written to it.")
@click.argument("log_path", metavar="LOG")
@click.option(
    "--tail",
    type=click.IntRange(1),
    metavar="N",
    help="Only the processes that the last N events are of, each from its beginning.",
)
@json_option
def verify(*, log_path: str, tail: int | None, as_json: bool) -> None:
    """Check that a log is what was written to it: digests, versions, transitions, the read model.

    Each finding names the event: its position, process, version and type. A damaged file is read as far as
    it can be, also where SQLite refuses it. Exit status 3 if anything is wrong.
    """
    from syncfsm.cli.shared.progress import counted  # noqa: PLC0415 - only this command needs these
    from syncfsm.log.checks.verify import verify as verify_log  # noqa: PLC0415
    from syncfsm.log.checks.verify import verify_tail  # noqa: PLC0415
    from syncfsm.log.salvage.opening import open_audit  # noqa: PLC0415

    with counted("verifying") as advance:
        if tail is None:
            with open_audit(log_path) as events:
                count, findings = verify_log(events, on_place=advance)
                pruned = _pruned(events)
        else:
            with open_log(log_path, read_only=True) as events:
                count, findings = verify_tail(events, tail, on_place=advance)
                pruned = []
    if as_json:
        print_json(
            {"log": log_name(log_path), "events": count, "findings": to_builtins(findings), "pruned": pruned}
        )
    else:
        print_findings(findings)
        for told in pruned:
            say(_pruned_words(**told))
        verdict = "sound" if not findings else plural(len(findings), "finding")
        say(f"{log_name(log_path)}: {plural(count, 'event')}, {verdict}")
    sys.exit(BROKEN if findings else 0)


def _pruned(events: Auditable) -> list[dict[str, Any]]:
    """Return what was pruned: when, by whom, of what time; what went at the same moment is one."""
    found: dict[tuple[datetime, str], list[Deeds]] = {}
    with suppress(LogError):  # then it is among the findings
        for pruning, _ in events.prunings():
            found.setdefault((pruning.at, pruning.deeds.by), []).append(pruning.deeds)
    return [
        {
            "at": to_builtins(at),
            "by": by,
            "processes": sum(len(one.processes) for one in deeds),
            "events": sum(one.events for one in deeds),
            "since": to_builtins(min(one.since for one in deeds)),
            "until": to_builtins(max(one.until for one in deeds)),
            "archive": deeds[0].archive,
        }
        for (at, by), deeds in found.items()
    ]


def _pruned_words(
    *, at: str, by: str, processes: int, events: int, since: str, until: str, archive: str | None
) -> str:
    to = f", exported to {archive} first" if archive else ""
    return (
        f"pruned {at[:10]} by {by}: {plural(events, 'event')} of "
        f"{plural(processes, 'process', 'processes')}, {since[:10]} to {until[:10]}{to}"
    )

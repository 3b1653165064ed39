"""`syncfsm log prune`: lets go of what was over long ago."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.durations import before_now
from syncfsm.cli.shared.output import Resumable, json_option, print_json, say
from syncfsm.cli.shared.progress import shown
from syncfsm.core.describe import plural
from syncfsm.log import EventLog, open_log
from syncfsm.log.pruning.choosing import Choice
from syncfsm.log.pruning.pruning import Pruned
from syncfsm.log.pruning.pruning import prune as prune_log


class _Prune(Resumable):
    interrupted = "interrupted; the log is sound, and the same command goes on (with another file for --to)"


@click.command(cls=_Prune, short_help="Delete the events of what was over long ago.")
@click.argument("log_path", metavar="LOG")
@click.option("--older-than", required=True, metavar="TIME", help="90d, 12h or 0s: what ended before.")
@click.option("--keep-failed", is_flag=True, help="Leave every sync that failed.")
@click.option(
    "--to",
    metavar="FILE",
    help="Export what goes to this file first, for `log import`; it must not be there.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option(
    "--no-vacuum",
    is_flag=True,
    help="Do not rebuild a file of an older syncfsm, which is done once, so that it can get smaller.",
)
@json_option
def prune(*, log_path: str, older_than: str, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Delete the events of syncs that are over and ended long ago, and write down that they were.

    What is still asked for stays: where a sync takes up, open rejects, what is gone on with, and what the
    marks of a sink speak of. A sync may be running meanwhile. `log verify` tells what was pruned, and a file
    gets smaller; in PostgreSQL, autovacuum gives the room to what comes. docs/logs.md has the rest.

    \b
    syncfsm log prune sync.db --older-than 90d --to 2026-01.jsonl
    """  # noqa: D301 - \b keeps click from wrapping the example
    before = before_now(older_than)
    if dry_run:
        with open_log(log_path, read_only=True) as log:
            found = _would_go(log, before, keep_failed=asked["keep_failed"])
    else:
        with open_log(log_path, create=False) as log, shown("pruning") as show:
            found = prune_log(
                log,
                before=before,
                keep_failed=asked["keep_failed"],
                to=asked["to"],
                by="cli",
                may_rebuild=not asked["no_vacuum"],
                on_step=lambda events: show(f"pruning: {plural(events, 'event')} gone"),
            )
    _print(log.path, before, found, dry_run=dry_run, as_json=as_json)


def _would_go(log: EventLog, before: datetime, *, keep_failed: bool) -> Pruned:
    choice = Choice(log, before=before, keep_failed=keep_failed)
    events = sum(one.version for one in choice.processes)
    return Pruned(processes=len(choice.processes), events=events, kept=choice.kept)


def _print(path: str, before: datetime, found: Pruned, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = {"log": path, **to_builtins(found), "before": to_builtins(before), "dry_run": dry_run}
        print_json(told)
        return
    did = "would be pruned" if dry_run else "pruned"
    many = f"{plural(found.events, 'event')} of {plural(found.processes, 'process', 'processes')}"
    say(f"{path}: {many} {did}, {found.kept:,} as old stay: something still asks for them")

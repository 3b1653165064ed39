"""`syncfsm accounts`: how the syncs of all accounts stand."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.fleet import asked_of_all, fleet_options, syncs_of
from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.cli.shared.top_view import span_words
from syncfsm.core.describe import plural
from syncfsm.core.summary import summary
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.outside.clock import SystemClock
from syncfsm.workers import AccountSync, Engines, Standing


@click.command(cls=Command)
@fleet_options
@click.option("--every", default="5m", show_default=True, metavar="TIME", help="As for `run`.")
@json_option
def accounts(*, accounts: tuple[str, ...], log_path: str, every: str, as_json: bool) -> None:
    """Show how the syncs of all accounts stand: the last of each, how far it got, and what is due when.

    Nothing is asked of anybody: it is what the settings file and the log say. What failed is shown with its
    reason, by which `syncfsm resume --reason` goes on with all alike.

    \b
    syncfsm accounts --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    asked_of = asked_of_all(accounts, log_path, every)
    with open_log(log_path, create=False) as log:
        engines: Engines[Contact] = Engines(log, syncs_of(log, asked_of))
        standings = asyncio.run(engines.standings())
        now = SystemClock().now()
        if as_json:
            print_json({"accounts": [_as_json(engines.syncs[seen.sync], seen) for seen in standings]})
            return
        for seen in standings:
            say("  ".join(_words(seen, now)))
            if seen.process is not None and seen.process.failure is not None:
                say(f"    {seen.process.failure.reason}: {seen.process.failure.error}")


def _as_json(sync: AccountSync[Contact], seen: Standing) -> dict[str, Any]:
    process, route = seen.process, seen.route
    return {
        "account": seen.account,
        "sync": seen.sync,
        "source": route and route.source,
        "object": route and route.object,
        "sink": route and route.sink,
        "every_s": sync.every_s,
        "due_at": None if process is None else to_builtins(seen.due_at),
        "last_sync_at": to_builtins(seen.last_sync_at),
        "process": summary(process) if process else None,
        "trouble": seen.trouble,
    }


def _words(seen: Standing, now: datetime) -> list[str]:
    process = seen.process
    if seen.trouble is not None:
        return [seen.sync, "cannot be run", seen.trouble]
    if process is None:
        return [seen.sync, "never synced", "due now"]
    synced = f"synced {_ago(now, seen.last_sync_at)}" if seen.last_sync_at else "not synced yet"
    left_s = (seen.due_at - now).total_seconds()
    due = f"due in {span_words(left_s)}" if left_s > 0 else "due now"
    progress = process.progress
    how_far = f"{plural(progress.pages, 'page')}, {plural(progress.fetched, 'record')}"
    return [seen.sync, f"{process.id} {process.state.value}", how_far, synced, due]


def _ago(now: datetime, then: datetime) -> str:
    return f"{span_words(max(0.0, (now - then).total_seconds()))} ago"

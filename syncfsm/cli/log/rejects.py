"""`syncfsm log rejects`: which records were rejected, why, and which were delivered later."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.core.describe import plural
from syncfsm.core.marks import plain_name
from syncfsm.core.process import Process
from syncfsm.core.source_name import SourceName
from syncfsm.history.rejects import Rejected, count_without_id, last_with_rejects, open_ids, rejects_of
from syncfsm.history.replay import find
from syncfsm.log import EventLog, open_log


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@json_option
def rejects(*, log_path: str, process: str | None, as_json: bool) -> None:
    """List the records that a sync could not deliver, why, and what became of them.

    PROCESS may be a unique prefix; left out, it is the last sync that is over or has failed and has rejects.
    """
    with open_log(log_path, read_only=True) as events:
        meant = _meant(events, process)
        found = rejects_of(events, meant)
    if as_json:
        print_json(_as_json(meant, found))
    else:
        _print(meant, found, events.path)


def _meant(log: EventLog, prefix: str | None) -> Process:
    """Return the process asked for; the last one where none has rejects."""
    if prefix is not None:
        return log.load(find(log, prefix))
    last = last_with_rejects(log, lambda _process: True)
    return last or log.load(find(log, None))


def _as_json(process: Process, found: Sequence[Rejected]) -> dict[str, Any]:
    return {
        "process": process.id,
        "rejects": to_builtins(found),
        "open": len(open_ids(found)),
        "without_id": count_without_id(found),
    }


def _print(process: Process, found: Sequence[Rejected], log_path: str) -> None:
    for reject in found:
        since = f"; delivered later by {reject.delivered_by}" if reject.delivered_by else ""
        since = since or ("; gone from the source since" if reject.is_gone else "")
        say(
            f"{reject.record_id or '(no record id)':<36}  {reject.at:%Y-%m-%d %H:%M:%S}  "
            f"page at {reject.cursor or 0}  {reject.reason}{since}"
        )
    if not found:
        say(f"process {process.id} has no rejects", err=True)
    say(f"next: {_next(process, found, log_path)}")


def _next(process: Process, found: Sequence[Rejected], log_path: str) -> str:
    if not open_ids(found):
        return f"syncfsm log show {quote(log_path)} {process.id}"
    if process.is_active:
        return f"syncfsm replay {quote(log_path)} {process.id}"
    named = SourceName.of(process.source)
    if named.kind == "captured":
        return "mend what is wrong, then run `syncfsm rerun` again; the first log has its captures"
    options = {
        "--account": named.account,
        "--source": named.kind,
        "--base-url": named.where,
        "--object": process.object if process.object != "people" else "",
        "--sink": plain_name(process.sink),
        "--log": log_path,
    }
    words = [f"{name} {quote(value)}" for name, value in options.items() if value]
    count = plural(len(open_ids(found)), "record")
    return (
        f"mend what is wrong, then send {count} again: syncfsm retry-rejects {' '.join(words)} {process.id}"
    )

"""`syncfsm log check`."""

from __future__ import annotations

import sys

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import BROKEN, Command, json_option, print_findings, print_json, say
from syncfsm.core.describe import plural
from syncfsm.history.replay import find
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check as check_log


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@json_option
def check(*, log_path: str, process: str | None, as_json: bool) -> None:
    """Check that this version of syncfsm would go on with a log as it was written. Exit status 3 if not.

    For every event, what was due before it must lead to it. A log of an older version is read as if it were
    of this one. PROCESS may be a unique prefix; left out, all are checked.
    """
    with open_log(log_path, read_only=True) as log:
        count, findings = check_log(log, find(log, process) if process is not None else None)
    if as_json:
        print_json({"log": log.path, "events": count, "findings": to_builtins(findings)})
    else:
        print_findings(findings)
        verdict = "each follows from what was due" if not findings else plural(len(findings), "finding")
        say(f"{log.path}: {plural(count, 'event')}, {verdict}")
    sys.exit(BROKEN if findings else 0)

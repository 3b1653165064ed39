"""`syncfsm cancel`."""

from __future__ import annotations

import click

from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.core.summary import summary
from syncfsm.engine.commit import cancel as cancel_process
from syncfsm.history.replay import find
from syncfsm.log import open_log


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="PROCESS")
@click.option("--why", default="", help="Written into the log.")
@json_option
def cancel(*, log_path: str, process: str, why: str, as_json: bool) -> None:
    """Stop an active sync for good.

    A worker that is on it stops before its next page. PROCESS may be a unique prefix.
    """
    with open_log(log_path, create=False) as log:
        cancelled = cancel_process(log, find(log, process), by="cli", why=why)
    if as_json:
        print_json(summary(cancelled))
    else:
        say(f"process {cancelled.id} is CANCELLED after {cancelled.progress.pages:,} pages")

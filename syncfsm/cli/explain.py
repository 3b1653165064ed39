"""`syncfsm explain`."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec
from msgspec import to_builtins

from syncfsm.cli.shared.output import FAILED, Command, fitted, json_option, print_json, say
from syncfsm.core.machine import State
from syncfsm.core.summary import summary
from syncfsm.explain import Account, lines
from syncfsm.explain import explain as explain_process
from syncfsm.history.replay import find
from syncfsm.log import open_log
from syncfsm.log.checks.rules import ensure_chained
from syncfsm.outside.clock import SystemClock

_STATUS = {State.COMPLETED: 0, State.FAILED: FAILED, State.CANCELLED: 4}
ACTIVE = 5


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@json_option
def explain(*, log_path: str, process: str | None, as_json: bool) -> None:
    """Say what became of a sync and why: how far it got, what failed, where time went, what to do next.

    PROCESS may be a unique prefix; left out, it is the last one that began. The exit status tells the state:
    0 COMPLETED, 1 FAILED, 4 CANCELLED, 5 still active; 3 if the log does not hold.
    """
    with open_log(log_path, read_only=True) as log:
        process_id = find(log, process)
        ensure_chained(log, process_id)
        account = explain_process(log, process_id, log.path, now=SystemClock().now())
    if as_json:
        print_json(_as_json(account))
    else:
        say(f"process {account.process.id}")
        say(*fitted(lines(account), 10))
    sys.exit(_STATUS.get(account.process.state, ACTIVE))


def _as_json(account: Account) -> dict[str, Any]:
    rest = to_builtins(msgspec.structs.replace(account, process=None))
    del rest["process"]
    return {**summary(account.process), **rest}

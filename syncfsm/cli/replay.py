"""`syncfsm replay`: one step of a process in full, or all of them by keys."""

from __future__ import annotations

import sys
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.moments import moment_lines
from syncfsm.cli.shared.output import Command, fitted, json_option, print_json, say
from syncfsm.core.decide import ACTION_NAMES, Action
from syncfsm.core.summary import summary
from syncfsm.errors import ConfigurationError
from syncfsm.history.difference import changes
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
        say(*fitted(moment_lines(moment), 13))


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

"""`syncfsm log migrate`: makes a log, or brings it up to date, before anybody works with it."""

from __future__ import annotations

from typing import Literal

import click

from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.errors import CorruptLog, LogError, LogNotFound, LogUnwritable
from syncfsm.log import open_log
from syncfsm.postgres.driver import is_postgres

Did = Literal["nothing", "made", "updated"]

_WORDS: dict[Did, str] = {
    "nothing": "up to date",
    "made": "made, and up to date",
    "updated": "brought up to date",
}


@click.command(cls=Command, short_help="Make a log, or bring it up to date.")
@click.argument("log_path", metavar="LOG")
@json_option
def migrate(*, log_path: str, as_json: bool) -> None:
    """Make a log, or bring one up to date: its tables and, in PostgreSQL, those of the queue of workers.

    Whoever opens a log does this too, where it is missing; here it can be done beforehand, by a user who may
    make tables, so that workers need not be allowed to. Workers may go on meanwhile.

    \b
    syncfsm log migrate postgresql://owner@db/syncfsm
    """  # noqa: D301 - \b keeps click from wrapping the example
    did = _to_do(log_path)
    with open_log(log_path) as log:
        name = log.path
    has_queue = is_postgres(log_path) and _queue(log_path)
    if as_json:
        print_json({"log": name, "did": did, "queue": has_queue})
    else:
        say(f"{name}: {_WORDS[did]}{'; so is the queue of workers' if has_queue else ''}")


def _to_do(log_path: str) -> Did:
    """Return what opening a log to write is about to do."""
    try:
        with open_log(log_path, read_only=True):
            return "nothing"
    except LogNotFound:
        return "made"
    except (CorruptLog, LogUnwritable):
        raise
    except LogError:  # older, or no log at all: then it is refused again
        return "updated"


def _queue(log_path: str) -> bool:
    """Make the queue, or bring it up to date, where its extra is installed."""
    try:
        from syncfsm.workers.queue.schema import made_ready  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return False
    made_ready(log_path)
    return True

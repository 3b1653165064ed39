"""`syncfsm log forget`: deletes what was captured, and nothing else."""

from __future__ import annotations

import click
from msgspec import to_builtins

from syncfsm.cli.shared.durations import before_now
from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.core.describe import plural
from syncfsm.history.replay import find
from syncfsm.log import open_log


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.option("--older-than", required=True, metavar="TIME", help="30d, 12h, 90m or 0s: what came before.")
@click.option("--process", "prefix", help="Of this process only; may be a unique prefix.")
@json_option
def forget(*, log_path: str, older_than: str, prefix: str | None, as_json: bool) -> None:
    """Delete what was captured (sync --capture), for good. Events stay.

    The bytes are overwritten and the file is made smaller, so nothing of it is left in the log's files;
    copies and backups of them are yours to delete.
    """
    before = before_now(older_than)
    with open_log(log_path, create=False) as log:
        forgotten = log.forget(before=before, process_id=None if prefix is None else find(log, prefix))
        left = sum(log.capture_counts().values())
    if as_json:
        print_json({"log": log.path, **to_builtins(forgotten), "left": left, "before": to_builtins(before)})
        return
    say(
        f"{log.path}: {plural(forgotten.exchanges, 'captured answer')} deleted, "
        f"{forgotten.freed_bytes:,} bytes freed, {left:,} left"
    )

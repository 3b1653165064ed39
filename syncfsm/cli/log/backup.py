"""`syncfsm log backup`: a copy of a log that is whole and sound, also while it is written."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import join

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import Resumable, json_option, print_json, say
from syncfsm.cli.shared.progress import counter, shown
from syncfsm.core.describe import plural
from syncfsm.errors import ConfigurationError
from syncfsm.files.paths import path_in
from syncfsm.log import log_name
from syncfsm.log.sqlite.backup import back_up
from syncfsm.postgres.driver import is_postgres


class _Backup(Resumable):
    interrupted = "interrupted; nothing was written"


@click.command(cls=_Backup, short_help="Copy a log, also while it is written.")
@click.argument("log_path", metavar="LOG")
@click.argument("target", metavar="DEST", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace DEST if it is there.")
@json_option
def backup(*, log_path: str, target: Path, force: bool, as_json: bool) -> None:
    """Copy a log to DEST, one file, as it is at one moment, also while a sync is writing to it.

    The copy is verified, as `log verify` does, before it takes its place, and only its owner may read it. A
    damaged log is not copied; `log export` saves what is sound in it. DEST is a log like any other.

    \b
    syncfsm log backup sync.db backups/sync-monday.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    if is_postgres(log_path):
        raise ConfigurationError(
            f"the server of {log_name(log_path)} copies it: {_dump_command(log_path, target)}"
        )
    if is_postgres(target):
        raise ConfigurationError(
            "a backup is a file: `syncfsm log export` and `log import` fill a log on a server"
        )
    with shown("copying") as show:
        done = back_up(
            path_in(log_path),
            target,
            replaces=force,
            on_copied=lambda copied_bytes: show(f"copying: {copied_bytes / 1e6:,.0f} MB"),
            on_place=counter("verifying", show),
        )
    if as_json:
        print_json({"log": log_path, "backup": str(target), **to_builtins(done)})
    else:
        say(f"{target}: {plural(done.events, 'event')} of {log_path}, sound, {done.bytes:,} bytes")


def _dump_command(log_path: str, target: Path) -> str:
    """Return the command that backs a schema up, beside whoever writes to it."""
    from syncfsm.postgres.address import parse  # noqa: PLC0415 - an extra, which was found when the log was named

    address = parse(log_path)
    schema = '"{}"'.format(address.schema.replace('"', '""'))
    database = re.sub(r"[?&]schema=[^&]*$", "", address.name)
    return join(("pg_dump", "--format=custom", f"--schema={schema}", f"--file={target}", database))

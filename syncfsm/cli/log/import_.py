"""`syncfsm log import`: an export back into a log, with the digests it had."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import BinaryIO

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.cli.shared.progress import counted
from syncfsm.core.describe import plural
from syncfsm.errors import ConfigurationError
from syncfsm.files.paths import path_in
from syncfsm.log import EventLog, open_log
from syncfsm.log.transfer.importing import Imported, header_of, import_lines
from syncfsm.log.transfer.lines import LINE_BYTES_MAX
from syncfsm.postgres.driver import is_postgres


class _Import(Command):
    interrupted = "interrupted; nothing was written"


@click.command(
    "import", cls=_Import, short_help="Write the events of an export into a log: all of them, or none."
)
@click.argument("export_path", metavar="FILE")
@click.option(
    "--log", "log_path", required=True, metavar="LOG", help="The log to write to; made if it is not there."
)
@json_option
def import_(*, export_path: str, log_path: str, as_json: bool) -> None:
    """Write the events of an export into a log: all of them or none, with the digests they had.

    FILE may be - for stdin. Each event has to chain to the one before it and to be legal where it stands.
    Events that the log has already are passed over if they are the same, and refused if they are not.

    \b
    syncfsm log export sync.db | syncfsm log import - --log salvaged.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    with _opened(export_path) as file, counted("importing") as advance:
        lines = _lines(file, advance)
        first = next(lines, b"")
        header_of(first)  # what is no export makes no log
        with _made(log_path) as log:
            imported = import_lines(log, chain([first], lines))
    if as_json:
        print_json({"log": log.path, **to_builtins(imported)})
    else:
        _print(imported, log.path)


@contextmanager
def _made(log_path: str) -> Iterator[EventLog]:
    """Open the log; a file that is new and stays empty is taken away again."""
    file = None if is_postgres(log_path) else Path(path_in(log_path))
    is_new = file is not None and not file.exists()
    try:
        with open_log(log_path) as log:
            yield log
    except BaseException:
        for suffix in ("", "-wal", "-shm") if is_new else ():
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        raise


@contextmanager
def _opened(export_path: str) -> Iterator[BinaryIO]:
    if export_path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(export_path).open("rb")  # noqa: SIM115 - it is closed below
    except OSError as error:
        raise ConfigurationError(f"{export_path} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _lines(file: BinaryIO, advance: Callable[[object], None]) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX):
        advance(line)
        yield line


def _print(imported: Imported, log_path: str) -> None:
    known = f", {imported.known:,} were there already" if imported.known else ""
    say(
        f"{plural(imported.events, 'event')} of {plural(imported.processes, 'process', 'processes')} "
        f"written to {log_path}{known}"
    )
    if imported.redacted:
        say("the export is redacted: its ids are pseudonyms, and no sync can go on with it", err=True)
    say(f"next: syncfsm log verify {quote(log_path)}")

"""`syncfsm report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from syncfsm.cli.shared.filters import Wanted, filter_options
from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.core.describe import plural
from syncfsm.errors import ConfigurationError
from syncfsm.files.private import rewritten
from syncfsm.history.replay import find
from syncfsm.log import open_log
from syncfsm.postgres.driver import is_postgres
from syncfsm.report import GENERATOR, render

_HEAD_BYTES = 4096
"""Within so many bytes, a report says that it is one."""


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.option(
    "-o", "--output", default="report.html", show_default=True, help="The file to write; - for stdout."
)
@filter_options
@json_option
def report(*, log_path: str, process: str | None, output: str, as_json: bool, **asked: Any) -> None:
    """Draw a log as one HTML file, to look at in any browser or to attach to a ticket.

    It has the states, waits and retries over time, what was delivered, the latency of each page, every event,
    and a slider that shows the state at any version. It needs no network, and asks for none.

    PROCESS may be a unique prefix; left out, the page lists all processes, and opens each. A report that is
    there already is replaced; any other file is left alone.
    """
    path = Path(output) if output != "-" else None
    if path is not None:
        _check_replaceable(path)
    elif as_json:
        raise ConfigurationError("--json and the report cannot both go to stdout: name a file with -o")
    with open_log(log_path, read_only=True) as log:
        process_id = find(log, process) if process is not None else None
        made = render(log, process_id, log_name=_title(log.path), takes=Wanted(**asked))
    html = made.html.encode()
    if path is None:
        click.echo(html, nl=False)
        return
    _write(path, html)
    if as_json:
        print_json(
            {
                "report": output,
                "bytes": len(html),
                "processes": made.processes,
                "shown": made.shown,
                "events": made.events,
            }
        )
    else:
        what = plural(made.processes, "process", "processes")
        say(f"{output}: {what}, {plural(made.events, 'event')}, {len(html) / 1e6:.1f} MB")


def _title(log_name: str) -> str:
    """Return what a report calls its log: of a file, its name alone, since a path tells of the machine."""
    return log_name if is_postgres(log_name) else Path(log_name).name


def _check_replaceable(path: Path) -> None:
    """Refuse to write over anything but a report."""
    if not path.exists():
        return
    try:
        if path.is_file() and f'content="{GENERATOR}"'.encode() in _head(path):
            return
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    raise ConfigurationError(f"{path} is there, and is no report: name another file with -o")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _write(path: Path, html: bytes) -> None:
    """Write the whole file or nothing: a report is looked at while it is made anew."""
    try:
        with rewritten(path) as file:
            file.write(html)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error

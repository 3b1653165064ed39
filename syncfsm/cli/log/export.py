"""`syncfsm log export`: what is sound in a log, as lines of JSON."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import BROKEN, Command, json_option, print_findings, print_json, say
from syncfsm.cli.shared.progress import counted
from syncfsm.core.describe import plural
from syncfsm.errors import ConfigurationError
from syncfsm.files.private import private
from syncfsm.history.replay import choose
from syncfsm.log import log_name
from syncfsm.log.checks.findings import Extent, versions
from syncfsm.log.protocol import Auditable
from syncfsm.log.salvage.opening import open_audit
from syncfsm.log.transfer.exporting import Export, process_ids
from syncfsm.log.transfer.redact import KEY_BYTES, Redaction


class _Export(Command):
    interrupted = "interrupted; what was written is no whole export, and `log import` will refuse it"


@click.command(cls=_Export)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    help="Where to; a file must not be there yet.  [default: -]",
)
@click.option(
    "--redact", is_flag=True, help="Leave out ids, names and texts: nothing of it says who or whose it was."
)
@json_option
def export(*, log_path: str, process: str | None, output: str, redact: bool, as_json: bool) -> None:
    """Write all that is sound in a log as lines of JSON, for `log import`.

    PROCESS may be a unique prefix; left out, all processes are exported. A damaged log is read as far as it
    can be: of each process, the events up to the first that is lost. What is left out is told on stderr, and
    the exit status is then 3; so are notices of webhooks that wait. With --json, a summary is printed; the
    export then needs a FILE.

    \b
    syncfsm log export sync.db -o sync.jsonl
    syncfsm log export sync.db --redact -o for-a-bug-report.jsonl
    """  # noqa: D301 - \b keeps click from wrapping the example
    if as_json and output == "-":
        raise ConfigurationError("--json and the export cannot both go to stdout: name a file with -o")
    redaction = Redaction(secrets.token_bytes(KEY_BYTES)) if redact else None
    with open_audit(log_path) as log, counted("exporting") as advance:
        process_id = _meant(log, process)
        done = Export(log, process_id, redaction=redaction, on_place=advance)
        with _opened(output) as write:
            for line in done.lines():
                write(line)
    if as_json:
        print_json(_as_json(done, log_name(log_path), output))
    else:
        _print(done, log_name(log_path))
    sys.exit(0 if done.is_whole and not done.notices_left_out else BROKEN)


def _meant(log: Auditable, prefix: str | None) -> str | None:
    return None if prefix is None else choose(process_ids(log), prefix)


@contextmanager
def _opened(output: str) -> Iterator[Callable[[bytes], Any]]:
    """Open what to write to; half a file is not left behind."""
    if output == "-":
        yield sys.stdout.buffer.write
        return
    path = Path(output)
    try:
        file = open(path, "xb", opener=private)  # noqa: SIM115 - `Path.open` takes no opener; closed below
    except FileExistsError as error:
        raise ConfigurationError(f"{output} is there already: name another file, or remove it") from error
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file.write
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _as_json(done: Export, log_path: str, output: str) -> dict[str, Any]:
    return {
        "log": log_path,
        "output": output,
        "processes": done.processes,
        "events": done.events,
        "notices_left_out": done.notices_left_out,
        "left_out": [_left_out(extent) for extent in done.left_out()],
        "findings": to_builtins(done.findings()),
    }


def _left_out(extent: Extent) -> dict[str, Any]:
    return {"process": extent.process, "from_version": extent.sound + 1, "to_version": extent.stored}


def _print(done: Export, log_path: str) -> None:
    findings = done.findings()
    say(
        f"{plural(done.events, 'event')} of {plural(done.processes, 'process', 'processes')} exported",
        err=True,
    )
    for extent in done.left_out():
        lost = versions(extent.sound + 1, extent.stored)
        say(f"left out: {lost} of process {extent.process}", err=True)
    if done.notices_left_out:
        say(f"left out: {_notices_words(done.notices_left_out, log_path)}", err=True)
    print_findings([finding for finding in findings if finding.loses_events], err=True)
    if any(not finding.loses_events for finding in findings):
        say(f"more is wrong that costs no events: see `syncfsm log verify {quote(log_path)}`", err=True)


def _notices_words(count: int, log_path: str) -> str:
    """Say what waits in the inbox, and what to do about it."""
    return (
        f"{plural(count, 'notice')} of webhooks that {'wait' if count > 1 else 'waits'} in the inbox of "
        f"{log_path}: let `syncfsm webhooks` see to what waits, then export again; or run an initial sync by "
        "the new log"
    )

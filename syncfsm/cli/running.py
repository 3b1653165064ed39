"""What `sync` and `retry-rejects` share: their options, the engine, what is shown while it runs and after."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from shlex import quote
from typing import Any, TypeVar

import click

from syncfsm.cli.output import FAILED, json_option, print_json
from syncfsm.cli.quo import KEY_VARIABLES, open_asked, quo_options
from syncfsm.contact import Contact
from syncfsm.describe import left_out_words, plural
from syncfsm.engine import Engine
from syncfsm.events import Options, Recorded
from syncfsm.lifecycle import Hook
from syncfsm.limits import LIMITS, with_limits
from syncfsm.log import EventLog
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.sources.attio import BASE_URL, KEY_VARIABLE, AttioSource
from syncfsm.sources.attio_people import AttioPeople
from syncfsm.summary import summary

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--source", type=click.Choice(["attio"]), required=True, help="Where records come from."),
    click.option("--base-url", default=BASE_URL, show_default=True, help="Where the API is."),
    click.option(
        "--object", "object_", default="people", show_default=True, help="Which object's records, by slug."
    ),
    click.option("--sink", "sink_url", required=True, metavar="URL", help="sqlite:FILE, jsonl:FILE or quo:."),
    *quo_options,
    click.option("--log", "log_path", default="sync.db", show_default=True, help="The event log's file."),
    click.option(
        "--page-size", default=50, show_default=True, type=click.IntRange(min=1), help="Records a page."
    ),
    click.option("--companies/--no-companies", default=True, help="Look up the names of companies."),
    click.option(
        "--set", "settings", multiple=True, metavar="LIMIT=VALUE", help=f"Set a limit: {', '.join(LIMITS)}."
    ),
    click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr."),
    json_option,
)


def sync_options(command: F) -> F:
    """Give a command the options of everything that runs a sync."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def limits(engine: Engine[Contact], unfinished: Process | None, settings: tuple[str, ...]) -> Options | None:
    """Return the options with the limits set, for the process to go on with or a new one.

    Raises:
        ConfigurationError: A name is no limit, or a value does not fit it.
    """
    if not settings:
        return None
    return with_limits((unfinished or engine.source).options, settings)


class _Show:
    """Shows events as they come: a live line on a terminal, log lines elsewhere."""

    def __init__(self, secrets: Sequence[str], *, verbose: bool, is_live: bool) -> None:
        from syncfsm.cli.progress import ProgressLine  # noqa: PLC0415 - rich is loaded when it is used
        from syncfsm.telemetry import LogEvents, stderr_logger  # noqa: PLC0415 - structlog, likewise

        self._verbose = verbose
        self.line = ProgressLine() if is_live else None
        level = "info" if verbose else "warning"
        self._hook: Hook = self.line or LogEvents(stderr_logger(secrets, level=level))

    def __call__(self, process: Process, recorded: Recorded) -> None:
        if self._verbose or recorded.type != "SyncFailed":  # which the report says in full
            self._hook(process, recorded)

    def close(self) -> None:
        if self.line is not None:
            self.line.close()


Begin = Callable[[Engine[Contact]], Process | None]


def run(log: EventLog, begin: Begin, *, as_json: bool, verbose: bool, **asked: Any) -> Process | None:
    """Run the process that `begin` records, if it does, to its end; return its last state."""
    key = os.environ.get(KEY_VARIABLE, "")
    source = AttioSource(key, asked["object_"], base_url=asked["base_url"])
    transform = AttioPeople(source, companies=asked["companies"])
    secrets = (key, *(os.environ.get(variable, "") for variable in KEY_VARIABLES))
    show = _Show(secrets, verbose=verbose, is_live=not as_json and not verbose and sys.stderr.isatty())
    engine = Engine(log, source, open_asked(**asked), transform, hooks=[show])
    try:
        return asyncio.run(_run(engine, begin))
    finally:
        show.close()


async def _run(engine: Engine[Contact], begin: Begin) -> Process | None:
    async with engine:
        process = _begun(engine, begin)
        return await engine.run(process.id) if process else None


def _begun(engine: Engine[Contact], begin: Begin) -> Process | None:
    process = begin(engine)
    if process is not None and process.version > 1:
        place = f"at version {process.version}, {process.page_size} records a page"
        click.echo(f"going on with process {process.id} {place}", err=True)
    return process


def report(process: Process, log_path: str, *, as_json: bool, **more: Any) -> int:
    """Say what a process came to, and return the exit status."""
    if as_json:
        print_json({**summary(process), **more})
    else:
        _print(process, log_path)
    return 0 if process.state is State.COMPLETED else FAILED


def _print(process: Process, log_path: str) -> None:
    progress = process.progress
    click.echo(f"{process.state}: {process.object} of {process.source} → {process.sink}")
    click.echo(
        f"  {plural(progress.pages, 'page')}, {plural(progress.fetched, 'record')}: "
        f"{progress.created:,} created, {progress.updated:,} updated, "
        f"{progress.unchanged:,} unchanged, {progress.rejected:,} rejected"
    )
    if progress.left_out:
        click.echo(f"  left out by the sink: {left_out_words(progress.left_out)}")
    click.echo(
        f"  {plural(progress.retries, 'retry', 'retries')}, {progress.rate_limited:,} of them rate-limited; "
        f"{process.records_per_s:,.0f} records/s"
    )
    if process.failure is not None:
        click.echo(f"error: {process.failure.error}", err=True)
        click.echo(f"  {_what_next(process)}", err=True)
    look = "log rejects" if progress.rejected else "replay"
    click.echo(f"  next: syncfsm {look} {quote(log_path)} {process.id}")


def _what_next(process: Process) -> str:
    if process.is_resumable:
        return "nothing is lost: once that is mended, run the same command again to go on where it stopped"
    return "going on would not help: mend the cause and run again, which starts anew"

"""`syncfsm sync`."""

from __future__ import annotations

import asyncio
import os
import sys
from shlex import quote
from typing import Any, get_args

import click

from syncfsm.cli.output import FAILED, Command, json_option, plural, print_json
from syncfsm.contact import Contact
from syncfsm.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.events import Order, Recorded
from syncfsm.lifecycle import Hook
from syncfsm.log import open_log
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.sinks import open_sink
from syncfsm.sources.attio import BASE_URL, KEY_VARIABLE, AttioSource
from syncfsm.sources.attio_people import AttioPeople
from syncfsm.summary import summary


@click.command(cls=Command)
@click.option("--source", type=click.Choice(["attio"]), required=True, help="Where records come from.")
@click.option("--base-url", default=BASE_URL, show_default=True, help="Where the API is.")
@click.option(
    "--object", "object_", default="people", show_default=True, help="Which object's records, by slug."
)
@click.option("--sink", "sink_url", required=True, metavar="URL", help="sqlite:FILE or jsonl:FILE.")
@click.option("--log", "log_path", default="sync.db", show_default=True, help="The event log's file.")
@click.option(
    "--page-size", default=50, show_default=True, type=click.IntRange(min=1), help="Records a page."
)
@click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default="newest",
    show_default=True,
    help="Which records come first.",
)
@click.option("--companies/--no-companies", default=True, help="Look up the names of companies.")
@click.option("--fresh", is_flag=True, help="Start anew, even where a sync could go on.")
@click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr.")
@json_option
def sync(*, sink_url: str, log_path: str, fresh: bool, verbose: bool, as_json: bool, **asked: Any) -> None:
    """Sync the people of an Attio workspace into a sink.

    The key comes from the variable ATTIO_API_KEY. Run the same command again after a crash, a failure or
    Ctrl-C: the sync goes on where it stopped.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    key = os.environ.get(KEY_VARIABLE, "")
    with open_log(log_path) as log:
        source = AttioSource(key, asked["object_"], base_url=asked["base_url"])
        transform = AttioPeople(source, companies=asked["companies"])
        show = _Show(key, verbose=verbose, is_live=not as_json and not verbose and sys.stderr.isatty())
        engine = Engine(log, source, open_sink(sink_url), transform, hooks=[show])
        process = _run(engine, show, fresh=fresh, page_size=asked["page_size"], order=asked["order"])
    _report(process, log_path, as_json=as_json)
    sys.exit(0 if process.state is State.COMPLETED else FAILED)


class _Show:
    """Shows events as they come: a live line on a terminal, log lines elsewhere."""

    def __init__(self, key: str, *, verbose: bool, is_live: bool) -> None:
        from syncfsm.cli.progress import ProgressLine  # noqa: PLC0415 - rich is loaded when it is used
        from syncfsm.telemetry import LogEvents, stderr_logger  # noqa: PLC0415 - structlog, likewise

        self._verbose = verbose
        self.line = ProgressLine() if is_live else None
        level = "info" if verbose else "warning"
        self._hook: Hook = self.line or LogEvents(stderr_logger([key], level=level))

    def __call__(self, process: Process, recorded: Recorded) -> None:
        if self._verbose or recorded.type != "SyncFailed":  # which the report says in full
            self._hook(process, recorded)

    def close(self) -> None:
        if self.line is not None:
            self.line.close()


def _run(engine: Engine[Contact], show: _Show, *, fresh: bool, page_size: int, order: Order) -> Process:
    """Take up or start the sync, and run it."""

    async def run() -> Process:
        async with engine:
            process = _begin(engine, fresh=fresh, page_size=page_size, order=order)
            return await engine.run(process.id)

    try:
        return asyncio.run(run())
    finally:
        show.close()


def _begin(engine: Engine[Contact], *, fresh: bool, page_size: int, order: Order) -> Process:
    if not fresh:
        return _taken_up(engine, page_size=page_size, order=order)
    active = engine.active()
    if active is not None:
        engine.cancel(active.id, by="cli", why="started anew with --fresh")
    return engine.start(page_size=page_size, order=order)


def _taken_up(engine: Engine[Contact], *, page_size: int, order: Order) -> Process:
    try:
        process = engine.take_up(page_size=page_size, order=order)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} with --fresh") from error
    if process.version > 1:
        place = f"at version {process.version}, {process.page_size} records a page"
        click.echo(f"going on with process {process.id} {place}", err=True)
    return process


def _report(process: Process, log_path: str, *, as_json: bool) -> None:
    if as_json:
        print_json(summary(process))
        return
    progress = process.progress
    click.echo(f"{process.state}: {process.object} of {process.source} → {process.sink}")
    click.echo(
        f"  {plural(progress.pages, 'page')}, {plural(progress.fetched, 'record')}: "
        f"{progress.created:,} created, {progress.updated:,} updated, "
        f"{progress.unchanged:,} unchanged, {progress.rejected:,} rejected"
    )
    click.echo(
        f"  {plural(progress.retries, 'retry', 'retries')}, {progress.rate_limited:,} of them rate-limited; "
        f"{process.records_per_s:,.0f} records/s"
    )
    if process.failure is not None:
        click.echo(f"error: {process.failure.error}", err=True)
        click.echo(f"  {_what_next(process)}", err=True)
    click.echo(f"  next: syncfsm replay {quote(log_path)} {process.id}")


def _what_next(process: Process) -> str:
    if process.is_resumable:
        return "nothing is lost: once that is mended, run the same command again to go on where it stopped"
    return "going on would not help: mend the cause and run again, which starts anew"

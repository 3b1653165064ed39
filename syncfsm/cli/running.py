"""What `sync` and `retry-rejects` share: their options, the engine, what is shown while it runs and after."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from shlex import quote
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource

from syncfsm.cli.metrics import metrics_served
from syncfsm.cli.naming import LIMIT
from syncfsm.cli.output import FAILED, json_option, print_json
from syncfsm.cli.quo import (
    BULK_PAGE_SIZE,
    KEY_VARIABLES,
    PAGE_SIZE,
    PageSize,
    open_asked,
    quo_options,
)
from syncfsm.cli.settings import switched_off
from syncfsm.contact import Contact
from syncfsm.describe import counts_words, left_out_words, plural
from syncfsm.engine import Engine
from syncfsm.events import Options, Order, Recorded
from syncfsm.lifecycle import Hook
from syncfsm.limits import LIMITS, with_limits
from syncfsm.log import EventLog
from syncfsm.machine import State
from syncfsm.process import Process
from syncfsm.sources.attio import BASE_URL, KEY_VARIABLE, AttioSource
from syncfsm.sources.attio_people import AttioPeople
from syncfsm.summary import summary

LIMITS_HELP = f"Set a limit; may be given more than once. The limits: {', '.join(LIMITS)}."

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--source", type=click.Choice(["attio"]), required=True, help="Where records come from."),
    click.option("--base-url", default=BASE_URL, show_default=True, help="Where the API is."),
    click.option(
        "--object", "object_", default="people", show_default=True, help="Which object's records, by slug."
    ),
    click.option("--sink", "sink_url", required=True, metavar="URL", help="sqlite:FILE, jsonl:FILE or quo:."),
    *quo_options,
    click.option(
        "--log",
        "log_path",
        default="sync.db",
        show_default=True,
        help="The file for what happens: the event log.",
    ),
    click.option(
        "--page-size",
        cls=PageSize,
        default=PAGE_SIZE,
        show_default=True,
        type=click.IntRange(min=1),
        help=f"Records a page; with --quo-bulk, {BULK_PAGE_SIZE} by default.",
    ),
    click.option(
        "--companies/--no-companies", default=True, show_default=True, help="Look up the names of companies."
    ),
    click.option("--set", "settings", multiple=True, metavar=LIMIT, help=LIMITS_HELP),
    click.option(
        "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus there while it runs: 9464."
    ),
    click.option(
        "--capture", is_flag=True, help="Keep what comes in the log, for rerun. It holds personal data."
    ),
    click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr."),
)


order_option = click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default="newest",
    show_default=True,
    help="Which records come first.",
)
changed_by_option = click.option(
    "--changed-by", metavar="SLUG", help="The attribute that says when a record changed, for ongoing syncs."
)


def sync_options(command: F) -> F:
    """Give a command the options of everything that runs a sync."""
    return _with(command, (*_OPTIONS, json_option))


def service_options(command: F) -> F:
    """Give a command the options of everything that runs syncs for ever."""
    lines = "Print JSON Lines: one object for each sync that is over."
    return _with(command, (*_OPTIONS, click.option("--json", "as_json", is_flag=True, help=lines)))


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def leave_if_off(source: str, *, as_json: bool) -> None:
    """End, with success, where a source is switched off: somebody wants it so, and nothing is amiss."""
    by = switched_off(source)
    if by is None:
        return
    words = off_words(source, by)
    if as_json:
        print_json({"process": None, "state": None, "off": words})
    click.echo(f"nothing done: {words}", err=True)
    sys.exit(0)


def off_words(source: str, by: str) -> str:
    """Say what switches a source off."""
    return f"the source {source} is switched off by {by}"


def limits(engine: Engine[Contact], unfinished: Process | None, settings: tuple[str, ...]) -> Options | None:
    """Return the options with the limits set, for the process to go on with or a new one.

    Raises:
        ConfigurationError: A name is no limit, or a value does not fit it.
    """
    if not settings:
        return None
    return with_limits((unfinished or engine.source).options, settings)


class Show:
    """Shows events as they come: a live line on a terminal, log lines elsewhere."""

    def __init__(self, secrets: Sequence[str], *, verbose: bool, is_live: bool) -> None:
        from syncfsm.cli.progress import ProgressLine  # noqa: PLC0415 - rich is loaded when it is used
        from syncfsm.telemetry import LogEvents, stderr_logger  # noqa: PLC0415 - structlog, likewise

        self._verbose = verbose
        self.line = ProgressLine() if is_live else None
        level = "info" if verbose else "warning"
        self._hook: Hook = self.line or LogEvents(stderr_logger(secrets, level=level))

    def __call__(self, process: Process, recorded: Recorded) -> None:
        """Show an event."""
        if self._verbose or recorded.type != "SyncFailed":  # which the report says in full
            self._hook(process, recorded)

    def close(self) -> None:
        """Take the live line away."""
        if self.line is not None:
            self.line.close()


def make_source(*, object_: str, base_url: str, changed_by: str | None = None, **_: Any) -> AttioSource:
    """Return the source that the options name, with the key of the environment."""
    return AttioSource(os.environ.get(KEY_VARIABLE, ""), object_, base_url=base_url, changed_by=changed_by)


def make_engine(
    log: EventLog, hooks: Sequence[Hook], *, companies: bool, capture: bool, **asked: Any
) -> Engine[Contact]:
    """Return the engine that the options ask for."""
    source = make_source(**asked)
    transform = AttioPeople(source, companies=companies)
    return Engine(log, source, open_asked(**asked), transform, hooks=hooks, capture=capture)


def secrets_given() -> tuple[str, ...]:
    """Return the keys in the environment, which must not show."""
    return tuple(os.environ.get(variable, "") for variable in (KEY_VARIABLE, *KEY_VARIABLES))


Begin = Callable[[Engine[Contact]], Process | None]


def run(
    log: EventLog, begin: Begin, *, as_json: bool, verbose: bool, metrics: str | None, **asked: Any
) -> Process | None:
    """Run the process that `begin` records, if it does, to its end; return its last state."""
    with metrics_served(metrics) as hooks:
        show = Show(
            secrets_given(), verbose=verbose, is_live=not as_json and not verbose and sys.stderr.isatty()
        )
        engine = make_engine(log, [show, *hooks], **asked)
        try:
            return asyncio.run(_run(engine, partial(_begun, begin=begin, is_captured=asked["capture"])))
        finally:
            show.close()


async def _run(engine: Engine[Contact], begin: Begin) -> Process | None:
    async with engine:
        process = begin(engine)
        return await engine.sweep(await engine.run(process.id)) if process else None


def _begun(engine: Engine[Contact], begin: Begin, *, is_captured: bool) -> Process | None:
    """Begin, and say what is not to be expected."""
    process = begin(engine)
    if process is None:
        return None
    if process.version > 1:
        place = f"at version {process.version}, {process.page_size} records a page"
        click.echo(f"going on with process {process.id} {place}{_page_size_kept(process)}", err=True)
    for words in _capture_words(engine.log, process, is_captured=is_captured):
        click.echo(words, err=True)
    return process


def _capture_words(log: EventLog, process: Process, *, is_captured: bool) -> Iterator[str]:
    """Yield what to know of a capture: that it is on, and that it has a gap."""
    was_captured = process.id in log.capture_counts()
    if is_captured:
        yield "capture is on: the log keeps what comes, personal data too; `syncfsm log forget` deletes it"
    if process.progress.pages and is_captured and not was_captured:
        yield "what came before was not captured, so this process cannot be run again with `syncfsm rerun`"
    if was_captured and not is_captured:
        yield "captured until here, and no more without --capture: `syncfsm rerun` will not run this process"


def _page_size_kept(process: Process) -> str:
    """Say that the page size asked for is not heeded, where it was asked for."""
    context = click.get_current_context()
    asked: int = context.params["page_size"]
    is_asked = context.get_parameter_source("page_size") is not ParameterSource.DEFAULT
    if not is_asked or asked == process.page_size:
        return ""
    return f", as it began, not {asked}: an active sync keeps its page size"


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
        f"{counts_words(progress)}, {progress.rejected:,} rejected"
    )
    if progress.left_out:
        click.echo(f"  left out by the sink: {left_out_words(progress.left_out)}")
    if progress.missing:
        click.echo(f"  {plural(progress.missing, 'contact')} that no page had: deleted")
    click.echo(
        f"  {plural(progress.retries, 'retry', 'retries')}, {progress.rate_limited:,} of them rate-limited; "
        f"{process.records_per_s:,.0f} records/s"
    )
    if process.failure is not None:
        click.echo(f"error: {process.failure.error}", err=True)
        click.echo(f"  {_what_next(process)}", err=True)
    look = "log rejects" if progress.rejected and process.failure is None else "explain"
    click.echo(f"  next: syncfsm {look} {quote(log_path)} {process.id}")


_LASTING = {
    "not_found": "name another with --object",
    "foreign": "name another file with --sink",
    "bad_request": "see what it asks for",
}
"""Reasons that are in the command itself: the same one would fail again."""


def _what_next(process: Process) -> str:
    if process.source.startswith("captured:"):
        return "a re-run begins anew each time: mend what is wrong and run the same command again"
    if not process.is_resumable:
        return "going on would not help: mend the cause and run again, which starts anew"
    reason = process.failure.reason if process.failure else ""
    if reason in _LASTING:
        return f"nothing is lost, but the same command would fail again: {_LASTING[reason]}"
    return "nothing is lost: once that is mended, run the same command again to go on where it stopped"

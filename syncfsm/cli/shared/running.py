"""What `sync` and `retry-rejects` share: their options, the engine, what is shown while it runs and after."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from syncfsm.cli.shared.metrics import metrics_served
from syncfsm.cli.shared.output import FAILED, print_json, say
from syncfsm.cli.shared.quo import KEY_VARIABLES, key_in, open_asked
from syncfsm.cli.shared.settings import switched_off
from syncfsm.core.describe import counts_words, done_words, left_out_words, plural, short_words
from syncfsm.core.events import FetchingBegan, Recorded
from syncfsm.core.limits import with_limits
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.core.shortfall import shortfall_words
from syncfsm.core.summary import summary
from syncfsm.engine.commit import Hook
from syncfsm.engine.engine import Engine
from syncfsm.engine.width import ReadAheadMax
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog
from syncfsm.outside.safe_words import passwords
from syncfsm.sinks.factory import SINKS
from syncfsm.sinks.postgres.same_place import kind_of
from syncfsm.sources import OpenedSource, open_source
from syncfsm.sources.factory import SOURCES
from syncfsm.telemetry.structlog import LEVELS, LogEvents, stderr_logger

if TYPE_CHECKING:
    from syncfsm.cli.shared.progress import ProgressLine


def leave_if_off(source: str, *, as_json: bool) -> None:
    """End, with success, where a source is switched off: somebody wants it so, and nothing is amiss."""
    by = switched_off(source)
    if by is None:
        return
    words = off_words(source, by)
    if as_json:
        print_json({"process": None, "state": None, "off": words})
    say(f"nothing done: {words}", err=True)
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
        self._secrets = secrets
        self._verbose = verbose
        self.line = _progress_line() if is_live else None

    def __call__(self, process: Process, recorded: Recorded) -> None:
        """Show an event."""
        if not self._verbose and recorded.type == "SyncFailed":  # which the report says in full
            return
        if self.line is not None:
            self.line(process, recorded)
        elif self._verbose or LEVELS[type(recorded.event)] != "info":
            self._lines(process, recorded)

    @cached_property
    def _lines(self) -> Hook:
        """Made for the first line: most syncs have none."""
        return LogEvents(stderr_logger(self._secrets))

    def close(self) -> None:
        """Take the live line away."""
        if self.line is not None:
            self.line.close()


def _progress_line() -> ProgressLine:
    from syncfsm.cli.shared.progress import ProgressLine  # noqa: PLC0415 - rich is loaded when it is used

    return ProgressLine()


def make_source(
    *,
    source: str,
    object_: str | None,
    base_url: str | None,
    companies: bool,
    without: tuple[str, ...] = (),
    changed_by: str | None = None,
    account: str = "",
    key_variable: str | None = None,
    **_: Any,
) -> OpenedSource:
    """Return the source that the options name, with the key of the environment.

    Raises:
        ConfigurationError: There is no such source, it cannot be opened so, or has no such option.
    """
    return open_source(
        source,
        key=key_in(key_variable),
        account=account,
        base_url=base_url,
        object=object_,
        companies=companies,
        without=without,
        changed_by=changed_by,
    )


def order_asked(*, source: str, order: Order | None, **_: Any) -> Order:
    """Return the order that was asked for, or the one that the source prefers."""
    return order or SOURCES.find(source).orders[0]


def make_engine(
    log: EventLog, hooks: Sequence[Hook], *, capture: bool, read_ahead: ReadAheadMax, **asked: Any
) -> Engine[Contact]:
    """Return the engine that the options ask for."""
    source, transform = make_source(**asked)
    sink = open_asked(**asked)
    return Engine(log, source, sink, transform, hooks=hooks, capture=capture, read_ahead=read_ahead)


def secrets_given(
    *, source: str, sink_url: str, key_variable: str | None, sink_key_variable: str | None, **_: Any
) -> tuple[str, ...]:
    """Return the keys in the environment and the passwords in the URL, which must not show."""
    sink = SINKS.find(kind_of(sink_url))
    named = {key_variable, sink_key_variable} - {None}
    variables = {*KEY_VARIABLES, sink.key_variable, SOURCES.find(source).key_variable, *named}
    return (*(os.environ.get(variable or "", "") for variable in variables), *passwords(sink_url))


def sight_words(process: Process | None, found: Mapping[str, str]) -> str | None:
    """Say that a user's key may not see everybody, where who is not seen is deleted."""
    if process is None or not process.deletes_missing or found.get("token_level") != "user":
        return None
    return (
        "warning: the key is a user's: whom that user may not see is not brought, and --delete-missing takes "
        "them for gone; use a token of the workspace"
    )


def warn_of_sight(process: Process, recorded: Recorded) -> None:
    """Warn as soon as it is known whose the key is."""
    if isinstance(recorded.event, FetchingBegan) and (words := sight_words(process, recorded.event.found)):
        say(words, err=True)


Begin = Callable[[Engine[Contact]], Process | None]


def run(
    log: EventLog, begin: Begin, *, as_json: bool, verbose: bool, metrics: str | None, **asked: Any
) -> Process | None:
    """Run the process that `begin` records, if it does, to its end; return its last state."""
    with metrics_served(metrics) as hooks:
        is_live = not as_json and not verbose and sys.stderr.isatty()
        show = Show(secrets_given(**asked), verbose=verbose, is_live=is_live)
        engine = make_engine(log, [show, warn_of_sight, *hooks], **asked)
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
    if process.version > 1 and process.is_active:
        place = f"at version {process.version}, {process.page_size} records a page"
        say(f"going on with process {process.id} {place}{_page_size_kept(process)}", err=True)
    for words in _capture_words(engine.log, process, is_captured=is_captured):
        say(words, err=True)
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
    asked: int | None = click.get_current_context().params["page_size"]
    if asked in {None, process.page_size}:
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
    say(f"{process.state}: {process.object} of {process.source} → {process.sink}")
    say(
        f"  {plural(progress.pages, 'page')}, {done_words(progress)}: "
        f"{counts_words(progress)}, {progress.rejected:,} rejected"
    )
    if progress.left_out:
        say(f"  left out: {left_out_words(progress.left_out)}")
    if progress.missing:
        say(f"  {plural(progress.missing, 'contact')} that no page had: deleted")
    if process.missing is not None and process.missing.came:
        say(f"  {short_words(process.missing.came)}")
    if short := shortfall_words(process):
        say(f"  {short}")
    say(
        f"  {plural(progress.retries, 'retry', 'retries')}, {progress.rate_limited:,} of them rate-limited; "
        f"{process.records_per_s:,.0f} records/s"
    )
    if process.failure is not None:
        say(f"error: {process.failure.error}", err=True)
        for words in _what_next(process, log_path):
            say(f"  {words}", err=True)
    look = "log rejects" if progress.rejected and process.failure is None else "explain"
    say(f"  next: syncfsm {look} {quote(log_path)} {process.id}")


def _what_next(process: Process, log_path: str) -> Iterator[str]:
    """Yield what to do after a failure, in the words of `explain`, which has the commands too."""
    from syncfsm.explain.advice import LogName, steps  # noqa: PLC0415 - loaded when it is used

    for step in steps(process, LogName(path=log_path)):
        yield step.words

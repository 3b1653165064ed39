"""What `run` and `resume` share: the engines of all accounts, a line for each sync, and what it comes to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from syncfsm.cli.shared.fleet import asked_of_all, secrets_of, syncs_of
from syncfsm.cli.shared.metrics import metrics_served
from syncfsm.cli.shared.options import with_options
from syncfsm.cli.shared.output import FAILED, print_json_line, say
from syncfsm.cli.shared.running import Show
from syncfsm.core.describe import counts_words, plural
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.summary import summary
from syncfsm.errors import SyncfsmError
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.workers import AccountSync, Engines
from syncfsm.workers.alerts import Alert, Alerts, of_failure, of_standstill
from syncfsm.workers.engines import AT_ONCE_MAX

F = TypeVar("F", bound=Callable[..., Any])

every_option = click.option(
    "--every",
    default="5m",
    show_default=True,
    metavar="TIME",
    help="How often, where the settings file does not say.",
)
on_failure_option = click.option(
    "--on-failure",
    metavar="URL|COMMAND",
    help="Whom to tell, once for each process that fails or stands still: a URL gets a POST, a command its "
    "standard input.",
)
_OUTCOME = (
    click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr."),
    click.option(
        "--json", "as_json", is_flag=True, help="Print JSON Lines: one object for each sync that is over."
    ),
)

_OPTIONS = (
    every_option,
    click.option(
        "--at-once",
        default=AT_ONCE_MAX,
        show_default=True,
        type=click.IntRange(1),
        metavar="N",
        help="The most syncs at a time; an account has one at a time.",
    ),
    on_failure_option,
    click.option(
        "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus there while it runs: 9464."
    ),
    *_OUTCOME,
)


def outcome_options(command: F) -> F:
    """Give a command the options that say how what becomes of syncs is shown."""
    return with_options(command, _OUTCOME)


def running_options(command: F) -> F:
    """Give a command the options of everything that runs the syncs of many accounts."""
    return with_options(command, _OPTIONS)


class Fleet:
    """The engines of all accounts, and what they came to.

    Args:
        as_json: Whether lines are JSON.
        log_path: What the log is called.
        on_failure: Whom to tell of failures, if anybody.
    """

    engines: Engines[Contact]
    log: EventLog

    def __init__(self, *, as_json: bool, log_path: str, on_failure: str | None) -> None:
        self._as_json = as_json
        self._log_path = log_path
        self._alerts = Alerts(on_failure, lambda words: say(words, err=True)) if on_failure else None
        self._telling: set[asyncio.Task[None]] = set()
        self._incomplete: set[str] = set()

    @property
    def status(self) -> int:
        """The exit status: whether the last turn of each sync completed."""
        return FAILED if self._incomplete else 0

    def over(self, sync: AccountSync[Contact], process: Process) -> None:
        """Print what a sync came to."""
        is_complete = process.state is State.COMPLETED
        (self._incomplete.discard if is_complete else self._incomplete.add)(sync.name)
        if self._as_json:
            print_json_line({"sync": sync.name, **summary(process)})
        else:
            say(_line(sync, process))
        sys.stdout.flush()
        if process.failure is not None:
            say(f"error: {sync.name}: {process.failure.error}", err=True)
            if self._alerts is not None:
                self._tell(of_failure(self.log, self.log.path, sync.name, process))

    def stalled(self, sync: str, process: Process) -> None:
        """Say that a process does not move."""
        say(f"warning: {sync}: process {process.id} has not moved for long", err=True)
        if self._alerts is not None:
            self._tell(of_standstill(self.log.path, sync, process))

    def _tell(self, alert: Alert | None) -> None:
        if alert is not None and self._alerts is not None:
            task = asyncio.ensure_future(self._alerts.tell(alert))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def settled(self, running: Awaitable[None]) -> None:
        """Run something, and wait until all that is to be told of it is told."""
        try:
            await running
        finally:
            await self.settle()

    async def settle(self) -> None:
        """Wait until all that is to be told is told."""
        await asyncio.gather(*self._telling)

    def trouble(self, sync: AccountSync[Contact], error: SyncfsmError) -> None:
        """Say why a sync could not begin or go on now."""
        self._incomplete.add(sync.name)
        say(f"waiting: {sync.name}: {error}", err=True)


def _line(sync: AccountSync[Contact], process: Process) -> str:
    progress = process.progress
    state = "" if process.state is State.COMPLETED else f" {process.state}"
    return (
        f"{process.updated_at:%Y-%m-%d %H:%M:%S}  {sync.name}  {process.id}  {process.mode:<7}{state}  "
        f"{plural(progress.fetched, 'record')}: {counts_words(progress)}, {progress.rejected:,} rejected"
    )


@contextmanager
def opened(
    *,
    accounts: Sequence[str],
    log_path: str,
    every: str,
    at_once: int,
    on_failure: str | None,
    metrics: str | None,
    verbose: bool,
    as_json: bool,
) -> Iterator[Fleet]:
    """Yield the engines of these accounts, or of all.

    Raises:
        ConfigurationError: What the settings file says of an account cannot be used.
    """
    asked_of = asked_of_all(accounts)
    fleet = Fleet(as_json=as_json, log_path=log_path, on_failure=on_failure)
    with open_log(log_path) as log, metrics_served(metrics) as hooks:
        show = Show(secrets_of(asked_of), verbose=verbose, is_live=False)
        syncs = syncs_of(log, log_path, asked_of, [show, *hooks], every)
        fleet.log = log
        fleet.engines = Engines(log, syncs, at_once=at_once, on_turn=fleet.over, on_trouble=fleet.trouble)
        yield fleet

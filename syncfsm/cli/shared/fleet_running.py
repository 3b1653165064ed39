"""What `run` and `resume` share: the engines of all accounts, and what their syncs come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from syncfsm.cli.shared.fleet import asked_of_all, secrets_of, syncs_of
from syncfsm.cli.shared.metrics import metrics_served
from syncfsm.cli.shared.options import json_lines_option, metrics_option, verbose_option, with_options
from syncfsm.cli.shared.output import FAILED, say
from syncfsm.cli.shared.pruning import Pruner
from syncfsm.cli.shared.running import Show
from syncfsm.cli.shared.serving import say_over, say_trouble
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.errors import SyncfsmError
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.workers import AccountSync, Engines
from syncfsm.workers.alerts import Alerts
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
    metrics_option,
    verbose_option,
    json_lines_option,
)


def running_options(command: F) -> F:
    """Give a command the options of everything that runs the syncs of many accounts."""
    return with_options(command, _OPTIONS)


class Fleet:
    """The engines of all accounts, and what they came to.

    Args:
        log: Where they stand.
        as_json: Whether lines are JSON.
        on_failure: Whom to tell of failures, if anybody.
        pruner: Prunes the log between the turns; none does if `None`.

    Attributes:
        turns: How many syncs are over.
    """

    engines: Engines[Contact]

    def __init__(
        self, log: EventLog, *, as_json: bool, on_failure: str | None, pruner: Pruner | None = None
    ) -> None:
        self._log = log
        self._pruner = pruner
        self._as_json = as_json
        self._alerts = Alerts(on_failure, lambda words: say(words, err=True)) if on_failure else None
        self._incomplete: set[str] = set()
        self.turns = 0

    @property
    def status(self) -> int:
        """The exit status: whether the last turn of each sync completed."""
        return FAILED if self._incomplete else 0

    def over(self, sync: AccountSync[Contact], process: Process) -> None:
        """Print what a sync came to."""
        is_complete = process.state is State.COMPLETED
        (self._incomplete.discard if is_complete else self._incomplete.add)(sync.name)
        self.turns += 1
        say_over(process, as_json=self._as_json, sync=sync.name)
        if self._alerts is not None:
            self._alerts.of_failure(self._log, sync.name, process)
        if self._pruner is not None:
            self._pruner.turn()

    def stalled(self, sync: str, process: Process) -> None:
        """Say that a process does not move."""
        say(f"warning: {sync}: process {process.id} has not moved for long", err=True)
        if self._alerts is not None:
            self._alerts.of_standstill(self._log, sync, process)

    async def settled(self, running: Awaitable[None]) -> None:
        """Run something, and wait until all that is to be told of it is told."""
        try:
            await running
        finally:
            if self._alerts is not None:
                await self._alerts.settle()

    def trouble(self, sync: AccountSync[Contact], error: SyncfsmError) -> None:
        """Say why a sync could not begin or go on now."""
        self._incomplete.add(sync.name)
        say_trouble(error, sync=sync.name)


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
    prune_after: str | None = None,
) -> Iterator[Fleet]:
    """Yield the engines of these accounts, or of all.

    Raises:
        ConfigurationError: What the settings file says of an account cannot be used.
    """
    asked_of = asked_of_all(accounts, log_path, every)
    with open_log(log_path) as log, metrics_served(metrics) as hooks:
        pruner = Pruner(log, prune_after, by="run")
        fleet = Fleet(log, as_json=as_json, on_failure=on_failure, pruner=pruner)
        show = Show(secrets_of(asked_of), verbose=verbose, is_live=False)
        syncs = syncs_of(log, asked_of, [show, *hooks])
        fleet.engines = Engines(log, syncs, at_once=at_once, on_turn=fleet.over, on_trouble=fleet.trouble)
        yield fleet

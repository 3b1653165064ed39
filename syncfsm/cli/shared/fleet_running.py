"""What `run` and `resume` share: the engines of all accounts, a line for each sync, and what it comes to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
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
from syncfsm.log import open_log
from syncfsm.workers import AccountSync, Engines
from syncfsm.workers.engines import AT_ONCE_MAX

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--every",
        default="5m",
        show_default=True,
        metavar="TIME",
        help="How often, where the settings file does not say.",
    ),
    click.option(
        "--at-once",
        default=AT_ONCE_MAX,
        show_default=True,
        type=click.IntRange(1),
        metavar="N",
        help="The most syncs at a time; an account has one at a time.",
    ),
    click.option(
        "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus there while it runs: 9464."
    ),
    click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr."),
    click.option(
        "--json", "as_json", is_flag=True, help="Print JSON Lines: one object for each sync that is over."
    ),
)


def running_options(command: F) -> F:
    """Give a command the options of everything that runs the syncs of many accounts."""
    return with_options(command, _OPTIONS)


class Fleet:
    """The engines of all accounts, and what they came to.

    Args:
        as_json: Whether lines are JSON.
    """

    engines: Engines[Contact]

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
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
    metrics: str | None,
    verbose: bool,
    as_json: bool,
) -> Iterator[Fleet]:
    """Yield the engines of these accounts, or of all.

    Raises:
        ConfigurationError: What the settings file says of an account cannot be used.
    """
    asked_of = asked_of_all(accounts)
    fleet = Fleet(as_json=as_json)
    with open_log(log_path) as log, metrics_served(metrics) as hooks:
        show = Show(secrets_of(asked_of), verbose=verbose, is_live=False)
        syncs = syncs_of(log, log_path, asked_of, [show, *hooks], every)
        fleet.engines = Engines(log, syncs, at_once=at_once, on_turn=fleet.over, on_trouble=fleet.trouble)
        yield fleet

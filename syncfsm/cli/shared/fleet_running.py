"""What `run` and `resume` share: the engines of all accounts, and what their syncs come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from syncfsm.cli.shared.fleet import asked_of_all, secrets_of, syncs_of
from syncfsm.cli.shared.metrics import metrics_served
from syncfsm.cli.shared.options import json_lines_option, metrics_option, verbose_option, with_options
from syncfsm.cli.shared.output import FAILED
from syncfsm.cli.shared.running import Show
from syncfsm.cli.shared.serving import say_over, say_trouble
from syncfsm.core.machine import State
from syncfsm.core.process import Process
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
        as_json: Whether lines are JSON.

    Attributes:
        turns: How many syncs are over.
    """

    engines: Engines[Contact]

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
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
    metrics: str | None,
    verbose: bool,
    as_json: bool,
) -> Iterator[Fleet]:
    """Yield the engines of these accounts, or of all.

    Raises:
        ConfigurationError: What the settings file says of an account cannot be used.
    """
    asked_of = asked_of_all(accounts, log_path, every)
    fleet = Fleet(as_json=as_json)
    with open_log(log_path) as log, metrics_served(metrics) as hooks:
        show = Show(secrets_of(asked_of), verbose=verbose, is_live=False)
        syncs = syncs_of(log, asked_of, [show, *hooks])
        fleet.engines = Engines(log, syncs, at_once=at_once, on_turn=fleet.over, on_trouble=fleet.trouble)
        yield fleet

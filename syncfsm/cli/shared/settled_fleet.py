"""The syncs of all accounts as the settings say, for who is called by no command line: a cloud's function.

What `syncfsm worker` would read, from the same file and the same variables, is read here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import click

from syncfsm.cli import main
from syncfsm.cli.shared.fleet import Asked, asked_of_all, secrets_of, syncs_of
from syncfsm.cli.shared.fleet_running import Fleet
from syncfsm.cli.shared.naming import QUEUE_VARIABLE
from syncfsm.cli.shared.running import Show
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.postgres.driver import is_postgres
from syncfsm.workers import AccountSync

_COMMAND = "worker"


class SettledFleet(Fleet):
    """The syncs, their log, and what tells of them.

    Args:
        asked: The options of the command.
        asked_of: The options of each sync, by its name.

    Raises:
        LogError: The log cannot be opened.
    """

    def __init__(self, asked: dict[str, Any], asked_of: dict[str, Asked]) -> None:
        self.log = open_log(asked["log_path"])
        super().__init__(self.log, as_json=asked["as_json"], on_failure=asked["on_failure"])
        self._asked_of = asked_of
        self._show = Show(secrets_of(asked_of), verbose=asked["verbose"], is_live=False)

    def syncs(self, log: EventLog) -> Iterator[AccountSync[Contact]]:
        """Return all syncs there are, for a log."""
        return syncs_of(log, self._asked_of, [self._show])

    @property
    def queue_url(self) -> str:
        """Where the queue is.

        Raises:
            ConfigurationError: Nothing says so.
        """
        url = os.environ.get(QUEUE_VARIABLE)
        if not url:
            raise ConfigurationError(
                f"there is no queue: set {QUEUE_VARIABLE} to the URL of a FIFO queue of SQS"
            )
        return url

    async def settle(self) -> None:
        """Wait until all that is to be told is told."""
        await self.settled(asyncio.sleep(0))


def settled_fleet() -> SettledFleet:
    """Return the syncs of all accounts, as the settings say.

    Raises:
        ConfigurationError: The settings cannot be used, or the log is in a file.
        LogError: The log cannot be opened.
    """
    try:
        with main.make_context("syncfsm", [_COMMAND]) as root:
            command = main.get_command(root, _COMMAND)
            assert command is not None, "there is such a command"
            with command.make_context(_COMMAND, [], parent=root) as context:
                return _settled(context.params)
    except click.UsageError as error:
        raise ConfigurationError(error.format_message()) from error


def _settled(asked: dict[str, Any]) -> SettledFleet:
    if not is_postgres(asked["log_path"]):
        raise ConfigurationError(
            "functions share a log in PostgreSQL: set SYNCFSM_LOG to postgresql://…; a file would be gone "
            "with the function"
        )
    return SettledFleet(asked, asked_of_all(asked["accounts"], asked["log_path"], asked["every"]))

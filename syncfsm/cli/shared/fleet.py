"""The syncs of all accounts of the settings file, as the options of `sync` are for each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import click

from syncfsm.cli.shared.accounts import ACCOUNTS_TABLE, account_names, tables_named, tables_of_account
from syncfsm.cli.shared.beginning import account_options
from syncfsm.cli.shared.durations import pause_s
from syncfsm.cli.shared.file_conflicts import check_sink_file
from syncfsm.cli.shared.options import log_option, sync_options, with_options
from syncfsm.cli.shared.output import Command, say
from syncfsm.cli.shared.running import make_engine, off_words, order_asked, secrets_given
from syncfsm.cli.shared.settings import current, switched_off
from syncfsm.core.limits import with_limits
from syncfsm.engine.commit import Hook
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog
from syncfsm.workers import AccountSync

F = TypeVar("F", bound=Callable[..., Any])

Asked = Mapping[str, Any]
"""The options of one sync, by the names of their parameters."""

_OPTIONS = (
    click.option(
        "--account",
        "accounts",
        multiple=True,
        metavar="NAME",
        help="Only this account's, or this sync of it: NAME/OBJECT; may be given again.  [default: all]",
    ),
    log_option,
)


def fleet_options(command: F) -> F:
    """Give a command the options of everything that is about many accounts."""
    return with_options(command, _OPTIONS)


def asked_of_all(accounts: Collection[str], log_path: str, every: str) -> dict[str, Asked]:
    """Return the options of each sync of the settings file, by its name; of these accounts if any are named.

    What is switched off is left out, and that is said.

    Args:
        accounts: The names of accounts, or of one sync of one.
        log_path: What their log is called.
        every: How often, where nothing is said of that.

    Raises:
        ConfigurationError: There is no such account or sync, or an option cannot be used.
    """
    file = current()
    names = account_names(file)
    if not names:
        raise ConfigurationError(
            f"{file.name or 'there is no settings file, and so it'} says nothing of accounts: add a table "
            f"[{ACCOUNTS_TABLE}.NAME]; see docs/accounts.md"
        )
    found = [table.name for name in names for table in tables_of_account(file, name)]
    wanted = {table.name for asked in accounts for table in tables_named(file, asked)}
    asked_of = {name: _asked(name, log_path, every) for name in found if not accounts or name in wanted}
    for name, asked in asked_of.items():
        if by := switched_off(asked["source"]):
            say(f"{name} is left out: {off_words(asked['source'], by)}", err=True)
    return {name: asked for name, asked in asked_of.items() if not switched_off(asked["source"])}


@contextmanager
def _said_of(name: str) -> Iterator[None]:
    """Say of which account something is refused."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"account {name}: {error}") from error


def _asked(name: str, log_path: str, every: str) -> Asked:
    """Return the options of `sync` for one sync of an account, by the file and the environment."""
    root = click.get_current_context().find_root()
    with _said_of(name):
        try:
            asked = _of_one.make_context("sync", ["--account", name], parent=root).params
        except click.UsageError as error:
            raise ConfigurationError(error.format_message()) from error
        check_sink_file(asked["sink_url"], log_path)
        every_s = pause_s(asked["every"] or every)
    return {key: value for key, value in asked.items() if key not in _NOT_OF_ONE} | {"every_s": every_s}


@click.command("sync", cls=Command)
@sync_options
@account_options
@click.option("--every", default=None)
def _of_one(**_: Any) -> None:
    """Do nothing: it is there to read the options of one sync as `sync` does, and is no command."""


_NOT_OF_ONE = {"log_path", "as_json", "verbose", "metrics", "fresh"}
"""What is said once for all accounts."""


def syncs_of(
    log: EventLog, asked_of: Mapping[str, Asked], hooks: Sequence[Hook] = ()
) -> Iterator[AccountSync[Contact]]:
    """Yield the syncs of accounts, as their options say.

    Args:
        log: Their log.
        asked_of: Their options, by name.
        hooks: Told of every event.
    """
    for name, asked in asked_of.items():
        account, _, label = name.partition("/")
        yield AccountSync(
            account,
            partial(make_engine, log, hooks, **asked),
            label=label,
            request=partial(_request, asked=asked),
            every_s=asked["every_s"],
        )


def secrets_of(asked_of: Mapping[str, Asked]) -> tuple[str, ...]:
    """Return the keys of all accounts, which must not show."""
    return tuple({secret for asked in asked_of.values() for secret in secrets_given(**asked)})


def _request(engine: Engine[Contact], asked: Asked) -> SyncRequest:
    settings = asked["settings"]
    options = with_limits(engine.source.options, settings) if settings else None
    brings_new = engine.source.heeds_since and not asked["deletes_missing"]
    return SyncRequest(
        mode=asked["mode"] or ("ongoing" if brings_new else "initial"),
        page_size=asked["page_size"],
        order=order_asked(**asked),
        options=options,
        deletes_missing=asked["deletes_missing"],
    )

"""The accounts of the settings file: whose records are synced, with which key, and by which syncs.

    [accounts.acme]
    source = "attio"
    key-variable = "ACME_API_KEY"

    [[accounts.acme.syncs]]
    sink = "sqlite:acme.db"
    mode = "ongoing"
    every = "5m"

What stands in an account's table is said to all its syncs; what stands in a sync's own table wins. Both may
hold whatever is an option of a command that works on a source, and hyphens may be underscores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from syncfsm.cli.shared.config_file import ConfigFile, Keys, is_key_variable, nearest
from syncfsm.core.source_name import checked_account
from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError

ACCOUNTS_TABLE = "accounts"
SYNCS = "syncs"
KEY_VARIABLE_SETTINGS = ("key-variable", "sink-key-variable")
NOT_AN_ACCOUNTS = frozenset(
    {"account", "fresh", "log", "metrics", "verbose", "json", "port", "host", "settle"}
)
"""Options that say nothing of one account's sync."""


class AccountTable(Value, frozen=True):
    """One sync of an account, by where it stands in the file.

    Attributes:
        account: The name of the account.
        label: What tells the sync from the account's others, its object or its number from 1; empty if it is
            the only one.
        tables: The tables that speak of it, a later one wins.
    """

    account: str
    label: str
    tables: tuple[Keys, ...]

    @property
    def name(self) -> str:
        """What the sync is called: `acme`, or `acme/people` where there are several."""
        return f"{self.account}/{self.label}" if self.label else self.account


def account_names(file: ConfigFile) -> list[str]:
    """Return the names of the accounts, in the order of the file."""
    return list(file.get((ACCOUNTS_TABLE,)) or {})


def tables_of_account(file: ConfigFile, account: str) -> list[AccountTable]:
    """Return the syncs of an account; one, if the account itself is all that is said of it."""
    above = (ACCOUNTS_TABLE, account)
    count = len(file.get((*above, SYNCS)) or ())
    objects = [_object(file, above, number) for number in range(count)]
    labels = [
        name if name and objects.count(name) == 1 else str(number) for number, name in enumerate(objects, 1)
    ]
    return [
        AccountTable(
            account=account,
            label=label if count > 1 else "",
            tables=(above, (*above, SYNCS, str(number))) if count else (above,),
        )
        for number, label in enumerate(labels or [""])
    ]


def _object(file: ConfigFile, above: Keys, number: int) -> str:
    """Return the object of a sync, as far as the file says it."""
    return str(file.get((*above, SYNCS, str(number), "object")) or file.get((*above, "object")) or "")


def tables_asked_for(file: ConfigFile, asked: str) -> AccountTable | None:
    """Return the one sync that `--account NAME[/SYNC]` means; null where the file knows no accounts at all.

    Raises:
        ConfigurationError: There is no such account, or no such sync of it; or it has several.
    """
    name, _, label = asked.partition("/")
    checked_account(name)
    if not label and not account_names(file):
        return None
    found = tables_named(file, asked)
    if len(found) > 1:
        choices = ", ".join(f"--account {table.name}" for table in found)
        raise ConfigurationError(
            f"the account {name} of {file.name} has {len(found)} syncs: choose one ({choices}), or run them "
            f"all by `syncfsm run --once --account {name}`"
        )
    return found[0]


def tables_named(file: ConfigFile, asked: str) -> list[AccountTable]:
    """Return the syncs that `NAME` means, or `NAME/SYNC`, where a sync may be called by its number too.

    Raises:
        ConfigurationError: There is no such account, or no such sync of it.
    """
    name, separator, label = asked.partition("/")
    names = account_names(file)
    if name not in names:
        raise ConfigurationError(
            f"{file.name or 'no settings file'} has no account {name!r}: {nearest(name, names)}"
        )
    tables = tables_of_account(file, name)
    found = [
        table
        for number, table in enumerate(tables, 1)
        if not separator or label in {table.label, str(number)}
    ]
    if not found:
        labels = [table.label or "1" for table in tables]
        raise ConfigurationError(
            f"the account {name} of {file.name} has no sync {label!r}: {nearest(label, labels)}"
        )
    return found


def check_accounts(file: ConfigFile, known: Collection[str]) -> None:
    """Refuse what is said of accounts and is nothing that can be.

    Args:
        file: The settings file.
        known: The names of what can be said of one sync.

    Raises:
        ConfigurationError: A name is none, a table is missing, or a key's variable is not named as one.
    """
    accounts = file.get((ACCOUNTS_TABLE,))
    if not isinstance(accounts, Mapping):
        raise file.refuse((ACCOUNTS_TABLE,), f"accounts are tables: [{ACCOUNTS_TABLE}.NAME]")
    for account in accounts:
        path = (ACCOUNTS_TABLE, account)
        try:
            checked_account(account)
        except ConfigurationError as error:
            raise file.refuse(path, str(error)) from error
        for table in _tables(file, path):
            _check_table(file, table, known)


def _tables(file: ConfigFile, path: Keys) -> Iterator[Keys]:
    """Yield the paths of what is said of an account."""
    if not isinstance(file.get(path), Mapping):
        raise file.refuse(path, f"what is said of an account is a table: [{'.'.join(path)}]")
    yield path
    syncs = file.get((*path, SYNCS))
    if syncs is not None and not (isinstance(syncs, list) and all(isinstance(one, Mapping) for one in syncs)):
        raise file.refuse((*path, SYNCS), f"the syncs of an account are tables: [[{'.'.join(path)}.{SYNCS}]]")
    yield from ((*path, SYNCS, str(number)) for number in range(len(syncs or ())))


def _check_table(file: ConfigFile, table: Keys, known: Collection[str]) -> None:
    for said, value in file.get(table).items():
        key = plain_key(said)
        if key == SYNCS and len(table) == len((ACCOUNTS_TABLE, "one")):
            continue
        if key not in known or key in NOT_AN_ACCOUNTS:
            fitting = [name for name in known if name not in NOT_AN_ACCOUNTS]
            raise file.unknown((*table, said), fitting, "setting of an account's sync")
        if key in KEY_VARIABLE_SETTINGS and not (isinstance(value, str) and is_key_variable(value)):
            raise file.refuse(
                (*table, said),
                f"{said} names a variable that holds a key, such as ACME_API_KEY, not {value!r}",
            )


def plain_key(key: str) -> str:
    """Return the name of a setting as its option has it: hyphens may be written as underscores."""
    return key.replace("_", "-")

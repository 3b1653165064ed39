"""What an option is set to, and by what: a flag, the environment, the settings file, or its default.

Click looks them up in this order by itself; here it is told under which names. One rule gives the names:
the option `--page-size` is `page-size` in the file and `SYNCFSM_PAGE_SIZE` in the environment. So it is set
for every command that works on a source; for one command it is `page-size` in the table `[sync]`, and
`SYNCFSM_SYNC_PAGE_SIZE`, which win. (Click's own `auto_envvar_prefix` would make the names out of Python's,
`SYNCFSM_SYNC_OBJECT_`, and could say nothing to several commands at once.) The names are in naming.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import click

from syncfsm.cli.shared.accounts import ACCOUNTS_TABLE, check_accounts, plain_key, tables_asked_for
from syncfsm.cli.shared.config_file import (
    FILE_VARIABLE,
    SOURCES_TABLE,
    ConfigFile,
    Keys,
    held_key,
    is_key_variable,
    read_config,
)
from syncfsm.cli.shared.naming import (
    LIMIT,
    command_at,
    is_shared,
    options_of,
    path_of,
    shared_names,
    table_names,
    variable_of,
    variables_of,
)
from syncfsm.core.limits import with_limits
from syncfsm.core.options import Options
from syncfsm.errors import ConfigurationError
from syncfsm.sources.factory import SOURCES

F = TypeVar("F", bound=Callable[..., Any])

_OF_OTHERS = {(SOURCES_TABLE,), (ACCOUNTS_TABLE,)}
"""Commands whose name is that of a table which says something else."""

_FILE = "syncfsm.settings.file"
_NAME = "syncfsm.settings.name"
_ACCOUNT = "syncfsm.settings.account"
_READ = "syncfsm.settings.read"
_CHECKED = "syncfsm.settings.checked"


def config_option(*, hidden: bool = False) -> click.Option:
    """Return the option that names the settings file; of a command, it also reads it."""
    return click.Option(
        ["--config", "_config"],
        metavar="FILE",
        envvar=None if hidden else FILE_VARIABLE,
        is_eager=True,
        expose_value=False,
        hidden=hidden,
        callback=_take_config,
        help="Read settings from this file.  [default: syncfsm.toml, where there is one]",
    )


def _take_config(ctx: click.Context, _param: click.Parameter, name: str | None) -> None:
    """Remember the file; where a command is about to read its options, read it first."""
    if name is not None:
        ctx.meta[_NAME] = name
    if not isinstance(ctx.command, click.Group):
        of, account = ctx.meta.get(_ACCOUNT, (None, None))
        _take(ctx, account if of is ctx else None)


def account_option() -> Callable[[F], F]:
    """Return the option that names an account, and with it the sync that the settings file has for it."""
    return click.option(
        "--account",
        metavar="NAME",
        is_eager=True,
        callback=_take_account,
        help="The account: what the settings file says of it, or just what it is called. NAME/OBJECT chooses "
        "one of its syncs.",
    )


def _take_account(ctx: click.Context, _param: click.Parameter, asked: str | None) -> str:
    """Take the settings of an account for this command's."""
    if asked:
        ctx.meta[_ACCOUNT] = ctx, asked  # what is read before, or after, is read with it
        _take(ctx, asked)
    return (asked or "").partition("/")[0]


def _take(ctx: click.Context, account: str | None = None) -> None:
    """Take the settings of the file for the command that is about to read its options."""
    try:
        name_variables(ctx.command, path_of(ctx))
        ctx.meta[_FILE] = file = _read(ctx)
        check_variables(ctx)
        ctx.default_map = values_for(ctx, file, account)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error


def current() -> ConfigFile:
    """Return the settings file of the command that is running."""
    file: ConfigFile = click.get_current_context().meta.get(_FILE) or ConfigFile()
    return file


def _read(ctx: click.Context) -> ConfigFile:
    """Return the settings file; it is read, and its names are checked, once for all accounts."""
    name = ctx.meta.get(_NAME)
    if ctx.meta.get(_READ, ((), None))[0] != (name,):
        ctx.meta[_READ] = (name,), read_config(name)
        ctx.meta.pop(_CHECKED, None)
    file: ConfigFile = ctx.meta[_READ][1]
    return file


# ── the environment ──────────────────────────────────────────────────────────────────────────


def name_variables(command: click.Command, path: Keys) -> None:
    """Let click look each option up in its variables."""
    for name, option in options_of(command).items():
        option.envvar = variables_of(command, path, name)


def variable_set(option: click.Option) -> str | None:
    """Return the variable that sets an option, if one does."""
    return next((name for name in option.envvar or () if os.environ.get(name)), None)


def check_variables(ctx: click.Context) -> None:
    """Refuse a variable that does not fit its option, by its name; click would name the option alone.

    Raises:
        ConfigurationError: A value does not fit, or holds a key.
    """
    for option in options_of(ctx.command).values():
        variable = variable_set(option)
        if variable is not None:
            with _refused_with(partial("{}: ".format, variable)):
                _check_for_key(variable)
                _cast(ctx, option, option.value_from_envvar(ctx))


def _check_for_key(variable: str) -> None:
    if not is_key_variable(variable) and (held := held_key(os.environ[variable])):
        raise ConfigurationError(f"this holds the key of {held}: leave it to that variable")


# ── the file ─────────────────────────────────────────────────────────────────────────────────


def values_for(ctx: click.Context, file: ConfigFile, account: str | None = None) -> dict[str, Any]:
    """Return what the file says to a command, by the parameters' names: its default map.

    With an account, what it says of that wins. What it says to other commands is not looked at, so that no
    command has to load all others.

    Raises:
        ConfigurationError: A name at the top or in the command's table is none, or a value does not fit.
    """
    if ctx.meta.get(_CHECKED) != (file.name, ctx.command.name):
        check_names(ctx, file)
        ctx.meta[_CHECKED] = file.name, ctx.command.name
    options = options_of(ctx.command)
    found: dict[str, Any] = {}
    for table in tables_of(ctx.command, path_of(ctx), file, account):
        is_of_account = table[:1] == (ACCOUNTS_TABLE,)
        for said, value in (file.get(table) or {}).items():
            key = plain_key(said) if is_of_account else said
            if key in options:
                with _refused_with(partial(_place_words, file, (*table, said))):
                    found[options[key].name or ""] = _fitting(ctx, options[key], value)
            elif table and not is_of_account:
                raise file.unknown((*table, key), options, f"setting of `syncfsm {table[0]}`")
    return found


def tables_of(command: click.Command, path: Keys, file: ConfigFile, account: str | None = None) -> list[Keys]:
    """Return the tables that speak to a command; a later one wins. The empty one is the top of the file.

    Raises:
        ConfigurationError: The file has accounts, but not this one; or several syncs of it.
    """
    own = () if path in _OF_OTHERS else ((" ".join(path),),)  # those say something of their own
    asked_for = tables_asked_for(file, account) if account else None
    of_account = asked_for.tables if asked_for else ()
    return [(), *own, *of_account] if is_shared(command) else [*own]


def check_names(ctx: click.Context, file: ConfigFile) -> None:
    """Refuse what stands at the top of the file and is neither a setting nor a table.

    Raises:
        ConfigurationError: It is none; the message says which is the nearest.
    """
    root = ctx.find_root()
    if file.get((ACCOUNTS_TABLE,)) is not None:
        check_accounts(file, shared_names(root))
    for key, value in file.values.items():
        if isinstance(value, Mapping):
            if key not in {SOURCES_TABLE, ACCOUNTS_TABLE} and command_at(root, key) is None:
                raise _no_table(root, file, key)
        elif not (is_shared(ctx.command) and key in options_of(ctx.command)):
            names = shared_names(root)
            if key not in names:
                raise file.unknown((key,), names, "setting of a sync")
    _check_sources(file)


def _no_table(root: click.Context, file: ConfigFile, key: str) -> ConfigurationError:
    names = table_names(root)
    under = [f'["{name}"]' for name in names if name.startswith(f"{key} ")]
    if under:
        return file.refuse((key,), f"a table has the whole name of a command: {', '.join(under)}")
    return file.unknown((key,), [SOURCES_TABLE, ACCOUNTS_TABLE, *names], "table")


def _check_sources(file: ConfigFile) -> None:
    for name, said in (file.get((SOURCES_TABLE,)) or {}).items():
        if name not in SOURCES.names():
            raise file.unknown((SOURCES_TABLE, name), SOURCES.names(), "source")
        if not isinstance(said, Mapping):
            raise file.refuse(
                (SOURCES_TABLE, name), f"what is said of a source is a table: [{SOURCES_TABLE}.{name}]"
            )
        for key, value in said.items():
            if key != "enabled":
                raise file.unknown((SOURCES_TABLE, name, key), ["enabled"], "setting of a source")
            if not isinstance(value, bool):
                raise file.refuse((SOURCES_TABLE, name, key), f"enabled is true or false, not {value!r}")


def _fitting(ctx: click.Context, option: click.Option, value: Any) -> Any:
    """Return a value of the file, if it is of the kind that its option takes and in its range."""
    kind, types = _kind(option)
    items = value if option.multiple and isinstance(value, list) else [value]
    if option.multiple is not isinstance(value, list) or not all(type(item) in types for item in items):
        shown = "a table" if isinstance(value, Mapping) else repr(value)
        raise ConfigurationError(
            f"this is {f'a list, each {kind}' if option.multiple else kind}, not {shown}"
        )
    _cast(ctx, option, value)
    return value


def _kind(option: click.Option) -> tuple[str, tuple[type, ...]]:
    """Return how to call what an option takes, and the types that TOML has for it."""
    if option.is_flag:
        return "true or false", (bool,)
    if isinstance(option.type, click.types.IntParamType):
        return "a whole number", (int,)
    if isinstance(option.type, click.types.FloatParamType):
        return "a number", (int, float)
    return "a text", (str, int)  # 9464 is an address of `--metrics` as good as "9464"


def _cast(ctx: click.Context, option: click.Option, value: Any) -> None:
    """Refuse a value that the option would refuse."""
    value = option.type_cast_value(ctx, value)
    if option.metavar == LIMIT:
        with_limits(Options(), value)


@contextmanager
def _refused_with(where: Callable[[], str]) -> Iterator[None]:
    """Say where, when something is refused: only then is the line looked for, which takes a while."""
    try:
        yield
    except click.BadParameter as error:
        raise ConfigurationError(f"{where()}{error.message}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{where()}{error}") from error


def _place_words(file: ConfigFile, path: Keys) -> str:
    return f"{file.place(path)}: {path[-1]}: "


# ── switching off ────────────────────────────────────────────────────────────────────────────


def switched_off(source: str) -> str | None:
    """Return what switches a source off, its place or its variable; `None` where nothing does.

    Raises:
        ConfigurationError: The variable says neither yes nor no.
    """
    variable = variable_of(SOURCES_TABLE, source, "enabled")
    if text := os.environ.get(variable):
        with _refused_with(partial("{}: ".format, variable)):
            return None if click.BOOL.convert(text, None, None) else variable
    file, path = current(), (SOURCES_TABLE, source, "enabled")
    return file.place(path) if file.get(path) is False else None

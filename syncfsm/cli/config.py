"""`syncfsm config show`: what every option of a command is set to, and by what; never a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from syncfsm.cli.shared.accounts import ACCOUNTS_TABLE
from syncfsm.cli.shared.config_file import (
    FILE_NAME,
    FILE_VARIABLE,
    KEY_VARIABLES,
    SOURCES_TABLE,
    ConfigFile,
    Keys,
    looks_secret,
    nearest,
)
from syncfsm.cli.shared.naming import (
    PREFIX,
    QUEUE_VARIABLE,
    command_at,
    group_of,
    options_of,
    path_of,
    table_names,
    variable_of,
    variables_of,
)
from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.cli.shared.settings import (
    check_variables,
    current,
    name_variables,
    switched_off,
    tables_of,
    values_for,
    variable_set,
)
from syncfsm.cli.shared.unsaid import without_passwords
from syncfsm.errors import ConfigurationError
from syncfsm.postgres.driver import is_postgres
from syncfsm.sources.factory import SOURCES

_NOT_SHOWN = "(set, not shown)"
_USER, _QUERY = re.compile(r"//[^/\s]*@"), re.compile(r"\?.*")


@click.group()
def config() -> None:
    """Show the settings of a command, and where each comes from."""


@config.command(
    cls=Command,
    short_help="Show every option of a command, and what it is set by.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", metavar="[COMMAND] [OPTIONS OF IT]...", nargs=-1, type=click.UNPROCESSED)
@json_option
def show(*, words: tuple[str, ...], as_json: bool) -> None:
    """Show what every option of a command is set to, and by what: flag, environment, file or default.

    Of `sync` if no command is named. Options that follow it count as flags. The whole settings file is
    checked, the tables of other commands too; keys are never shown.

    \b
    syncfsm config show
    syncfsm config show sync --page-size 20
    """  # noqa: D301 - \b keeps click from wrapping the example
    root, file = click.get_current_context().find_root(), current()
    for table in file.values:
        is_table = table not in {SOURCES_TABLE, ACCOUNTS_TABLE} and isinstance(file.get((table,)), dict)
        if is_table and command_at(root, table) is not None:
            values_for(_context(root, table), file)
    name, flags = _parted(root, words)
    settings = dict(_settings(_context(root, name), flags, file))
    shown = {"file": file.name or None, "command": name, "settings": settings}
    if "source" in settings:
        shown |= _of_sources()
    print_json(shown) if as_json else _print(shown)
    for variable in _unknown_variables(root):
        say(variable, err=True)


def _parted(root: click.Context, words: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the name of the command, and what is said to it."""
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and command_at(root, name) is not None:
            return name, list(words[count:])
    if words and not words[0].startswith("-"):
        raise ConfigurationError(f"{words[0]!r} is no command: {nearest(words[0], table_names(root))}")
    return "sync", list(words)


def _context(root: click.Context, name: str) -> click.Context:
    """Return the context in which a command would read its options."""
    context = root
    for word in name.split(" "):
        command = group_of(context).get_command(context, word)
        assert command is not None, "the name is one of a command"
        context = click.Context(command, info_name=word, parent=context)
    return context


Setting = dict[str, Any]
"""`value`, `from` and `where` of one option."""


def _settings(context: click.Context, flags: list[str], file: ConfigFile) -> Iterator[tuple[str, Setting]]:
    """Yield each option of a command with what it is set to, and by what."""
    command, path = context.command, path_of(context)
    name_variables(command, path)
    check_variables(context)
    given, _, _ = command.make_parser(context).parse_args(flags)
    context.default_map = values_for(context, file)
    account = _account_asked(context, given)
    context.default_map = values_for(context, file, account)
    tables = tables_of(command, path, file, account)
    for name, option in options_of(command).items():
        found, source = option.consume_value(context, given)
        value = option.get_default(context) if source is ParameterSource.DEFAULT else found
        is_set = source is not ParameterSource.DEFAULT
        value = option.type_cast_value(context, value) if is_set else value
        context.params[option.name or ""] = value  # another's default may depend on it
        yield name, {"value": _shown(name, value), **_origin(name, option, source, file, tables)}


def _account_asked(context: click.Context, given: Mapping[str, Any]) -> str | None:
    """Return whose settings a command takes, by its flags, the environment or the file; null if nobody's."""
    option = options_of(context.command).get("account")
    if option is None or option.multiple:
        return None
    account, source = option.consume_value(context, given)
    return None if source is ParameterSource.DEFAULT else str(account)


def _origin(
    name: str, option: click.Option, source: ParameterSource, file: ConfigFile, tables: list[Keys]
) -> Setting:
    """Return which of the four it was, and where exactly."""
    if source is ParameterSource.COMMANDLINE:
        return {"from": "flag", "where": f"--{name}"}
    if source is ParameterSource.ENVIRONMENT:
        return {"from": "environment", "where": variable_set(option)}
    if source is ParameterSource.DEFAULT_MAP:
        paths = [(*table, spelt) for table in tables for spelt in (name, name.replace("-", "_"))]
        (*_, path) = [path for path in paths if file.get(path) is not None]
        return {"from": "file", "where": file.place(path)}
    return {"from": "default", "where": None}


def _shown(name: str, value: Any) -> Any:
    """Return a value as it may be shown: nothing of a secret, and of a URL no password."""
    if not isinstance(value, str | int | float | tuple | list):
        return None  # it has no default
    if looks_secret(name):
        return _NOT_SHOWN
    if isinstance(value, tuple | list):
        return [_shown(name, item) for item in value]
    if not isinstance(value, str):
        return value
    named = without_passwords(value, [value])
    return named if named != value or is_postgres(value) else _QUERY.sub("?…", _USER.sub("//…@", value))


def _of_sources() -> dict[str, Any]:
    """Return which sources are switched off, and which keys there are."""
    switches = {source: switched_off(source) for source in SOURCES.names()}
    return {
        "sources": {source: {"enabled": by is None, "where": by} for source, by in switches.items()},
        "keys": {variable: bool(os.environ.get(variable)) for variable in KEY_VARIABLES},
    }


def _print(shown: dict[str, Any]) -> None:
    say(f"syncfsm {shown['command']}, with {shown['file'] or f'no {FILE_NAME}'}")
    rows = [(name, _words(setting["value"]), _where(setting)) for name, setting in shown["settings"].items()]
    rows += [
        (f"{SOURCES_TABLE}.{source}.enabled", _words(said["enabled"]), said["where"] or "default")
        for source, said in shown.get("sources", {}).items()
    ]
    rows += [
        (name, _NOT_SHOWN if is_set else "(not set)", "environment")
        for name, is_set in shown.get("keys", {}).items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, where in rows:
        say(f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {where}")


def _where(setting: Setting) -> str:
    return str(setting["where"] if setting["from"] in {"file", "environment"} else setting["from"])


def _words(value: Any) -> str:
    if value is None or value == []:
        return "(not set)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _unknown_variables(root: click.Context) -> Iterator[str]:
    """Say which variables look like settings and are none."""
    known = {
        FILE_VARIABLE,
        QUEUE_VARIABLE,
        *(variable_of(SOURCES_TABLE, source, "enabled") for source in SOURCES.names()),
    }
    for table in table_names(root):
        context = _context(root, table)
        for name in options_of(context.command):
            known |= set(variables_of(context.command, path_of(context), name))
    for variable in sorted(os.environ):
        if variable.startswith(f"{PREFIX}_") and variable not in known:
            yield f"{variable} sets nothing: {nearest(variable, sorted(known))}"

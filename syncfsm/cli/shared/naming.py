"""The names that the settings file and the environment have for commands and their options.

The option `--page-size` is `page-size` in the file and `SYNCFSM_PAGE_SIZE` in the environment; a command's
table has the command's name as it is typed, `["log follow"]`. Settings are told to commands by settings.py.
"""

from __future__ import annotations

import click

from syncfsm.cli.shared.config_file import Keys

PREFIX = "SYNCFSM"

QUEUE_VARIABLE = f"{PREFIX}_QUEUE_URL"
"""Where a cloud's functions find their queue; no option of any command."""

LIMIT = "LIMIT=VALUE"
"""What an option takes that sets a limit."""

OF_ACCOUNTS = ("run", "accounts", "resume", "worker")
"""The commands that work on the sources of all accounts."""

SHARING = ("sync", "check", "watch", "webhooks", "retry-rejects")
"""The commands that work on a source: what stands at the top of the file is said to all of them."""


def path_of(ctx: click.Context) -> Keys:
    """Return the words that name a command: `("log", "follow")`."""
    above = path_of(ctx.parent) if ctx.parent is not None else ()
    return (*above, ctx.info_name or "") if ctx.parent is not None else ()


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command that can be set, by their names."""
    return {
        name_of(option): option
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    }


def name_of(option: click.Option) -> str:
    """Return the name of an option in the settings file: `page-size`."""
    return max(option.opts, key=len).lstrip("-")


def is_shared(command: click.Command) -> bool:
    """Whether a command works on sources, so that the settings at the top of the file are its too."""
    return "source" in options_of(command) or command.name in OF_ACCOUNTS


def variables_of(command: click.Command, path: Keys, name: str) -> list[str]:
    """Return the variables of an option, the one that wins first."""
    own = variable_of(*path, name)
    return [own, variable_of(name)] if is_shared(command) else [own]


def variable_of(*words: str) -> str:
    """Return the variable with these words: `SYNCFSM_PAGE_SIZE`."""
    return "_".join((PREFIX, *words)).upper().replace("-", "_").replace(" ", "_")


def command_at(root: click.Context, table: str) -> click.Command | None:
    """Return the command that a table is named after, if there is one: `log follow`."""
    command: click.Command | None = root.command
    for word in table.split(" "):
        command = command.get_command(root, word) if isinstance(command, click.Group) else None
    return None if isinstance(command, click.Group) else command


def table_names(root: click.Context, group: click.Group | None = None, *above: str) -> list[str]:
    """Return the names that a command's table can have."""
    group = group or group_of(root)
    names = []
    for name in group.list_commands(root):
        command = group.get_command(root, name)
        if isinstance(command, click.Group):
            names += table_names(root, command, *above, name)
        else:
            names.append(" ".join((*above, name)))
    return names


def shared_names(root: click.Context) -> list[str]:
    """Return the settings that can stand at the top of the file."""
    commands = (command_at(root, name) for name in SHARING)
    return list(dict.fromkeys(key for command in commands if command for key in options_of(command)))


def group_of(root: click.Context) -> click.Group:
    """Return the group that a context is of."""
    assert isinstance(root.command, click.Group), "the commands are in a group"
    return root.command

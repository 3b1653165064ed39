"""Which processes of a log are asked for: of an account, in a state, of a mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from syncfsm.cli.shared.options import with_options
from syncfsm.core.events import Mode
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.source_name import account_of
from syncfsm.core.value import Value

F = TypeVar("F", bound=Callable[..., Any])

_ACCOUNT = click.option("--account", "accounts", multiple=True, metavar="NAME", help="Only of this account.")
_STATE = click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State if state is not State.NONE], case_sensitive=False),
    help="Only in this state.",
)
_MODE = click.option(
    "--mode", "modes", multiple=True, type=click.Choice(get_args(Mode)), help="Only of this mode."
)


class Wanted(Value, frozen=True):
    """What a process must be; whatever is empty is not asked for."""

    accounts: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    def __call__(self, process: Process) -> bool:
        """Whether a process is one of those."""
        return (
            (not self.accounts or account_of(process.source) in self.accounts)
            and (not self.states or process.state.value in self.states)
            and (not self.modes or process.mode in self.modes)
        )

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.accounts or self.states or self.modes)


def filter_options(command: F) -> F:
    """Give a command the options that choose processes; it takes them as the fields of `Wanted`."""
    return with_options(command, (_ACCOUNT, _STATE, _MODE))


def following_options(command: F) -> F:
    """Give a command those of them that do not change while a process goes on."""
    return with_options(command, (_ACCOUNT, _MODE))

"""How a sync begins, by the options that `sync` and `check` share: going on, or anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, get_args

import click

from syncfsm.cli.shared.options import changed_by_option, order_option, with_options
from syncfsm.cli.shared.output import say
from syncfsm.cli.shared.running import limits, order_asked
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncMode
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact

F = TypeVar("F", bound=Callable[..., Any])

_delete_missing_option = click.option(
    "--delete-missing",
    "deletes_missing",
    is_flag=True,
    help="In the end, delete from the sink what the source has no more.",
)


def mode_option(default: SyncMode | None) -> Callable[[F], F]:
    """Return the option that says which records are asked for."""
    return click.option(
        "--mode",
        type=click.Choice(get_args(SyncMode)),
        default=default,
        show_default=True,
        help="All records, or those that are new since the last sync.",
    )


_OPTIONS = (
    order_option,
    mode_option("initial"),
    changed_by_option,
    _delete_missing_option,
    click.option("--fresh", is_flag=True, help="Start anew, even where a sync could go on."),
)

_OPTIONS_OF_AN_ACCOUNT = (order_option, mode_option(None), changed_by_option, _delete_missing_option)
"""Where no mode is said, it is the one that fits: nobody is there to choose it each time."""


def beginning_options(command: F) -> F:
    """Give a command the options that say how a sync begins."""
    return with_options(command, _OPTIONS)


def account_options(command: F) -> F:
    """Give a command those that say how a sync of an account begins, again and again."""
    return with_options(command, _OPTIONS_OF_AN_ACCOUNT)


def _say(words: str) -> None:
    say(words, err=True)


_WANTED = ("settings", "mode", "page_size", "deletes_missing")
"""What `beginning` passes on of the options."""


def beginning(
    *, fresh: bool, say: Callable[[str], None] = _say, **asked: Any
) -> Callable[[Engine[Contact]], Process]:
    """Return how a sync begins: what is unfinished goes on, unless all is to start anew."""
    wanted = {name: asked[name] for name in _WANTED} | {"order": order_asked(**asked)}
    return partial(_start_anew if fresh else _take_up, say=say, **wanted)


def _take_up(
    engine: Engine[Contact],
    *,
    settings: tuple[str, ...],
    mode: SyncMode,
    say: Callable[[str], None],
    **wanted: Any,
) -> Process:
    """Return the process to go on with, or a new one, and say where it is not of the mode asked for."""
    options = limits(engine, engine.to_go_on_with(mode), settings)
    try:
        process = engine.take_up(mode=mode, options=options, **wanted)
    except ConfigurationError as error:
        how = " with --fresh" if str(error).endswith("start anew") else ""
        raise ConfigurationError(f"{error}{how}") from error
    if mode != process.mode:
        say(_other_mode(engine, process))
    return process


def _other_mode(engine: Engine[Contact], process: Process) -> str:
    if process.version == 1:
        state = engine.processes.marks.told()
        why = f"the sink {engine.sink.name} is not as the log says: {state}" if state else ""
        return f"{why or 'no sync was completed yet'}, so this one is of all records"
    if not process.is_active:
        return f"process {process.id} was told to wait, and nobody may ask before that is over"
    return f"process {process.id}, a sync of all records, is not finished yet and goes on first"


def _start_anew(
    engine: Engine[Contact],
    *,
    settings: tuple[str, ...],
    mode: SyncMode,
    say: Callable[[str], None],
    **wanted: Any,
) -> Process:
    if mode != "initial":
        raise ConfigurationError("--fresh is for all records: leave it out, or leave out --mode ongoing")
    options = limits(engine, None, settings)
    active = engine.active()
    if active is not None and engine.processes.is_ours(active):  # another sink's is not ours to stop
        engine.cancel(active.id, by="cli", why="started anew with --fresh")
        say(f"cancelled process {active.id}, which was active: --fresh starts anew")
    return engine.start(options=options, **wanted)

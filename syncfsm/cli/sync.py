"""`syncfsm sync`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, get_args

import click

from syncfsm.cli.shared.file_conflicts import check_sink_file
from syncfsm.cli.shared.options import changed_by_option, order_option, sync_options
from syncfsm.cli.shared.output import Resumable
from syncfsm.cli.shared.running import leave_if_off, limits, order_asked, report, run
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncMode
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import open_log

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    order_option,
    click.option(
        "--mode",
        type=click.Choice(get_args(SyncMode)),
        default="initial",
        show_default=True,
        help="All records, or those that are new since the last sync.",
    ),
    changed_by_option,
    click.option(
        "--delete-missing",
        "deletes_missing",
        is_flag=True,
        help="In the end, delete from the sink what the source has no more.",
    ),
    click.option("--fresh", is_flag=True, help="Start anew, even where a sync could go on."),
)


def beginning_options(command: F) -> F:
    """Give a command the options that say how a sync begins."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=Resumable)
@sync_options
@beginning_options
def sync(*, log_path: str, as_json: bool, **asked: Any) -> None:
    """Sync the people of a CRM into a sink.

    The CRM is Attio, AxisCare, or what `syncfsm sources` lists besides; its key comes from a variable:
    ATTIO_API_KEY, AXISCARE_API_KEY. Run the same command again after a crash, a failure, Ctrl-C or SIGTERM:
    the sync goes on where it stopped. `syncfsm check` says beforehand what it would do, docs/modes.md what
    each mode promises.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    leave_if_off(asked["source"], as_json=as_json)
    check_sink_file(asked["sink_url"], log_path)
    with open_log(log_path) as log:
        process = run(log, beginning(**asked), as_json=as_json, **asked)
    assert process is not None, "a sync always has something to do"
    sys.exit(report(process, log_path, as_json=as_json))


def _say(words: str) -> None:
    click.echo(words, err=True)


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
        say(_other_mode(process))
    return process


def _other_mode(process: Process) -> str:
    if process.version == 1:
        return "no sync was completed yet, so this one is of all records"
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

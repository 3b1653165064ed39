"""`syncfsm sync`."""

from __future__ import annotations

import sys
from typing import Any, get_args

import click

from syncfsm.cli.apart import check_sink_file
from syncfsm.cli.output import Resumable
from syncfsm.cli.running import limits, report, run, sync_options
from syncfsm.contact import Contact
from syncfsm.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.events import Order
from syncfsm.log import open_log
from syncfsm.modes import SyncMode
from syncfsm.process import Process


@click.command(cls=Resumable)
@sync_options
@click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default="newest",
    show_default=True,
    help="Which records come first.",
)
@click.option(
    "--mode",
    type=click.Choice(get_args(SyncMode)),
    default="initial",
    show_default=True,
    help="All records, or those that are new since the last sync.",
)
@click.option(
    "--changed-by", metavar="SLUG", help="The attribute that says when a record changed, for ongoing syncs."
)
@click.option(
    "--delete-missing", is_flag=True, help="In the end, delete from the sink what Attio has no more."
)
@click.option("--fresh", is_flag=True, help="Start anew, even where a sync could go on.")
def sync(*, log_path: str, fresh: bool, delete_missing: bool, as_json: bool, **asked: Any) -> None:
    """Sync the people of an Attio workspace into a sink.

    The key comes from the variable ATTIO_API_KEY. Run the same command again after a crash, a failure or
    Ctrl-C: the sync goes on where it stopped. docs/modes.md says what each mode promises.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example

    def begin(engine: Engine[Contact]) -> Process:
        wanted = {name: asked[name] for name in ("mode", "page_size", "order")}
        wanted["deletes_missing"] = delete_missing
        if fresh:
            return _start_anew(engine, asked["settings"], **wanted)
        return take_up(engine, asked["settings"], **wanted)

    check_sink_file(asked["sink_url"], log_path)
    with open_log(log_path) as log:
        process = run(log, begin, as_json=as_json, **asked)
    assert process is not None, "a sync always has something to do"
    sys.exit(report(process, log_path, as_json=as_json))


def take_up(engine: Engine[Contact], settings: tuple[str, ...], *, mode: SyncMode, **wanted: Any) -> Process:
    """Return the process to go on with, or a new one, and say where it is not of the mode asked for."""
    options = limits(engine, engine.to_go_on_with(mode), settings)
    try:
        process = engine.take_up(mode=mode, options=options, **wanted)
    except ConfigurationError as error:
        how = " with --fresh" if str(error).endswith("start anew") else ""
        raise ConfigurationError(f"{error}{how}") from error
    if mode != process.mode:
        click.echo(_other_mode(process), err=True)
    return process


def _other_mode(process: Process) -> str:
    if process.version == 1:
        return "no sync was completed yet, so this one is of all records"
    return f"process {process.id}, a sync of all records, is not finished yet and goes on first"


def _start_anew(
    engine: Engine[Contact], settings: tuple[str, ...], *, mode: SyncMode, **wanted: Any
) -> Process:
    if mode != "initial":
        raise ConfigurationError("--fresh is for all records: leave it out, or leave out --mode ongoing")
    options = limits(engine, None, settings)
    active = engine.active()
    if active is not None:
        engine.cancel(active.id, by="cli", why="started anew with --fresh")
        click.echo(f"cancelled process {active.id}, which was active: --fresh starts anew", err=True)
    return engine.start(options=options, **wanted)

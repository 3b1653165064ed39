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
from syncfsm.process import Process
from syncfsm.sources.factory import SOURCES


@click.command(cls=Resumable)
@sync_options
@click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default=None,
    help="Which records come first.  [default: the first that the source has; for attio, newest]",
)
@click.option("--fresh", is_flag=True, help="Start anew, even where a sync could go on.")
def sync(*, log_path: str, fresh: bool, as_json: bool, **asked: Any) -> None:
    """Sync the people of a CRM into a sink.

    The CRM is Attio, AxisCare, or what `syncfsm sources` lists besides; its key comes from a variable:
    ATTIO_API_KEY, AXISCARE_API_KEY. Run the same command again after a crash, a failure or Ctrl-C: the sync
    goes on where it stopped.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example

    def begin(engine: Engine[Contact]) -> Process:
        order = asked["order"] or SOURCES.find(asked["source"]).orders[0]
        wanted = {"page_size": asked["page_size"], "order": order}
        if fresh:
            return _start_anew(engine, asked["settings"], **wanted)
        return _take_up(engine, asked["settings"], **wanted)

    check_sink_file(asked["sink_url"], log_path)
    with open_log(log_path) as log:
        process = run(log, begin, as_json=as_json, **asked)
    assert process is not None, "a sync always has something to do"
    sys.exit(report(process, log_path, as_json=as_json))


def _take_up(engine: Engine[Contact], settings: tuple[str, ...], **wanted: Any) -> Process:
    options = limits(engine, engine.unfinished(), settings)
    try:
        return engine.take_up(options=options, **wanted)
    except ConfigurationError as error:
        how = " with --fresh" if str(error).endswith("start anew") else ""
        raise ConfigurationError(f"{error}{how}") from error


def _start_anew(engine: Engine[Contact], settings: tuple[str, ...], **wanted: Any) -> Process:
    options = limits(engine, None, settings)
    active = engine.active()
    if active is not None:
        engine.cancel(active.id, by="cli", why="started anew with --fresh")
        click.echo(f"cancelled process {active.id}, which was active: --fresh starts anew", err=True)
    return engine.start(options=options, **wanted)

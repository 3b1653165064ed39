"""`syncfsm watch`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from syncfsm.cli.shared.durations import pause_s
from syncfsm.cli.shared.options import changed_by_option, order_option, service_options
from syncfsm.cli.shared.output import Resumable
from syncfsm.cli.shared.pruning import Pruner, prune_after_option
from syncfsm.cli.shared.running import leave_if_off, order_asked
from syncfsm.cli.shared.serving import engines, limits_asked, say_over, say_trouble
from syncfsm.core.process import Process
from syncfsm.engine.watcher import Watcher
from syncfsm.log import open_log


@click.command(cls=Resumable)
@click.option(
    "--every", required=True, metavar="TIME", help="30s, 5m or 1h, from one sync's beginning to the next's."
)
@service_options
@order_option
@changed_by_option
@prune_after_option
def watch(*, every: str, log_path: str, as_json: bool, prune_after: str | None, **asked: Any) -> None:
    """Sync again and again: all records once, then every so often those that are new.

    A sync that fails waits for the next turn, and then goes on where it stopped. Ctrl-C or SIGTERM ends it,
    and the same command goes on from there. On stdout comes a line for each sync.

    \b
    syncfsm watch --every 5m --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    leave_if_off(asked["source"], as_json=as_json)
    every_s = pause_s(every)
    with open_log(log_path) as log, engines(log, log_path=log_path, **asked) as make_engine:
        pruner = Pruner(log, prune_after, by="watch")

        def over(process: Process) -> None:
            say_over(process, as_json=as_json)
            pruner.turn()

        watcher = Watcher(
            make_engine,
            every_s=every_s,
            page_size=asked["page_size"],
            order=order_asked(**asked),
            options=limits_asked(**asked),
            on_turn=over,
            on_trouble=say_trouble,
        )
        asyncio.run(watcher.run())

"""`syncfsm worker`: one of many, on one log in PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from syncfsm.cli.shared.durations import duration
from syncfsm.cli.shared.fleet import asked_of_all, fleet_options, secrets_of, syncs_of
from syncfsm.cli.shared.fleet_running import Fleet, every_option, on_failure_option
from syncfsm.cli.shared.health import Health, health_served, registry
from syncfsm.cli.shared.options import json_lines_option, verbose_option
from syncfsm.cli.shared.output import Command, say
from syncfsm.cli.shared.pruning import Pruner, prune_after_option
from syncfsm.cli.shared.running import Show
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.postgres.driver import is_postgres

if TYPE_CHECKING:
    from syncfsm.workers.queue.worker import Worker

CONCURRENCY = 4
SLICE = "10s"


@click.command(cls=Command)
@fleet_options
@click.option(
    "--concurrency",
    default=CONCURRENCY,
    show_default=True,
    type=click.IntRange(1, 100),
    metavar="N",
    help="The most syncs at a time; an account has one at a time, whatever workers there are.",
)
@click.option(
    "--slice",
    "slice_",
    default=SLICE,
    show_default=True,
    metavar="TIME",
    help="How long one sync goes on before others have their turn.",
)
@click.option("--name", metavar="NAME", help="What `top` calls this worker.  [default: machine and process]")
@click.option("--listen", metavar="[HOST:]PORT", help="Serve /health and /metrics there: 9464.")
@every_option
@on_failure_option
@prune_after_option
@verbose_option
@json_lines_option
def worker(
    *,
    accounts: tuple[str, ...],
    log_path: str,
    concurrency: int,
    slice_: str,
    name: str | None,
    listen: str | None,
    every: str,
    on_failure: str | None,
    prune_after: str | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Work on the syncs of all accounts, with whatever other workers there are, on this machine or others.

    The log is in PostgreSQL, and so is the queue; the settings file says what there is to sync, as for `run`,
    and is the same for all workers. SIGTERM or Ctrl-C lets each sync end the page that is under way and put
    its job back: then the worker ends, with exit status 0. A worker that is killed is found out within a
    minute. docs/workers.md has the rest.

    \b
    syncfsm worker --log postgresql://syncfsm@db/syncfsm
    """  # noqa: D301 - \b keeps click from wrapping the example
    if not is_postgres(log_path):
        raise ConfigurationError(
            "workers share a log in PostgreSQL: give --log postgresql://…; for a file, there is `syncfsm run`"
        )
    asked_of = asked_of_all(accounts, log_path, every)
    metrics = registry() if listen else None
    show = Show(secrets_of(asked_of), verbose=verbose, is_live=False)
    hooks = [show, *([metrics.hook] if metrics else [])]
    with open_log(log_path) as log:
        pruner = Pruner(log, prune_after, by="worker")
        fleet = Fleet(log, as_json=as_json, on_failure=on_failure, pruner=pruner)
        made = _worker_class()(
            log_path,
            lambda log: syncs_of(log, asked_of, hooks),
            concurrency=concurrency,
            slice_s=duration(slice_).total_seconds(),
            name=name,
            on_over=fleet.over,
            on_trouble=fleet.trouble,
            on_stalled=fleet.stalled,
            say=lambda words: say(words, err=True),
        )
        asyncio.run(_run(made, fleet, Health(made, metrics), listen))
    sys.exit(0)


def _worker_class() -> type[Worker[Contact]]:
    try:
        from syncfsm.workers.queue.worker import Worker  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError("workers are an extra: pip install 'syncfsm[workers]'") from error
    return Worker


async def _run(worker: Worker[Any], fleet: Fleet, health: Health, listen: str | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    say(f"worker {worker.name} begins", err=True)
    async with health_served(health, listen):
        await fleet.settled(worker.run())
    say(f"worker {worker.name} has ended", err=True)

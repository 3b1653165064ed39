"""`syncfsm run`: what `watch` is for one sync, for those of all accounts."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from syncfsm.cli.shared.fleet import fleet_options
from syncfsm.cli.shared.fleet_running import opened, running_options
from syncfsm.cli.shared.output import Resumable
from syncfsm.cli.shared.pruning import prune_after_option


@click.command(cls=Resumable)
@fleet_options
@click.option("--once", is_flag=True, help="Run each sync once, due or not, and end.")
@running_options
@prune_after_option
def run(*, once: bool, **asked: Any) -> None:
    """Run the syncs of all accounts of the settings file, each whenever it is due.

    What an account is, and how its syncs are written down, says docs/accounts.md. What fails waits for its
    next turn and holds nobody up. Ctrl-C or SIGTERM ends it, and the same command goes on from there. On
    stdout comes a line for each sync. With --once, exit status 1 says that one of them did not complete.

    \b
    syncfsm run --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    with opened(**asked) as fleet:
        asyncio.run(fleet.settled(fleet.engines.run_once() if once else fleet.engines.run()))
    sys.exit(fleet.status)

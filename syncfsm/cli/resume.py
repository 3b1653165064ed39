"""`syncfsm resume`: going on at once with what failed, of all accounts."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from syncfsm.cli.shared.fleet import fleet_options
from syncfsm.cli.shared.fleet_running import Fleet, opened, running_options
from syncfsm.cli.shared.output import Resumable, say
from syncfsm.core.describe import plural
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.workers import Engines


@click.command(cls=Resumable)
@fleet_options
@click.option(
    "--reason",
    metavar="CODE",
    help="Only what failed for this: unauthorized, reject_ratio_max, …; `syncfsm accounts` shows it.",
)
@click.option(
    "--rejects",
    is_flag=True,
    help="Instead, send the rejected records of each sync again, as `retry-rejects` does for one.",
)
@running_options
def resume(*, reason: str | None, rejects: bool, **asked: Any) -> None:
    """Go on now with every sync that failed, for one reason or for any, and end.

    For when the cause is mended: a key, a disk, a limit. What is not finished goes on where it stopped; what
    was told to wait for longer than it may stays as it is. Exit status 1 says that one failed again.

    \b
    syncfsm resume --reason unauthorized
    """  # noqa: D301 - \b keeps click from wrapping the example
    if rejects and reason is not None:
        raise ConfigurationError("--reason is why a sync failed, and rejects have others: leave one out")
    with opened(**asked) as fleet:
        asyncio.run(fleet.settled(_retry_rejects(fleet) if rejects else _resume(fleet.engines, reason)))
    sys.exit(fleet.status)


async def _resume(engines: Engines[Contact], reason: str | None) -> None:
    failed = {
        standing.sync: standing.process.failure.reason
        for standing in await engines.standings()
        if standing.process is not None and standing.process.failure is not None
    }
    names = [name for name, why in failed.items() if reason in {None, why}]
    if not names:
        others = ", ".join(sorted(set(failed.values())))
        say(f"nothing failed{f' for that; there is: {others}' if others else ''}", err=True)
        return
    say(f"going on with {plural(len(names), 'sync')}: {', '.join(names)}", err=True)
    await engines.run_once(names)


async def _retry_rejects(fleet: Fleet) -> None:
    await fleet.engines.retry_rejects()
    if not fleet.turns and not fleet.status:
        say("nothing to retry: no reject with a record id is left that was not delivered later", err=True)

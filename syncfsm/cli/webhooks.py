"""`syncfsm webhooks`: the receiver of webhooks and the worker behind it, in one process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import click

from syncfsm.cli.shared.listening import HOST, listen, served
from syncfsm.cli.shared.options import service_options
from syncfsm.cli.shared.output import FAILED, FiniteRange, Resumable, say
from syncfsm.cli.shared.running import leave_if_off, make_source
from syncfsm.cli.shared.serving import engines, limits_asked, say_over, say_trouble
from syncfsm.core.failure import Failure
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sources.attio.source import AttioSource
from syncfsm.webhooks import WebhookReceiver, WebhookWorker

SECRET_VARIABLE = "ATTIO_WEBHOOK_SECRET"  # noqa: S105 - its name, not its value


@click.command(cls=Resumable)
@click.option(
    "--port", default=8788, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option("--host", default=HOST, show_default=True, help="The address to listen at.")
@click.option(
    "--settle",
    "settle_s",
    default=2.0,
    show_default=True,
    type=FiniteRange(0, 3600),
    help="Seconds that a change is left to settle before it is asked for.",
)
@service_options
def webhooks(*, log_path: str, as_json: bool, port: int, host: str, settle_s: float, **asked: Any) -> None:
    """Receive webhooks, and sync the records that they tell of.

    The webhook's secret comes from the variable ATTIO_WEBHOOK_SECRET; several have commas between them. Attio
    sends to https only, so a proxy must stand before this. The first line on stdout is where it listens, then
    comes a line for each sync. Ctrl-C or SIGTERM ends it; what is in the inbox then waits for the next time.

    \b
    syncfsm webhooks --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    leave_if_off(asked["source"], as_json=as_json)
    secrets = _secrets()
    with (
        listen(host, port) as listener,  # first: where the port is taken, no log is made
        open_log(log_path) as log,
        engines(log, log_path=log_path, **asked) as make_engine,
    ):
        worker = WebhookWorker(
            make_engine,
            page_size=asked["page_size"],
            options=limits_asked(**asked),
            settle_s=settle_s,
            on_over=partial(say_over, as_json=as_json),
            on_trouble=say_trouble,
        )
        receiver = partial(WebhookReceiver, log, secrets)
        asyncio.run(_serve(receiver, worker, listener, asked))
    raise KeyboardInterrupt  # it never ends by itself, and says by whom it was ended as other commands do


async def _serve(
    receiver: Callable[..., WebhookReceiver], worker: WebhookWorker[Contact], listener: Any, asked: Any
) -> None:
    """Receive and work until Ctrl-C or SIGTERM."""
    source, _ = make_source(**asked)
    if not isinstance(source, AttioSource):
        raise ConfigurationError(f"the source {asked['source']} sends no webhooks that are known: use attio")
    object_id = await source.object_id()
    await source.aclose()
    if isinstance(object_id, Failure):
        say(f"error: {object_id.message}", err=True)
        sys.exit(FAILED)
    app = receiver(source=source.name, object=source.object, object_id=object_id)
    working = asyncio.create_task(worker.run())
    try:
        await served(app, listener, until=working)
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    say(", ".join(f"{count} {what}" for what, count in sorted(app.counts.items())), err=True)


def _secrets() -> tuple[str, ...]:
    given = os.environ.get(SECRET_VARIABLE, "")
    secrets = tuple(secret.strip() for secret in given.split(",") if secret.strip())
    if not secrets:
        raise ConfigurationError(
            f"there is no webhook secret: set {SECRET_VARIABLE} to the one that Attio gave with the webhook"
        )
    return secrets

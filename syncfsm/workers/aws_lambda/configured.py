"""The two functions as they are named to Lambda, made by the settings file and the environment.

Both functions are told the same: what `syncfsm worker` reads, and in `SYNCFSM_QUEUE_URL` where the queue is.
They are made by the first call, and kept while the function is warm.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from syncfsm.workers.aws_lambda.records import Handler, make_handler
from syncfsm.workers.aws_lambda.sending import make_watchdog

if TYPE_CHECKING:
    from syncfsm.cli.shared.settled_fleet import SettledFleet


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take the messages of an event off the queue: `syncfsm.workers.aws_lambda.handler`.

    Raises:
        ConfigurationError: The settings cannot be used.
        LogError: The log cannot be opened.
    """
    return _handler()(event, context)


def watchdog(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send messages for what is due: `syncfsm.workers.aws_lambda.watchdog`.

    Raises:
        ConfigurationError: The settings cannot be used, or name no queue.
        LogError: The log cannot be opened.
        BrokenContract: SQS did not take a message.
    """
    return _watchdog()(event, context)


@cache
def _fleet() -> SettledFleet:
    from syncfsm.cli.shared.settled_fleet import settled_fleet  # noqa: PLC0415 - click, and all that it reads

    return settled_fleet()


@cache
def _handler() -> Handler:
    fleet = _fleet()
    return make_handler(
        fleet.syncs, log=fleet.log, on_over=fleet.over, on_trouble=fleet.trouble, settle=fleet.settle
    )


@cache
def _watchdog() -> Handler:
    fleet = _fleet()
    return make_watchdog(fleet.syncs, log=fleet.log, queue_url=fleet.queue_url, on_trouble=fleet.trouble)

"""The watchdog: a function on a schedule that asks the log what there is to do, and sends messages for it.

It drives all syncs, the first of an account as well as one whose function was killed. It remembers nothing
and waits for nothing: what somebody works on is left to them, what is told to wait is sent for when its time
has come, and what a message was lost of is due at the next look. SQS could not wait so: on a FIFO queue no
message has a delay of its own, none is longer than 15 minutes, and one that is hidden until its time counts
its way into the dead-letter queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, TypeVar

from syncfsm.core.backoff import left_s
from syncfsm.core.process import Process
from syncfsm.core.starts import put_off_s
from syncfsm.core.state import PATIENCE
from syncfsm.errors import BrokenContract, ConfigurationError, SyncfsmError
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.workers.account_sync import AccountSync, Fleet
from syncfsm.workers.account_turns import worked_on
from syncfsm.workers.aws_lambda.messages import Message, message_for
from syncfsm.workers.aws_lambda.records import Desk, Handler, say_trouble
from syncfsm.workers.engines import Engines
from syncfsm.workers.standing import Standing

T = TypeVar("T")

ENTRIES_MAX = 10
"""The most messages that SQS takes at once."""


class Queue(Protocol):
    """What is used of boto3's client for SQS."""

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, str]]) -> Any:  # noqa: N803 - AWS's
        """Send messages; those that were not taken are in `Failed`."""
        ...


def make_watchdog(
    fleet: Fleet[T],
    *,
    log: EventLog | str,
    queue_url: str,
    queue: Queue | None = None,
    clock: Clock | None = None,
    on_trouble: Callable[[AccountSync[T], SyncfsmError], None] = say_trouble,
) -> Handler:
    """Return the function for a schedule, of once a minute.

    Args:
        fleet: Returns all syncs there are, for a log.
        log: The log, or its URL, which is opened by the first call.
        queue_url: The FIFO queue.
        queue: A client of SQS; boto3's if `None`, which is in Lambda's own runtime.
        clock: Time, by which syncs are due; the machine's if `None`.
        on_trouble: Called with a sync for which no engine can be made, and why; logs it by default.
    """
    desk, clients = Desk(fleet, log), [queue] if queue else []
    clock = clock or SystemClock()

    def watchdog(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        if not clients:
            clients.append(_boto3_client())
        standings = asyncio.run(Engines(desk.log, desk.syncs.values(), clock=clock).standings())
        for standing in standings:
            if standing.trouble is not None:
                on_trouble(desk.syncs[standing.sync], ConfigurationError(standing.trouble))
        busy = worked_on(desk.log, {standing.account for standing in standings})
        messages = due_messages(standings, busy, clock.now())
        _send(clients[0], queue_url, messages)
        return {"sent": len(messages), "worked_on": len(busy)}

    return watchdog


def due_messages(
    standings: Iterable[Standing], busy: Iterable[str], now: datetime
) -> list[tuple[str, Message]]:
    """Return the messages to send, each with its account: of what is due, and may be worked on.

    Args:
        standings: How the syncs stand, those first that are due first.
        busy: The accounts that somebody works on.
        now: The time of day.
    """
    standings = list(standings)
    waiting = {standing.account for standing in standings if _is_told_to_wait(standing.process, now)}
    return [
        (standing.account, message_for(standing.sync, standing.process))
        for standing in standings
        if standing.trouble is None and standing.due_at <= now and standing.account not in waiting.union(busy)
    ]


def _is_told_to_wait(process: Process | None, now: datetime) -> bool:
    """Whether a process was told when to ask again: that is for its account, whichever sync it was."""
    if process is None:
        return False
    if process.retry is None or process.retry.cause != PATIENCE or process.waits_since is None:
        return put_off_s(process, now) > 0
    return left_s(process.retry.retry_at, process.waits_since, now) > 0


def _send(queue: Queue, url: str, messages: Sequence[tuple[str, Message]]) -> None:
    """Send messages.

    Raises:
        BrokenContract: Some were not taken. They are due at the next look too.
    """
    refused: list[str] = []
    for first in range(0, len(messages), ENTRIES_MAX):
        entries = [
            _entry(number, account, message)
            for number, (account, message) in enumerate(messages[first : first + ENTRIES_MAX])
        ]
        answer = queue.send_message_batch(QueueUrl=url, Entries=entries)
        refused += [str(entry.get("Code")) for entry in answer.get("Failed", ())]
    if refused:
        codes = ", ".join(sorted(set(refused)))
        raise BrokenContract(f"SQS did not take {len(refused)} of {len(messages)} messages: {codes}")


def _entry(number: int, account: str, message: Message) -> dict[str, str]:
    return {
        "Id": str(number),
        "MessageBody": message.body,
        "MessageGroupId": account,
        "MessageDeduplicationId": message.deduplication_id,
    }


def _boto3_client() -> Any:
    """Return a client of SQS.

    Raises:
        ConfigurationError: There is no boto3.
    """
    try:
        boto3: Any = import_module("boto3")  # there is one where there is a Lambda
    except ModuleNotFoundError as error:
        raise ConfigurationError("boto3 is in Lambda's own runtime; elsewhere: pip install boto3") from error
    return boto3.client("sqs")

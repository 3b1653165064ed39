"""The function that takes messages off the queue: each is a slice of a sync, as long as there is time.

It sends nothing. A function that sends the message that calls it next is a chain, and Lambda ends one after
about 16 calls (it counts them by a trace header that AWS's SDKs pass on); how far a sync got by then, nobody
told it. So whatever is left, the watchdog finds in the log and sends for, and each chain is two calls long.

A message group lets one message of an account be under way until its visibility timeout ends, whatever
became of its function; so the account's turn is held too.

A message is failed, which brings it again and at last into the dead-letter queue, where it can never be done
or the log is away. What keeps a sync from going on is told of, and no fault of the message's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from syncfsm.core.process import Process
from syncfsm.errors import (
    ActiveSync,
    BrokenContract,
    LogError,
    NotActive,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.log import open_log
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.safe_words import raised_words
from syncfsm.workers.account_sync import AccountSync, Fleet
from syncfsm.workers.account_turns import turn_of
from syncfsm.workers.aws_lambda.messages import Message, message_of
from syncfsm.workers.slices import Within, work_on

T = TypeVar("T")

RESERVE_S = 20.0
"""How long before the function's end no further page is begun: one that waits for its answer may take it."""

CUT_S = 2.0
"""How long before its end a page that takes too long is broken off, so that the messages that came with it
need not come again."""

_OVERTAKEN = (ActiveSync, NotActive, VersionConflict)
"""Somebody else is on the sync."""

logger = logging.getLogger("syncfsm.aws_lambda")


class Context(Protocol):
    """What is used of a function's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may go on."""
        ...


Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
"""What Lambda calls, with an event and a context."""


def say_trouble(sync: AccountSync[Any], error: SyncfsmError) -> None:
    """Log what keeps a sync from beginning or going on."""
    logger.error("%s: %s", sync.name, error)


async def _settled() -> None:
    """Wait for nothing."""


class Desk(Generic[T]):
    """A log and the syncs on it, opened when they are first asked for, and kept while the function is warm.

    Args:
        fleet: Returns all syncs there are, for a log.
        log: The log, or its URL.
    """

    def __init__(self, fleet: Fleet[T], log: EventLog | str) -> None:
        self._fleet = fleet
        self._log = log

    @cached_property
    def log(self) -> EventLog:
        """The log."""
        return open_log(self._log) if isinstance(self._log, str) else self._log

    @cached_property
    def syncs(self) -> dict[str, AccountSync[T]]:
        """The syncs, by their names."""
        return {sync.name: sync for sync in self._fleet(self.log)}


def make_handler(
    fleet: Fleet[T],
    *,
    log: EventLog | str,
    reserve_s: float = RESERVE_S,
    clock: Clock | None = None,
    on_over: Callable[[AccountSync[T], Process], None] = lambda _sync, _process: None,
    on_trouble: Callable[[AccountSync[T], SyncfsmError], None] = say_trouble,
    settle: Callable[[], Any] = _settled,
) -> Handler:
    """Return the function for the queue's event source mapping, which has `ReportBatchItemFailures`.

    Args:
        fleet: Returns all syncs there are, for a log.
        log: The log, or its URL, which is opened by the first call.
        reserve_s: How long before its end it begins no further page; half of its time at most.
        clock: Time, by which syncs are due; the machine's if `None`.
        on_over: Called with a sync and a process that is over or has failed.
        on_trouble: Called with a sync and what keeps it from beginning or going on; logs it by default.
        settle: Awaited at the end of each slice, for what these have begun.
    """
    desk = Desk(fleet, log)

    def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
        batch = _Batch(
            desk, context, len(event["Records"]), reserve_s=reserve_s, clock=clock or SystemClock()
        )
        batch.on_over, batch.on_trouble, batch.settle = on_over, on_trouble, settle
        # Not the processor for FIFO queues: to keep an order that means nothing here, it fails what comes
        # after a failure too; and where the first fails, so that all do, it raises.
        processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
        answer: Mapping[str, Any] = process_partial_response(
            event=event, record_handler=batch.work, processor=processor
        )
        return dict(answer)

    return handler


class _Batch(Generic[T]):
    """The messages of one call, one by one; each has its share of the time that is left."""

    on_over: Callable[[AccountSync[T], Process], None]
    on_trouble: Callable[[AccountSync[T], SyncfsmError], None]
    settle: Callable[[], Any]

    def __init__(
        self, desk: Desk[T], context: Context, count: int, *, reserve_s: float, clock: Clock
    ) -> None:
        self._desk = desk
        self._context = context
        self._left = count
        self._reserve_s = min(reserve_s, self._remaining_s() / 2)
        self._clock = clock
        self._log_error: LogError | None = None

    def work(self, record: SQSRecord) -> None:
        """Work on the sync of a message; powertools gives the record by this name.

        Raises:
            BrokenContract: It is no message, or of a sync that there is not.
            LogError: The log is away, or was so at an earlier message.
        """
        share_s = (self._remaining_s() - self._reserve_s) / self._left
        self._left -= 1
        try:
            self._attempt(message_of(record.body), share_s)
        except SyncfsmError as error:
            logger.error("message %s failed: %s", record.message_id, error)  # noqa: TRY400 - it says it all
            raise

    def _attempt(self, message: Message, share_s: float) -> None:
        if self._log_error is not None:  # to wait for it once more would take the time of all the others
            raise self._log_error
        try:
            sync = self._desk.syncs.get(message.sync)
            if sync is None:
                raise BrokenContract("a message asks for a sync that is not in the settings")
            with turn_of(self._desk.log, sync.account) as is_ours:
                if is_ours and share_s > 0:
                    asyncio.run(self._slice(sync, message, share_s))
        except LogError as error:
            self._log_error = error
            raise

    async def _slice(self, sync: AccountSync[T], message: Message, share_s: float) -> None:
        """Take a slice of a sync, if that stands where the message was sent for."""
        cut = asyncio.timeout(self._remaining_s() - CUT_S)
        try:
            async with cut:
                await self._worked_on(sync, message, share_s)
        except _OVERTAKEN as error:
            self.on_trouble(sync, error)
        except LogError:
            raise
        except SyncfsmError as error:
            self.on_trouble(sync, error)
        except Exception as error:  # noqa: BLE001 - a hook's, or that of whoever makes the engine
            if not cut.expired():  # else it is gone on with, as after any slice
                self.on_trouble(sync, BrokenContract(raised_words("what a sync is made with", error)))
        finally:
            await self.settle()

    async def _worked_on(self, sync: AccountSync[T], message: Message, share_s: float) -> None:
        await work_on(
            self._desk.log,
            sync,
            leaves=Within(share_s),
            at=message.at,
            clock=self._clock,
            on_over=self.on_over,
        )

    def _remaining_s(self) -> float:
        return self._context.get_remaining_time_in_millis() / 1000

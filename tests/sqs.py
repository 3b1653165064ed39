"""A FIFO queue of SQS as AWS documents it, and the mapping by which Lambda takes messages off it.

What is sent is judged by AWS's own model of SQS, which comes with boto3. Unlike what stands in for SQS
elsewhere, a deduplication id is known for five minutes, whether or not its message is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import botocore.session
from botocore.validate import validate_parameters

DEDUPLICATION_S = 300.0
VISIBILITY_S = 360.0
RECEIVES_MAX = 3

Deliver = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass
class Sent:
    id: str
    group: str
    body: str
    receives: int = 0
    visible_at: float = 0.0


class FifoQueue:
    """One queue, with a dead-letter queue behind it; `now` is its time, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.messages: list[Sent] = []
        self.dead: list[Sent] = []
        self.refuses: dict[str, str] = {}
        self.is_thrifty = True
        self._known: dict[str, float] = {}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        validate_parameters({"QueueUrl": QueueUrl, "Entries": Entries}, _shape())
        assert 0 < len(Entries) <= 10
        failed = [
            {"Id": one["Id"], "Code": self.refuses[group]}
            for one in Entries
            if (group := one["MessageGroupId"]) in self.refuses
        ]
        for entry in Entries:
            if entry["MessageGroupId"] not in self.refuses:
                self._take(entry)
        return {"Failed": failed} if failed else {}

    def _take(self, entry: dict[str, str]) -> None:
        known_at = self._known.setdefault(entry["MessageDeduplicationId"], self.now)
        if known_at != self.now and self.now - known_at < DEDUPLICATION_S and self.is_thrifty:
            return
        self._known[entry["MessageDeduplicationId"]] = self.now
        self.put(entry["MessageGroupId"], entry["MessageBody"])

    def put(self, group: str, body: str) -> Sent:
        self.messages.append(Sent(str(uuid4()), group, body))
        return self.messages[-1]

    def receive(self, count_max: int = 10) -> list[Sent]:
        """Return messages in their order, none of a group that has one under way."""
        under_way = {message.group for message in self.messages if message.visible_at > self.now}
        found = [message for message in self.messages if message.group not in under_way][:count_max]
        for message in found:
            message.receives += 1
            message.visible_at = self.now + VISIBILITY_S
        return found

    def delete(self, messages: Sequence[Sent]) -> None:
        self.messages = [message for message in self.messages if message not in messages]

    def deliver(self, handler: Deliver, context: Any) -> set[str]:
        """Let Lambda take a batch, and delete what was not reported as failed; return what was."""
        self.dead += [
            message
            for message in self.messages
            if message.receives >= RECEIVES_MAX and message.visible_at <= self.now
        ]
        self.delete(self.dead)
        batch = self.receive()
        if not batch:
            return set()
        answer = handler(event_of(batch), context)
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        self.delete([message for message in batch if message.id not in failed])
        return failed


def event_of(messages: Sequence[Sent]) -> dict[str, Any]:
    """Return the event that Lambda makes of messages."""
    return {"Records": [_record(message) for message in messages]}


def _record(message: Sent) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": f"receipt of {message.id}",
        "body": message.body,
        "attributes": {"MessageGroupId": message.group, "ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:syncs.fifo",
        "awsRegion": "eu-central-1",
    }


@cache
def _shape() -> Any:
    model = botocore.session.get_session().get_service_model("sqs")
    return model.operation_model("SendMessageBatch").input_shape


@dataclass
class Context:
    """A function's context: how long it may go on, and how long once it has been asked."""

    left_ms: int = 60_000
    then_ms: int | None = None

    def get_remaining_time_in_millis(self) -> int:
        left_ms = self.left_ms
        self.left_ms = left_ms if self.then_ms is None else self.then_ms
        return left_ms

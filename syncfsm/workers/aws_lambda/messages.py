"""The messages of the queue: each is a step of a sync, asked for where that stood when it was sent. Pure.

A queue delivers a message again, late, and in whatever order. So each says for which version of which process
it was sent, and once that has moved on, it asks for nothing any more. What SQS itself promises of messages
that are alike is used to send fewer, and is relied upon for nothing.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from syncfsm.core.decide import FinishSync, next_action
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.errors import BrokenContract
from syncfsm.workers.slices import Place, place_of

MessageType = Literal["START", "FETCH_PERSON_PAGE", "COMPLETE_SYNC"]


class Message(Value, frozen=True):
    """A step of a sync.

    Attributes:
        type: What the step is, for whoever reads it: it begins a sync, or goes on with one that failed;
            brings pages; or completes one. What is done is what the log says is due.
        sync: The sync, by its name.
        at: Where the sync stood.
    """

    type: MessageType
    sync: str
    at: Place

    @property
    def body(self) -> str:
        """The message as it is sent: JSON."""
        return msgspec.json.encode(self).decode()

    @property
    def deduplication_id(self) -> str:
        """By which SQS knows, for five minutes, one that is sent again."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def message_for(sync: str, process: Process | None) -> Message:
    """Return what to send for a sync that is due, whose last process this is."""
    return Message(type=_type(process), sync=sync, at=place_of(process))


def _type(process: Process | None) -> MessageType:
    if process is None or not process.is_active:
        return "START"
    return "COMPLETE_SYNC" if isinstance(next_action(process), FinishSync) else "FETCH_PERSON_PAGE"


def message_of(body: str) -> Message:
    """Return the message that a body holds.

    Raises:
        BrokenContract: It holds none; the words do not repeat it, since it may be anything.
    """
    try:
        return msgspec.json.decode(body, type=Message)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise BrokenContract("a message of the queue is none that the watchdog sends") from None

"""What Attio's webhooks say, and whether it was Attio who said it. Pure.

A message is `{"webhook_id", "events": [{"event_type", "id": {"object_id", "record_id", …}, …}]}`; a merge
names a second record. What it says became of a record is kept with its id: only one that it says is gone can
be gone. Its signature is the HMAC-SHA256 of the raw body, in lowercase hexadecimal. Source of
the rules: https://docs.attio.com/rest-api/guides/webhooks
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from itertools import chain

import msgspec

from syncfsm.core.paging.place import ToldGone
from syncfsm.core.value import Value
from syncfsm.outside.decoding import Decoder, Undecodable
from syncfsm.outside.safe_words import uuid

TYPES = frozenset({"record.created", "record.updated", "record.deleted", "record.merged"})
"""The events that tell of a record; all others are left out."""


class Malformed(ValueError):
    """A body that is no message; the words say what is wrong, and repeat nothing of it."""


class Message(Value, frozen=True):
    """What a message says: the records it tells of, each once, and which of them it says are gone."""

    record_ids: tuple[str, ...] = ()
    gone: tuple[ToldGone, ...] = ()


class _Event(msgspec.Struct):
    event_type: str
    id: msgspec.Raw = msgspec.Raw(b"{}")
    duplicate_record_id: msgspec.Raw = msgspec.Raw(b"null")


class _Messages(msgspec.Struct):
    events: list[_Event]


class _Id(msgspec.Struct):
    record_id: str
    object_id: str = ""


_messages = Decoder(_Messages)
_ids = Decoder(_Id)
_duplicates: Decoder[str | None] = Decoder(str | None)


def is_signed(body: bytes, signature: bytes, secrets: Iterable[str]) -> bool:
    """Whether a body was signed with one of the secrets. Takes the same time whatever the signature is."""
    made = [hmac.digest(os.fsencode(secret), body, hashlib.sha256).hex().encode() for secret in secrets]
    return any(hmac.compare_digest(one, signature) for one in made)


def read(body: bytes, object_id: str) -> Message:
    """Return the records that a message tells of; none if it tells of something else.

    What others were merged into comes before them.

    Args:
        body: The message.
        object_id: The object whose records are of concern.

    Raises:
        Malformed: It is no message, or does not name its records by UUIDs.
    """
    try:
        events = _messages.decode(body).events
    except Undecodable as error:
        raise Malformed("the body is not a message of a webhook") from error
    said = [_said(event, object_id) for event in events if event.event_type in TYPES]
    return Message(
        record_ids=tuple(dict.fromkeys(chain.from_iterable(one.record_ids for one in said))),
        gone=tuple(dict.fromkeys(chain.from_iterable(one.gone for one in said))),
    )


def _said(event: _Event, object_id: str) -> Message:
    """Return what one event says; nothing if it is of another object."""
    try:
        named = _ids.decode(event.id)
        duplicate = _duplicates.decode(event.duplicate_record_id)
    except Undecodable as error:
        raise Malformed("an event does not name its record") from error
    if named.object_id != object_id:
        return Message()
    ids = (named.record_id, duplicate) if duplicate else (named.record_id,)
    if not all(map(uuid, ids)):
        raise Malformed("an event names a record by something else than a UUID")
    return Message(record_ids=ids, gone=_gone(event.event_type, named.record_id, duplicate))


def _gone(event_type: str, record_id: str, duplicate: str | None) -> tuple[ToldGone, ...]:
    """Return who is gone by an event: who was deleted, or merged into another."""
    if event_type == "record.deleted":
        return (ToldGone(record_id=record_id),)
    if event_type == "record.merged" and duplicate and duplicate != record_id:
        return (ToldGone(record_id=duplicate, into=record_id),)
    return ()

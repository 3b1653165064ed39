"""What Attio's webhooks say, and whether it was Attio who said it. Pure.

A message is `{"webhook_id", "events": [{"event_type", "id": {"object_id", "record_id", …}, …}]}`; a merge
names a second record. Its signature is the HMAC-SHA256 of the raw body, in lowercase hexadecimal. Source of
the rules: https://docs.attio.com/rest-api/guides/webhooks
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from itertools import chain

import msgspec

from syncfsm.outside.decoding import Decoder, Undecodable
from syncfsm.outside.safe_words import uuid

TYPES = frozenset({"record.created", "record.updated", "record.deleted", "record.merged"})
"""The events that tell of a record; all others are left out."""


class Malformed(ValueError):
    """A body that is no message; the words say what is wrong, and repeat nothing of it."""


class _Event(msgspec.Struct):
    event_type: str
    id: msgspec.Raw = msgspec.Raw(b"{}")
    duplicate_record_id: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct):
    events: list[_Event]


class _Id(msgspec.Struct):
    record_id: str
    object_id: str = ""


_messages = Decoder(_Message)
_ids = Decoder(_Id)
_duplicates: Decoder[str | None] = Decoder(str | None)


def is_signed(body: bytes, signature: bytes, secrets: Iterable[str]) -> bool:
    """Whether a body was signed with one of the secrets. Takes the same time whatever the signature is."""
    made = [hmac.digest(os.fsencode(secret), body, hashlib.sha256).hex().encode() for secret in secrets]
    return any(hmac.compare_digest(one, signature) for one in made)


def read(body: bytes, object_id: str) -> tuple[str, ...]:
    """Return the records that a message tells of, each once; none if it tells of something else.

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
    named = (_records(event, object_id) for event in events if event.event_type in TYPES)
    return tuple(dict.fromkeys(chain.from_iterable(named)))


def _records(event: _Event, object_id: str) -> list[str]:
    """Return the records that one event names; none if it is of another object."""
    try:
        named = _ids.decode(event.id)
        duplicate = _duplicates.decode(event.duplicate_record_id)
    except Undecodable as error:
        raise Malformed("an event does not name its record") from error
    if named.object_id != object_id:
        return []
    ids = [named.record_id, *([duplicate] if duplicate else [])]
    if not all(map(uuid, ids)):
        raise Malformed("an event names a record by something else than a UUID")
    return ids

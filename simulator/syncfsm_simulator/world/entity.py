"""One record and its values, in the form that Attio sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

Value = dict[str, Any]
Values = dict[str, list[Value]]
Actor = dict[str, str | None]


UTF8_BYTES = "latin-1"
"""The codec of JSON that is put together as text: each character is one byte of its UTF-8.

So texts in every script are as quick to join as those in one.
"""


def text_of(value: Any) -> str:
    """Return a value as JSON, in `UTF8_BYTES`."""
    return msgspec.json.encode(value).decode(UTF8_BYTES)


def fields_text(**fields: Any) -> str:
    """Return fields as JSON, without the braces around them."""
    return text_of(fields)[1:-1]


class _Split(msgspec.Struct):
    values: dict[str, msgspec.Raw]


_SPLIT = msgspec.json.Decoder(_Split)
_HELD = msgspec.json.Decoder(list[Value])


class Entity:
    """One record: as JSON, as which most are only ever sent, and by attribute once somebody asks for one."""

    __slots__ = ("_encoded", "_held", "created_at", "record_id", "recorded_at", "web_url")

    def __init__(
        self, record_id: str, created_at: str, recorded_at: str, web_url: str, encoded: bytes
    ) -> None:
        self.record_id = record_id
        self.created_at = created_at
        self.recorded_at = recorded_at
        self.web_url = web_url
        self._encoded: bytes | None = encoded
        self._held: dict[str, msgspec.Raw] | None = None

    def _split(self) -> dict[str, msgspec.Raw]:
        """Return the JSON of each attribute's values."""
        if self._held is None:
            assert self._encoded is not None, "a record is JSON until it is split"
            self._held = _SPLIT.decode(self._encoded).values
        return self._held

    @property
    def values(self) -> Values:
        """The values of each attribute."""
        return {slug: _HELD.decode(held) for slug, held in self._split().items()}

    def encoded(self, ids: Mapping[str, str]) -> bytes:
        """Return the record as Attio sends it; `ids` are those of its workspace and object."""
        if self._encoded is None:
            record = {
                "id": {**ids, "record_id": self.record_id},
                "created_at": self.recorded_at,
                "web_url": self.web_url,
                "values": self._held,
            }
            self._encoded = msgspec.json.encode(record)
        return self._encoded

    def set(self, slug: str, values: Sequence[Value]) -> None:
        """Change an attribute."""
        self._split()[slug] = msgspec.Raw(msgspec.json.encode(values))
        self._encoded = None

    def held(self, slug: str) -> list[Value]:
        """Return the values of an attribute, those of the past too."""
        return _HELD.decode(self._split()[slug])

    def active(self, slug: str) -> list[Value]:
        """Return the values that an attribute has now, without those of the past."""
        return [value for value in self.held(slug) if value["active_until"] is None]

    def each(self, slug: str, name: str) -> Sequence[Any]:
        """Return a property of each value that an attribute has now; what never changes is at hand."""
        if slug == "created_at":
            return (self.created_at,)
        if slug == "record_id":
            return (self.record_id,)
        return [value.get(name) for value in self.active(slug)]


class Change(msgspec.Struct, frozen=True):
    """What happened to a record, as it is told to whoever watches the world.

    Attributes:
        kind: What happened.
        slug: The record's object.
        record_id: The record; of a merge, the new one.
        actor: Who did it.
        attributes: The slugs of the attributes that were updated.
        merged: The ids of the two records that a merge made one.
    """

    kind: Literal["created", "updated", "deleted", "merged"]
    slug: str
    record_id: str
    actor: Actor
    attributes: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()


def wrapped(at: str, actor: Actor, type_: str, fields: Mapping[str, Any]) -> Value:
    """Return one value in the wrapper that every value has: since when, by whom, of which type."""
    return {
        "active_from": at,
        "active_until": None,
        "created_by_actor": actor,
        **fields,
        "attribute_type": type_,
    }


def time_text(at: datetime) -> str:
    """Return a moment as Attio writes it: nanoseconds in form, milliseconds in content."""
    return at.isoformat(timespec="milliseconds")[:23] + "000000Z"

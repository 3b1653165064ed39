"""One record and its values, in the form that Attio sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

Value = dict[str, Any]
Values = dict[str, Sequence[Value]]
Actor = dict[str, str | None]


class Entity:
    """One record, with its JSON kept until it changes."""

    __slots__ = ("_encoded", "created_at", "record_id", "recorded_at", "values", "web_url")

    def __init__(
        self, record_id: str, created_at: str, recorded_at: str, web_url: str, values: Values
    ) -> None:
        self.record_id = record_id
        self.created_at = created_at
        self.recorded_at = recorded_at
        self.web_url = web_url
        self.values = values
        self._encoded: bytes | None = None

    def encoded(self, ids: Mapping[str, str]) -> bytes:
        """Return the record as Attio sends it; `ids` are those of its workspace and object."""
        if self._encoded is None:
            record = {
                "id": {**ids, "record_id": self.record_id},
                "created_at": self.recorded_at,
                "web_url": self.web_url,
                "values": self.values,
            }
            self._encoded = msgspec.json.encode(record)
        return self._encoded

    def set(self, slug: str, values: Sequence[Value]) -> None:
        """Change an attribute."""
        self.values[slug] = values
        self._encoded = None

    def active(self, slug: str) -> list[Value]:
        """Return the values that an attribute has now, without those of the past."""
        return [value for value in self.values[slug] if value["active_until"] is None]


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

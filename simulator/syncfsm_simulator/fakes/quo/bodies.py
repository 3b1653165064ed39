"""What the fake Quo accepts: our own reading of its documented limits, as types that are checked."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

RESERVED_SOURCES = {"openphone", "device", "csv", "zapier", "google-people", "other"}
RESERVED_PREFIXES = ("openphone", "csv")

ExternalId = Annotated[str, Meta(min_length=1, max_length=75)]
NewSource = Annotated[str, Meta(min_length=1, max_length=72)]
SourceUrl = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:")]


class ItemBody(msgspec.Struct):
    """An email or a phone number as sent. In a patch, `id` names an item that is there."""

    name: str
    value: str | None
    id: str | UnsetType = UNSET


class FieldsPatch(msgspec.Struct, rename="camel"):
    """The fields that a patch may change; what is unset stays."""

    first_name: str | UnsetType | None = UNSET
    last_name: str | UnsetType | None = UNSET
    company: str | UnsetType | None = UNSET
    role: str | UnsetType | None = UNSET
    emails: list[ItemBody] | UnsetType = UNSET
    phone_numbers: list[ItemBody] | UnsetType = UNSET


class NewFields(FieldsPatch, kw_only=True, rename="camel"):
    """The fields of a new contact; `firstName` must be there, and may be null."""

    first_name: str | None


class NewContact(msgspec.Struct, rename="camel"):
    """A contact to be created."""

    default_fields: NewFields
    source: NewSource = "public-api"
    source_url: SourceUrl | None = None
    external_id: ExternalId | None = None
    custom_fields: list[dict[str, Any]] = []


class ContactPatch(msgspec.Struct, rename="camel"):
    """What to change of a contact."""

    default_fields: FieldsPatch = msgspec.field(default_factory=FieldsPatch)
    source_url: SourceUrl | UnsetType | None = UNSET


class Bulk(msgspec.Struct):
    """Contacts to be created later."""

    contacts: list[NewContact]


class Refused(Exception):
    """A body is not what the API accepts; `errors` is the list of that name in its answer."""

    def __init__(self, path: str, message: str, type_: str) -> None:
        super().__init__(message)
        self.errors = [{"path": path, "message": message, "schema": {"type": type_}}]


T = TypeVar("T")


def parsed(body: bytes, type_: type[T]) -> T:
    """Return a body as its type.

    Raises:
        Refused: It does not fit, or names a source that Quo keeps for itself.
    """
    try:
        value = msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(str(error)) from error
    for contact in _contacts(value):
        if contact.source in RESERVED_SOURCES or contact.source.startswith(RESERVED_PREFIXES):
            raise Refused("/source", f"Reserved source {contact.source}", "string")
    return value


def _contacts(value: object) -> list[NewContact]:
    if isinstance(value, Bulk):
        return value.contacts
    return [value] if isinstance(value, NewContact) else []


def _refused(words: str) -> Refused:
    """Return the refusal for what the decoder says, such as "Expected `str` - at `$.source`"."""
    path = re.search(r"at `\$(.*?)`", words)
    expected = re.search(r"Expected `(\w+)", words)
    where = re.sub(r"[.\[]", "/", path.group(1)).replace("]", "") if path else ""
    return Refused(where, words, expected.group(1) if expected else "object")

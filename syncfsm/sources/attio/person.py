"""What Attio says of a person, as far as contacts are made of it, decoded once, with a row's place.

An attribute that a record does not have at all, or has with values of another type, is unset: unknown, which
is not empty.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from syncfsm.outside.decoding import Decoder, OfAnotherType
from syncfsm.sources.protocol import Record

Told: TypeAlias = str | UnsetType | None
"""A text, none, or nothing said at all."""


class HistoricValue(msgspec.Struct, gc=False):
    """One value of an attribute; all but the active ones are history."""

    active_until: str | None = None


class NameValue(HistoricValue, gc=False):
    """A personal name."""

    first_name: Told = UNSET
    last_name: Told = UNSET
    full_name: Told = UNSET


class TextValue(HistoricValue, gc=False):
    """A text."""

    value: Told = UNSET


class EmailValue(HistoricValue, gc=False):
    """An e-mail address, and as it was typed."""

    text: Told = msgspec.field(default=UNSET, name="email_address")
    original: Told = msgspec.field(default=UNSET, name="original_email_address")


class PhoneValue(HistoricValue, gc=False):
    """A phone number, and as it was typed."""

    text: Told = msgspec.field(default=UNSET, name="phone_number")
    original: Told = msgspec.field(default=UNSET, name="original_phone_number")


class ReferenceValue(HistoricValue, gc=False):
    """A record of an object, perhaps a company."""

    target_object: Told = UNSET
    target_record_id: Told = UNSET


class PersonValues(msgspec.Struct, gc=False):
    """The values of the attributes, by slug."""

    name: list[NameValue] | UnsetType = UNSET
    email_addresses: list[EmailValue] | UnsetType = UNSET
    phone_numbers: list[PhoneValue] | UnsetType = UNSET
    company: list[ReferenceValue] | UnsetType = UNSET
    job_title: list[TextValue] | UnsetType = UNSET


class Person(msgspec.Struct, gc=False):
    """A person; whoever has one does not change it."""

    values: PersonValues
    web_url: Told = UNSET


class _Loose(msgspec.Struct):
    """A person, whatever the values of the attributes are."""

    values: dict[str, msgspec.Raw]
    web_url: msgspec.Raw | UnsetType = UNSET


_people = Decoder(Person)
_loose = Decoder(_Loose)
_url = Decoder(Told)
_values: dict[str, Decoder[Any]] = {
    "name": Decoder(list[NameValue]),
    "email_addresses": Decoder(list[EmailValue]),
    "phone_numbers": Decoder(list[PhoneValue]),
    "company": Decoder(list[ReferenceValue]),
    "job_title": Decoder(list[TextValue]),
}


class PersonRecord(Record, frozen=True, kw_only=True):
    """A record of which the person was decoded with its place.

    Attributes:
        decoded: The bytes that were decoded, and the person. A record whose bytes were replaced has another.
    """

    decoded: tuple[bytes, Person]


def person_of(record: Record) -> Person:
    """Return a record's person; an attribute with values of another type is unknown.

    Raises:
        Undecodable: It is none, or not to be read as a whole.
    """
    if isinstance(record, PersonRecord) and record.decoded[0] is record.raw:
        return record.decoded[1]
    return _decoded(record.raw)


def _decoded(raw: bytes) -> Person:
    try:
        return _people.decode(raw)
    except OfAnotherType:
        loose = _loose.decode(raw)
    values = {
        slug: _typed(_values[slug], loose.values[slug]) for slug in _values.keys() & loose.values.keys()
    }
    web_url = UNSET if isinstance(loose.web_url, UnsetType) else _typed(_url, loose.web_url)
    return Person(values=PersonValues(**values), web_url=web_url)


def _typed(decoder: Decoder[Any], raw: msgspec.Raw) -> Any:
    try:
        return decoder.decode(raw)
    except OfAnotherType:
        return UNSET

"""What travels between us and Quo: the contact as it is sent, as it comes back, and what to change. No I/O.

A contact's emails and phone numbers are items, each with an id of Quo's and a label. A PATCH names items by
their ids; whether an item without an id is appended, or the whole list replaced by what is sent, is not
documented. So a patch always lists every item there is by its id, changes or removes (`value: null`) ours,
and leaves without an id only what is truly new: both ways of reading it come to the same.

Ours are the items under our labels. What somebody added in Quo under another label is kept, and a number
that is there under another label is not added a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from syncfsm.items.contact import Contact

EMAIL_LABEL = "Email"
PHONE_LABEL = "Phone"


class Item(msgspec.Struct, frozen=True):
    """An email or a phone number of a contact. An item without an id cannot be named in a patch."""

    name: str | None = None
    value: str | None = None
    id: str | None = None


class DefaultFields(msgspec.Struct, frozen=True, rename="camel"):
    """The fields that every contact has."""

    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    role: str | None = None
    emails: tuple[Item, ...] | None = None
    phone_numbers: tuple[Item, ...] | None = None


class Stored(msgspec.Struct, frozen=True, rename="camel"):
    """A contact as Quo has it; of its fields those that matter here."""

    id: str
    external_id: str | None = None
    source: str | None = None
    source_url: str | None = None
    created_at: str = ""
    default_fields: DefaultFields = DefaultFields()


class Listing(msgspec.Struct, frozen=True, rename="camel"):
    """One page of contacts."""

    data: tuple[Stored, ...]
    next_page_token: str | None = None


def said(stored: Stored) -> dict[str, Any]:
    """Return what Quo has of a person, by the fields of a contact; of emails and phone numbers, ours."""
    there = stored.default_fields
    return {
        "first_name": there.first_name,
        "last_name": there.last_name,
        "company": there.company,
        "role": there.role,
        "phone_numbers": _ours(PHONE_LABEL, there.phone_numbers or ()),
        "emails": _ours(EMAIL_LABEL, there.emails or ()),
        "source_url": stored.source_url,
    }


def kept(contact: Contact, stored: Stored) -> Contact:
    """Return the contact with what is unknown of it as Quo has it."""
    if not contact.unknown:
        return contact
    there = said(stored)
    return replace(contact, **{name: there[name] for name in contact.unknown})


def _ours(label: str, there: Sequence[Item]) -> tuple[str, ...]:
    return tuple(item.value for item in there if item.name == label and item.id and item.value is not None)


def to_create(contact: Contact) -> dict[str, Any]:
    """Return the body that creates a contact. `sourceUrl` may be left out there, but not be null."""
    fields = {
        **_names(contact),
        "emails": _new_items(EMAIL_LABEL, contact.emails),
        "phoneNumbers": _new_items(PHONE_LABEL, contact.phone_numbers),
    }
    body = {"defaultFields": fields, "source": contact.source, "externalId": contact.external_id}
    return body if contact.source_url is None else {**body, "sourceUrl": contact.source_url}


def to_patch(contact: Contact, stored: Stored) -> dict[str, Any] | None:
    """Return the body that makes what is stored the contact, or `None` if it is that already."""
    there = stored.default_fields
    emails = _items(EMAIL_LABEL, contact.emails, there.emails or ())
    phones = _items(PHONE_LABEL, contact.phone_numbers, there.phone_numbers or ())
    is_named = _names(contact) == _names(there)
    if is_named and stored.source_url == contact.source_url and not (emails.is_new or phones.is_new):
        return None
    fields = {**_names(contact), "emails": emails.sent, "phoneNumbers": phones.sent}
    return {"defaultFields": fields, "sourceUrl": contact.source_url}


def _names(fields: Contact | DefaultFields) -> dict[str, str | None]:
    return {
        "firstName": fields.first_name,
        "lastName": fields.last_name,
        "company": fields.company,
        "role": fields.role,
    }


def _new_items(label: str, values: Sequence[str]) -> list[dict[str, str | None]]:
    return [{"name": label, "value": value} for value in values]


class _Items(msgspec.Struct, frozen=True):
    """The items to send, and whether they are any news."""

    sent: list[dict[str, str | None]]
    is_new: bool


def _items(label: str, wanted: Sequence[str], there: Sequence[Item]) -> _Items:
    """Return what to send so that our items are those wanted, in their order."""
    there = [item for item in there if item.value is not None]
    ours = [item for item in there if item.name == label and item.id]
    theirs = [item for item in there if item not in ours]
    missing = _without(wanted, [item.value for item in theirs])
    kept = [{"id": item.id, "name": item.name, "value": item.value} for item in theirs if item.id]
    placed = [
        {"id": item.id, "name": label, "value": missing[place] if place < len(missing) else None}
        for place, item in enumerate(ours)
    ]
    added = _new_items(label, missing[len(ours) :])
    return _Items(sent=[*kept, *placed, *added], is_new=[item.value for item in ours] != missing)


def _without(values: Sequence[str], taken: Sequence[str | None]) -> list[str]:
    """Return the values but for those taken, each of them once."""
    left = list(values)
    for value in taken:
        if value in left:
            left.remove(value)
    return left

"""Contacts as rows of a table in PostgreSQL: what of them is written, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import FIELDS, KEYS, Contact

NAMES = (*KEYS, *FIELDS)
"""The columns that say who somebody is, in order."""

LISTS = ("phone_numbers", "emails")
"""Those of them that are a `text[]`; the others are a `text`."""

Row = tuple[Any, ...]
"""Their values in a row: a text or nothing, and lists of texts."""

Key = tuple[str, str]
"""What tells rows apart: source and external id, which is also the order in which they are locked."""


def key_of(row: Row) -> Key:
    """Return what tells a row from all others."""
    return row[1], row[0]


def by_key(items: Iterable[Contact]) -> dict[Key, Contact]:
    """Return contacts by what tells them apart; of one that comes twice, the last."""
    return {(item.source, item.external_id): item for item in items}


def to_row(contact: Contact, before: Row | None) -> Row:
    """Return the row of a contact; what is unknown of it stays as it was."""
    row = tuple(
        list(value) if isinstance(value := getattr(contact, name), tuple) else value for name in NAMES
    )
    if before is None or not contact.unknown:
        return row
    columns = zip(NAMES, before, row, strict=True)
    return tuple(old if name in contact.unknown else new for name, old, new in columns)


def said(row: Row) -> dict[str, Any]:
    """Return what a row says of a person, by column."""
    return dict(zip(FIELDS, row[len(KEYS) :], strict=True))


def to_json(rows: Iterable[Row]) -> str:
    """Return rows as the server takes them apart again: one parameter, whatever many there are."""
    return msgspec.json.encode([dict(zip(NAMES, row, strict=True)) for row in rows]).decode()


def is_sendable(text: str) -> bool:
    """Whether PostgreSQL can have a text: it has no NUL, and half a surrogate is no text at all."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def without_unsendable(contacts: Mapping[Key, Contact]) -> tuple[dict[Key, Contact], tuple[Reject, ...]]:
    """Return the contacts that can be sent to the server, and rejects for those that cannot be.

    To find that out midway would be too late: psycopg's `executemany` keeps what it has sent by then.
    """
    faulty = {key: name for key, contact in contacts.items() if (name := _faulty_field(contact))}
    rejects = (
        Reject(
            record_id=key[1],
            reason=f"its {name} holds a NUL or half a surrogate, which PostgreSQL cannot store",
        )
        for key, name in faulty.items()
    )
    return {key: contact for key, contact in contacts.items() if key not in faulty}, tuple(rejects)


def _faulty_field(contact: Contact) -> str:
    for name in NAMES:
        value = getattr(contact, name) or ()
        texts = (value,) if isinstance(value, str) else value
        if not all(map(is_sendable, texts)):
            return name
    return ""

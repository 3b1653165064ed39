"""Contacts as rows of the table `contacts`: what of them is written, and what a row says of a person."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from syncfsm.items.contact import FIELDS, KEYS, Contact

NAMES = (*KEYS, *FIELDS)
"""The columns that say who somebody is, in order."""

Stored = tuple[str | None, ...]
"""Their values in a row."""

Key = tuple[str, str]

_EMPTY = "[]"

_encoder = msgspec.json.Encoder()


def by_key(items: Iterable[Contact]) -> dict[Key, Contact]:
    """Return contacts by what tells them apart: of one that comes twice, the last."""
    return {(item.external_id, item.source): item for item in items}


def said(row: Stored) -> dict[str, str | None]:
    """Return what a row says of a person, by column; an empty list says nothing."""
    values = row[len(KEYS) :]
    return {name: None if value == _EMPTY else value for name, value in zip(FIELDS, values, strict=True)}


def to_row(contact: Contact, before: Stored | None) -> Stored:
    """Return the row of a contact; what is unknown of it stays as it was."""
    row = (
        contact.external_id,
        contact.source,
        contact.first_name,
        contact.last_name,
        contact.company,
        contact.role,
        _listed(contact.phone_numbers),
        _listed(contact.emails),
        contact.source_url,
    )
    if before is None or not contact.unknown:
        return row
    columns = zip(NAMES, before, row, strict=True)
    return tuple(old if name in contact.unknown else new for name, old, new in columns)


def _listed(texts: tuple[str, ...]) -> str:
    return _encoder.encode(texts).decode() if texts else _EMPTY

"""Lines of JSON for contacts: what stands in one, how two are told apart, and where one stands in a file."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from syncfsm.items.contact import FIELDS, KEYS, Contact
from syncfsm.outside.decoding import Decoder

_lines = Decoder(dict[str, Any])


class Line(NamedTuple):
    """The line of a contact that counts: its digest, and where it stands in the file."""

    digest: bytes
    place: int
    length: int


def to_line(contact: Contact, before: Mapping[str, Any]) -> bytes:
    """Return the line of a contact; what is unknown of it stays as it was before."""
    fields = {name: getattr(contact, name) for name in (*KEYS, *FIELDS)}
    fields |= {name: before[name] for name in contact.unknown if before.get(name)}
    return msgspec.json.encode(fields) + b"\n"


def said(line: bytes) -> dict[str, Any]:
    """Return what a line says of a person, by field.

    Raises:
        Undecodable: It is no line of a contact.
    """
    found = _lines.decode(line)
    return {name: found.get(name) for name in FIELDS}


def digest(line: bytes) -> bytes:
    """Return what tells lines apart."""
    return blake2b(line, digest_size=16).digest()

"""The attributes that contacts are made of: which there must be, and whether a workspace has them so.

A workspace may rename, archive or replace an attribute. Its records then come without the key, or with values
of another shape, and everybody would seem to have lost what it held. So a sync asks first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import quote

import msgspec

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.outside.decoding import Decoder
from syncfsm.outside.safe_words import word

if TYPE_CHECKING:
    from syncfsm.outside.http import Reply

Ask: TypeAlias = "Callable[..., Awaitable[Reply | Failure]]"
"""Asks once: a method, a path, and perhaps a body."""


class Mapped(NamedTuple):
    """What an attribute must be, and the fields of a contact that are made of it."""

    type: str
    fields: tuple[str, ...]


MAPPED: dict[str, Mapped] = {
    "name": Mapped("personal-name", ("first_name", "last_name")),
    "email_addresses": Mapped("email-address", ("emails",)),
    "phone_numbers": Mapped("phone-number", ("phone_numbers",)),
    "company": Mapped("record-reference", ("company",)),
    "job_title": Mapped("text", ("role",)),
}
"""The attributes that contacts are made of, by slug."""

_UNTELLING = frozenset({FailureKind.NOT_FOUND, FailureKind.FORBIDDEN, FailureKind.BAD_REQUEST})
"""Failures of a server that cannot tell the attributes: records are then believed as they come."""


class _Attribute(msgspec.Struct):
    api_slug: str
    type: str
    is_archived: bool = False


class _Attributes(msgspec.Struct):
    data: list[_Attribute]


_decoder = Decoder(_Attributes)


def left_alone(without: Collection[str]) -> frozenset[str]:
    """Return the attributes that somebody wants to be left alone.

    Raises:
        ConfigurationError: One of them is none that contacts are made of.
    """
    unknown = sorted(set(without) - MAPPED.keys())
    if unknown:
        raise ConfigurationError(
            f"contacts are not made of {unknown[0]!r}, so that they cannot be made without it: "
            f"there are {', '.join(MAPPED)}"
        )
    return frozenset(without)


async def misfit(ask: Ask, object_: str, wanted: Collection[str]) -> Failure | None:
    """Ask for the attributes of an object, once; return what is amiss with those that are wanted."""
    reply = await ask("GET", f"/v2/objects/{quote(object_, safe='')}/attributes")
    if isinstance(reply, Failure):
        return None if reply.kind in _UNTELLING else reply
    attributes = _decoder.decoded(reply.body)
    if attributes is None:
        words = f"Attio's answer for the attributes of {object_} is not what it promises."
        return Failure(kind=FailureKind.MALFORMED, message=words)
    amiss = dict(_amiss({attribute.api_slug: attribute for attribute in attributes.data}, wanted))
    return _refusal(object_, amiss) if amiss else None


def _amiss(found: dict[str, _Attribute], wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the attributes that are not as they must be, each with what it is instead."""
    for slug in wanted:
        attribute = found.get(slug)
        if attribute is None:
            yield slug, "is missing"
        elif attribute.is_archived:
            yield slug, "is archived"
        elif attribute.type != MAPPED[slug].type:
            yield slug, f"is of the type {word(attribute.type) or '…'}, not {MAPPED[slug].type}"


def _refusal(object_: str, amiss: dict[str, str]) -> Failure:
    words = ", ".join(f"{slug} {what}" for slug, what in amiss.items())
    flags = " ".join(f"--without {slug}" for slug in amiss)
    return Failure(
        kind=FailureKind.UNFIT,
        message=f"contacts are made of attributes that Attio's {object_} do not have so: {words}. Bring them "
        f"back, or go on without: {flags}, in code AttioPeople(source, without={_as_code(amiss)}); what the "
        "sink has of them then stays as it is.",
    )


def _as_code(amiss: dict[str, Any]) -> str:
    return "{" + ", ".join(f'"{slug}"' for slug in amiss) + "}"

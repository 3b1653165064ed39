"""The names of companies: many in one request, and what that left out, one by one.

A company that an answer does not have may be gone, or the answer may be short: that is not for its absence to
say. `GET` by id says it; only a few are asked for so, and of the rest nothing is known.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.sources.attio.attributes import Ask
from syncfsm.sources.attio.singly import is_gone
from syncfsm.sources.attio.wire import decode_row, decode_rows, is_of, to_company_name

SINGLY_MAX = 5
"""The most companies that are asked for one by one, for each page."""

_PATH = "/v2/objects/companies/records"
_REFUSED = {
    403: "The key may not read companies, whose names are looked up: let it, or go on without them",
    404: "There are no companies to look names up in: go on without them",
}
_MALFORMED = Failure(
    kind=FailureKind.MALFORMED,
    message="Attio's answer for companies is not what it promises: cut short, or of another shape.",
)

_WITHOUT = "--no-companies, in code AttioPeople(source, companies=False)"

Names = dict[str, str | None]


async def look_up(ask: Ask, record_ids: Collection[str]) -> Names | Failure:
    """Return the names of companies; one that is gone has none, one of which nothing is known is left out."""
    wanted = sorted(record_ids)
    names = await _listed(ask, wanted)
    if isinstance(names, Failure):
        return names
    for record_id in [each for each in wanted if each not in names][:SINGLY_MAX]:
        found = await _single(ask, record_id)
        if isinstance(found, Failure):
            return found
        names |= found
    return names


async def try_out(ask: Ask) -> Failure | None:
    """Return why companies cannot be looked up, if they cannot: one request."""
    reply = await ask("POST", f"{_PATH}/query", {"limit": 1, "offset": 0})
    return _told(reply) if isinstance(reply, Failure) else None


async def _listed(ask: Ask, wanted: Sequence[str]) -> Names | Failure:
    body = {"filter": {"record_id": {"$in": wanted}}, "limit": len(wanted)}
    reply = await ask("POST", f"{_PATH}/query", body)
    if isinstance(reply, Failure):
        return _told(reply)
    rows = decode_rows(reply.body)
    return _MALFORMED if rows is None else _names(rows)


async def _single(ask: Ask, record_id: str) -> Names | Failure:
    """Return the name of one company, or none for one that is said to be gone; nothing if that is unclear."""
    reply = await ask("GET", f"{_PATH}/{quote(record_id, safe='')}")
    if isinstance(reply, Failure):
        if is_gone(reply):
            return {record_id: None}
        if reply.is_retryable or reply.status != 404:
            return _told(reply)
        return {}
    row = decode_row(reply.body)
    return _names([row]) if row is not None and is_of(row, record_id) else _MALFORMED


def _names(rows: Sequence[msgspec.Raw]) -> Names:
    return dict(filter(None, map(to_company_name, rows)))


def _told(refused: Failure) -> Failure:
    """Return a refusal with the way to go on without names."""
    if refused.is_retryable or refused.status not in _REFUSED:
        return refused
    return replace(refused, message=f"{refused.message} {_REFUSED[refused.status]}: {_WITHOUT}.")

"""Records that a list left out, each asked for by itself: `GET /v2/objects/{object}/records/{id}`.

A query answers from an index, which may lag behind what a webhook has told, and says nothing of a record by
leaving it out. A GET does: the record, or a 404 with a code. `not_found` says that there is none such;
`merge_in_progress` that it is not readable yet. Any other answer is a failure, a 404 from elsewhere too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import msgspec

from syncfsm.core.failure import Failure
from syncfsm.core.paging.pages import PageRequest
from syncfsm.sources.attio.wire import decode_row, to_record
from syncfsm.sources.protocol import Page

if TYPE_CHECKING:
    from syncfsm.outside.http import Reply

NOT_THERE = 404
NOT_FOUND = "not_found"
MERGING = "merge_in_progress"

Ask = Callable[[str, str], Awaitable["Reply | Failure"]]
"""Makes a request by its method and path."""


class Singly(NamedTuple):
    """What came of records each asked for by itself: the rows of some, and the ids of those that are not."""

    rows: tuple[msgspec.Raw, ...]
    not_found: tuple[str, ...]


async def with_single_records(
    page: Page | Failure, request: PageRequest, ask: Ask, object_: str
) -> Page | Failure:
    """Return a page of listed records with those besides that it left out, where those are few enough.

    Where a row came without an id, nobody knows which were left out.
    """
    if isinstance(page, Failure):
        return page
    came = {record.id for record in page.records}
    absent = [record_id for record_id in request.record_ids if record_id not in came]
    if "" in came or not 0 < len(absent) <= request.singly_max:
        return page
    singly = await _ask_singly(ask, object_, absent)
    if isinstance(singly, Failure):
        return singly
    more = (to_record(row, request.order, request.changed_by) for row in singly.rows)
    return msgspec.structs.replace(page, records=(*page.records, *more), not_found=singly.not_found)


async def _ask_singly(ask: Ask, object_: str, record_ids: Iterable[str]) -> Singly | Failure:
    """Ask for each of these records by itself, one after the other; return the first failure instead."""
    rows: list[msgspec.Raw] = []
    not_found: list[str] = []
    for record_id in record_ids:
        reply = await ask("GET", f"/v2/objects/{quote(object_, safe='')}/records/{quote(record_id, safe='')}")
        if not isinstance(reply, Failure):
            row = decode_row(reply.body)  # one that cannot be read says nothing of it, and is asked for again
            rows += [row] if row is not None else []
        elif is_gone(reply):
            not_found.append(record_id)
        elif reply.code != MERGING or reply.status != NOT_THERE:
            return reply
    return Singly(rows=tuple(rows), not_found=tuple(not_found))


def is_gone(refusal: Failure) -> bool:
    """Whether a refusal is the statement that a record is gone: a 404 that says so, or a captured one."""
    return refusal.code == NOT_FOUND and refusal.status in {NOT_THERE, None}

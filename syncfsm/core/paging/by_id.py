"""Pages of records asked for by their ids: what webhooks told of, what is missing, rejects again. No I/O.

Offsets count in the list, which ends where it ends. What it means that a record does not come depends on why
it was asked for. A retry was to deliver it, so there it is a reject again. No page of a whole sync had it and
it does not come by its id either: it is gone. Where webhooks told of it, see `told.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from syncfsm.core.paging.pages import PageRequest, PageRule, Row, Taken, Unasked
from syncfsm.core.paging.place import Paging, Reject
from syncfsm.core.paging.told import gone_of

GONE = "the source has no such record any more"
NAMELESS = "it came without an id, or the source has no such record any more"
NOT_YET = "a webhook told of it and the source did not have it, however often it was asked: left as it is"
"""Why a record that was asked for by its id is rejected when it does not come."""


def plan_listed(paging: Paging, rule: PageRule) -> PageRequest:
    """Return the request for the next records of the list.

    A source that may cut pages in silence is asked for one at a time: what it cut would seem to be gone.
    """
    size = 1 if rule.confirm_end else rule.page_size
    record_ids = rule.record_ids[paging.offset : paging.offset + size]
    return PageRequest(
        cursor=paging.cursor,
        offset=paging.offset,
        limit=len(record_ids),
        order=rule.order,
        record_ids=record_ids,
        singly_max=rule.singly_max,
    )


def accept_listed(
    request: PageRequest, rows: Sequence[Row], rule: PageRule, not_found: Collection[str] | None = None
) -> Taken | Unasked:
    """Take the rows that came, in the order of the list; the others are gone, asked for again, or rejected.

    Where a row came without an id, nobody knows which of the others it is, so all of them are rejected.
    `not_found` are those of which the source itself says that there are none such, if it says so of any.
    """
    wanted = frozenset(request.record_ids)
    for row in rows:
        if row.id and row.id not in wanted:
            return Unasked(found=row.id)
    sound = {row.id for row in rows if not row.problem}
    problems = {row.id: row.problem for row in rows}
    missing = wanted - problems.keys()
    gone: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    reason = NAMELESS
    if all(row.id for row in rows):
        gone = _gone(missing, problems.keys(), rule, not_found)
        absent = missing - gone if rule.told and not rule.told.is_last else absent
        reason = NOT_YET if rule.told else GONE
    end = request.offset + len(request.record_ids)
    has_more = end < len(rule.record_ids)
    return Taken(
        record_ids=tuple(record_id for record_id in request.record_ids if record_id in sound),
        malformed=tuple(
            Reject(record_id=record_id, reason=problems.get(record_id, reason))
            for record_id in request.record_ids
            if record_id not in sound and record_id not in gone and record_id not in absent
        ),
        frontier=None,
        peek=None,
        has_more=has_more,
        next_cursor=end if has_more else None,
        margin=0,
        shift=0,
        gone=tuple(record_id for record_id in request.record_ids if record_id in gone),
        absent=tuple(record_id for record_id in request.record_ids if record_id in absent),
    )


def _gone(
    missing: frozenset[str], came: Collection[str], rule: PageRule, not_found: Collection[str] | None
) -> frozenset[str]:
    """Return which of the records that did not come are gone for the sink, too."""
    if rule.told is not None:
        return gone_of(missing, came, rule.told, not_found)
    return missing if rule.deletes_gone else frozenset()

"""Pages of records asked for by their ids: those that webhooks told of, and rejects sent again. No I/O.

Offsets count in the list, which ends where it ends; a record that does not come is gone from the source.
Where webhooks told of it, the sink deletes it; a retry was to deliver it, so there it is a reject again.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncfsm.core.paging.pages import PageRequest, PageRule, Row, Taken, Unasked
from syncfsm.core.paging.place import Paging, Reject

GONE = "the source has no such record any more"
NAMELESS = "it came without an id, or the source has no such record any more"
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
    )


def accept_listed(request: PageRequest, rows: Sequence[Row], rule: PageRule) -> Taken | Unasked:
    """Take the rows that came, in the order of the list; the other records of the list are gone, or rejected.

    Where a row came without an id, nobody knows which of the others it is, so none of them counts as gone.
    """
    wanted = frozenset(request.record_ids)
    for row in rows:
        if row.id and row.id not in wanted:
            return Unasked(found=row.id)
    sound = {row.id for row in rows if not row.problem}
    problems = {row.id: row.problem for row in rows}
    is_clear = all(row.id for row in rows)
    missing = GONE if is_clear else NAMELESS
    gone = wanted - problems.keys() if rule.deletes_gone and is_clear else frozenset()
    end = request.offset + len(request.record_ids)
    has_more = end < len(rule.record_ids)
    return Taken(
        record_ids=tuple(record_id for record_id in request.record_ids if record_id in sound),
        malformed=tuple(
            Reject(record_id=record_id, reason=problems.get(record_id, missing))
            for record_id in request.record_ids
            if record_id not in sound and record_id not in gone
        ),
        frontier=None,
        peek=None,
        has_more=has_more,
        next_cursor=end if has_more else None,
        margin=0,
        shift=0,
        gone=tuple(record_id for record_id in request.record_ids if record_id in gone),
    )

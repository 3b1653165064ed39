"""What it means that a record of which a webhook told does not come. No I/O.

It depends on what was told. Of a record that was created or changed, or that others were merged into, it
means "not yet": an index lags behind, a merge is still applied. Only one that was said to be gone is gone,
and only if the source, asked for that record by itself, says so too; where it was asked for so many that none
was asked for by itself, the list that left it out has to do. Records that were merged go after the one that
they became, so that nobody is missing in between.
"""

from __future__ import annotations

from collections.abc import Collection

from syncfsm.core.paging.pages import Told


def gone_of(
    missing: Collection[str], came: Collection[str], told: Told, not_found: Collection[str] | None
) -> frozenset[str]:
    """Return which of the records that did not come are gone.

    Args:
        missing: Those that did not come with a page.
        came: Those that did.
        told: What webhooks said.
        not_found: Those of which the source itself says that there are none such; null if it said nothing.
    """
    confirmed = frozenset(missing if not_found is None else not_found) & frozenset(missing)
    if told.may_be_gone is None:
        return frozenset() if not_found is None else confirmed
    into = _into(told)
    gone = frozenset(record_id for record_id in confirmed if into.get(record_id) == "")
    waits = (frozenset(missing) | told.unsettled) - frozenset(came)
    while True:
        more = {id_ for id_ in confirmed - gone if id_ in into and into[id_] not in waits - gone}
        if not more:
            return gone
        gone |= more


def _into(told: Told) -> dict[str, str]:
    """Return what each record that may be gone became; of one told of twice, what is more than nothing."""
    into: dict[str, str] = {}
    for one in told.may_be_gone or ():
        into[one.record_id] = into.get(one.record_id) or one.into
    return into

"""Which pages will be asked for after the next one, if nothing moves: what reading ahead goes by. No I/O.

Offsets are arithmetic, so that later pages are known before earlier ones have come. Where rows do move, what
was foreseen is not what is asked for, and nothing comes of it but requests that were made for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from syncfsm.core.paging.offsets import plan
from syncfsm.core.paging.pages import PageRequest, PageRule
from syncfsm.core.paging.place import Paging

_ANY = "the row that will come"


def following(
    paging: Paging, rule: PageRule, *, total: int | None = None, count: int
) -> tuple[PageRequest, ...]:
    """Return up to `count` requests that follow the one that is due, in order.

    There are none while the sync steps back or ties come in no fixed order, which makes the next request
    depend on what comes; none where it looks behind the end for a row that has come; none by cursors, and
    none for records asked for by their ids.

    Args:
        paging: Where the sync stands.
        rule: How its pages are asked for.
        total: The rows that there are, if the source says so.
        count: The most requests.
    """
    is_at_end = paging.offset > 0 and paging.peek is None and rule.page_size < rule.limit_max
    is_open = paging.is_total and not paging.step_back and not is_at_end
    if not is_open or rule.record_ids or rule.pagination == "cursor":
        return ()
    return tuple(islice(_following(paging, rule, total), count))


def _following(paging: Paging, rule: PageRule, total: int | None) -> Iterator[PageRequest]:
    request = plan(paging, rule)
    while paging.has_more:
        paging = _after_full_page(paging, request, rule)
        if total is not None and paging.offset >= total:
            return
        request = plan(paging, rule)
        yield request


def _after_full_page(paging: Paging, request: PageRequest, rule: PageRule) -> Paging:
    """Return where a page leads to that has all rows asked for, with none gone or come before it."""
    fresh = request.offset + request.limit - paging.offset
    taken = min(rule.page_size, fresh)
    return replace(
        paging,
        offset=paging.offset + taken,
        peek=_ANY if fresh > taken else None,
        margin=max(0, paging.margin - 1),
        has_more=taken > 0,
    )

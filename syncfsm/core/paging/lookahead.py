"""Reading ahead: which rows to ask for before they are due, and which pages cover a place. No I/O.

Offsets are arithmetic, so that later pages are known before earlier ones have come. Rows may move meanwhile.
A page that was asked for early is as good as the one that is due, as long as it is anchored and has a row
that is new: the page rule does not ask why a page began where it did. So what rows that move cost is a few
rows more with each request, by which the next pages begin earlier than they would have to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from syncfsm.core.options import Order
from syncfsm.core.paging.offsets import first_placed, is_anchored, plan, tied
from syncfsm.core.paging.pages import PageRequest, PageRule, Row
from syncfsm.core.paging.place import Paging
from syncfsm.core.paging.rows import is_seen
from syncfsm.core.paging.windows import window_past
from syncfsm.core.value import Value


class Lookahead(Value, frozen=True):
    """Where a sync stands, for whoever asks for pages before they are due.

    Attributes:
        paging: Its place among the pages.
        rule: How its pages are asked for.
        total: The rows that there are, if the source says so.
    """

    paging: Paging
    rule: PageRule
    total: int | None = None

    @property
    def due(self) -> PageRequest:
        """The request that is due."""
        return plan(self.paging, self.rule)

    @property
    def is_open(self) -> bool:
        """Whether pages that were asked for early are of use: not while it steps back."""
        return not self.paging.step_back

    @property
    def looks_for_end(self) -> bool:
        """Whether nothing is known to follow the last row taken: there may be none."""
        paging = self.paging
        return paging.offset > 0 and paging.peek is None and self.rule.page_size < self.rule.limit_max

    def is_behind_end(self, place: int) -> bool:
        """Whether nothing can be at a place, by what the source says of how many rows there are."""
        return self.total is not None and place >= self.total

    def seen_in(self, request: PageRequest, rows: Sequence[Row]) -> int | None:
        """Return how many rows of a page were taken before; `None` if others may lie before them.

        A page with as many rows as that has nothing new.
        """
        if not is_anchored(self.paging, request, first_placed(rows), self.rule):
            return None
        frontier, rule = self.paging.frontier, self.rule
        unseen = (
            index for index, row in enumerate(rows) if row.id and row.key and not is_seen(row, frontier, rule)
        )
        return next(unseen, len(rows))

    def key_to_begin_with(self, orders: Collection[Order]) -> str | None:
        """Return the key that a request can leave everything out before, if it can in one of these orders."""
        frontier = self.paging.frontier
        return frontier.key if frontier and self.rule.order in orders and self.is_open else None

    @property
    def tied(self) -> int:
        """How many rows taken share the frontier's key."""
        return tied(self.paging.frontier)

    def window(self, first: int, place: int, from_key: str | None = None) -> PageRequest:
        """Return the request for the rows from `first` on, to a whole page and a peek behind `place`.

        It begins later than at `first` where it would not reach past `place` else. Both are offsets, in the
        rows from a key on, if there is one; a place before all rows is the first.
        """
        place = max(0, place)
        back_max = self.rule.limit_max // 2
        offset, limit = window_past(place, min(max(0, place - first), back_max), 1, self.rule)
        return replace(self.due, offset=offset, limit=limit, from_key=from_key)

    def first_from(self, key: str) -> PageRequest:
        """Return the request for the rows from the frontier's key on: from the first, as many as may be.

        Nothing unseen lies before them, whatever has gone of those that share the key.
        """
        limit = min(self.rule.limit_max, self.tied + self.rule.page_size + 1)
        return replace(self.due, offset=0, limit=limit, from_key=key)

    def offset_after(self, request: PageRequest, place: float) -> float:
        """Return where the page after one begins that is taken from an offset on, if nothing moves.

        It begins with the peek, or with the last row taken, where there is no room for a peek.
        """
        return min(place + self.rule.page_size, request.offset + request.limit - 1)

"""How rows move while pages are asked for ahead: what it costs to begin each page early enough. No I/O.

Each page that is used shows how many rows have gone from before the place since the first; fewer than none
have if rows came. What is asked for next begins where the place will be if that goes on, and a margin
earlier: twice as much as was last foreseen wrongly, less and less while nothing is.

Places are counted in rows as they were when the first page came, so that pages asked for at different moments
can be compared.
"""

from __future__ import annotations

from msgspec.structs import replace

from syncfsm.core.value import Value

WEIGHT = 0.1
"""How much the last page counts, in how many rows go with each request."""

DECAY = 0.98
"""What is left of the margin after each page that needed none of it."""

MARGIN_MIN = 4
"""Rows, once a page has begun too late."""

MARGIN_MAX = 250
"""Rows; half of what most sources give for one request."""

FORESEEN_MAX = 250
"""Rows that are believed to go while a page is on its way: many that go at once need not go on doing so."""


class Drift(Value, frozen=True):
    """How many rows have gone from before the place, as far as pages have shown.

    Attributes:
        number: The number of the request whose page was used last.
        gone: How many had gone by then.
        per_request: How many go from one request to the next.
        margin: Rows before the place to ask for as well.
    """

    number: int = 0
    gone: int = 0
    per_request: float = 0.0
    margin: float = 0.0

    def at(self, number: int) -> float:
        """Return how many will have gone by a request."""
        going = self.per_request * (number - self.number)
        return self.gone + max(-FORESEEN_MAX, min(going, FORESEEN_MAX))

    def shown(self, number: int, gone: int) -> Drift:
        """Return what is known once the page of a request has shown how many had gone by then."""
        missed = abs(gone - self.at(number))
        margin = min(max(DECAY * self.margin, 2 * missed), MARGIN_MAX)
        if number == self.number:
            return replace(self, margin=margin)
        rate = (gone - self.gone) / (number - self.number)
        per_request = self.per_request + WEIGHT * (rate - self.per_request)
        return Drift(number=number, gone=gone, per_request=per_request, margin=margin)

    def missed(self) -> Drift:
        """Return what is known once a page began too late: the margin was too small."""
        return replace(self, margin=min(max(MARGIN_MIN, 2 * self.margin), MARGIN_MAX))

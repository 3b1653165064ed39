"""What offsets are counted from: the first row of all, or the one that some key begins with. No I/O.

A server's cost of an offset grows with it, and some servers refuse one that is large. Where a source can
leave out what lies before a key, offsets are counted from the frontier's key instead, and are small again.
Rows of that key come first, and some of them were taken.

To compare pages of either kind, places are counted in rows that were taken.
"""

from __future__ import annotations

from msgspec.structs import replace

from syncfsm.core.paging.drift import Drift
from syncfsm.core.value import Value


class Base(Value, frozen=True):
    """Where offsets begin, and how the rows behind that move.

    Attributes:
        from_key: The key that the rows begin with; null for all rows.
        origin: The place of the first of them.
        drift: How they move.
    """

    from_key: str | None = None
    origin: int = 0
    drift: Drift = Drift()

    def place_of(self, offset: float, number: int) -> float:
        """Return the place that lies at an offset by the time of a request."""
        return self.origin + offset + self.drift.at(number)

    def offset_of(self, place: float, number: int) -> float:
        """Return the offset at which a place lies by the time of a request."""
        return place - self.origin - self.drift.at(number)

    def used(self, offset: int) -> int:
        """Return the place that lies at an offset of the page that was used last."""
        return self.origin + offset + self.drift.gone

    def shown(self, number: int, place: int, offset: int) -> Base:
        """Return what is known once the page of a request has shown at which offset a place lay by then."""
        return replace(self, drift=self.drift.shown(number, place - self.origin - offset))

    def missed(self) -> Base:
        """Return what is known once a page began too late."""
        return replace(self, drift=self.drift.missed())

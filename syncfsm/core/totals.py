"""The counts of a whole sync."""

from __future__ import annotations

from syncfsm.core.value import Value


class Totals(Value, frozen=True):
    """What a sync did, in records; `fetched` is `created + updated + unchanged + deleted + rejected`."""

    pages: int
    fetched: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    deleted: int = 0

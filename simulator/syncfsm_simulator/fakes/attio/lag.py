"""What has happened and is not to be seen yet: merges that are still applied, an index that lags behind.

Webhooks tell of both at once. A record that two are being merged into is in no query, and a GET of it says
so; one that was created or changed is not in the index of queries for a while, and a GET has it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from syncfsm.outside.clock import Clock
from syncfsm_simulator.world.entity import Change
from syncfsm_simulator.world.world import World


class Lag:
    """Tells what cannot be read yet.

    Args:
        world: What happens.
        clock: Time.
        merge_s: How long a merge takes.
        index_lag_s: How far the index of queries is behind.
    """

    def __init__(self, world: World, clock: Clock, *, merge_s: float, index_lag_s: float) -> None:
        self._clock = clock
        self._merge = timedelta(seconds=merge_s)
        self._index = timedelta(seconds=index_lag_s)
        self._merged: dict[str, datetime] = {}
        self._indexed: dict[str, datetime] = {}
        if merge_s or index_lag_s:
            world.watch(self._note)

    @property
    def is_merging_slow(self) -> bool:
        """Whether merges take any time."""
        return bool(self._merge)

    def is_merging(self, record_id: str) -> bool:
        """Whether a record is one that others are still merged into."""
        now = self._clock.now()
        return now < self._merged.get(record_id, now)

    def unindexed(self) -> frozenset[str]:
        """Return the records that no query has yet."""
        now = self._clock.now()
        self._merged = _to_come(self._merged, now)
        self._indexed = _to_come(self._indexed, now)
        return frozenset((*self._merged, *self._indexed))

    def _note(self, change: Change) -> None:
        now = self._clock.now()
        if change.kind == "merged":
            self._merged[change.record_id] = now + self._merge
        elif change.kind != "deleted":
            self._indexed[change.record_id] = now + self._index


def _to_come(until: dict[str, datetime], now: datetime) -> dict[str, datetime]:
    return {record_id: at for record_id, at in until.items() if now < at}

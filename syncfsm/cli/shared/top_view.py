"""Running syncs as somebody sees them who looks now: how fast, how long ago, waiting for what. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from syncfsm.core.backoff import left_s
from syncfsm.core.process import Process
from syncfsm.core.value import Value

PACE_S = 10.0
"""How far back a pace looks."""


_CLOCKS_DISAGREE = timedelta(minutes=1)
"""By how much the clocks of two machines may be apart; by more than that, one of them was set back."""


class Sight(Value, frozen=True):
    """One process at one moment.

    Attributes:
        process: Its state.
        records_per_s: Records taken over the last `PACE_S` seconds, if it was watched; else on average.
        waiting_s: How long it still waits; null if it does not.
        waiting_for: What for: the cause of the last failure.
        last_event_age_s: How long ago its last event was.
        lag_s: How old the watermark of the last complete sync of the same object into the same sink is: what
            was there by then is delivered. Null if there was none.
        worker: Who of the workers on one log is on it; null if none is, as on every log in a file.
    """

    process: Process
    records_per_s: float
    waiting_s: float | None
    waiting_for: str | None
    last_event_age_s: float
    lag_s: float | None
    worker: str | None = None


class Pace:
    """Knows how many records each process had when it was looked at, for `PACE_S` seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[datetime, int]]] = {}

    def of(self, process: Process, now: datetime) -> float:
        """Return records/s since the oldest look that is remembered; on average if there is none."""
        seen = self._seen.setdefault(process.id, deque())
        seen.append((now, process.progress.fetched))
        while (now - seen[0][0]).total_seconds() > PACE_S:
            seen.popleft()
        then, fetched = seen[0]
        elapsed_s = (now - then).total_seconds()
        if elapsed_s <= 0 or not process.is_active:
            return process.records_per_s
        return (process.progress.fetched - fetched) / elapsed_s

    def forget_others(self, processes: Iterable[Process]) -> None:
        """Forget all processes but these."""
        kept = {process.id for process in processes}
        self._seen = {process_id: seen for process_id, seen in self._seen.items() if process_id in kept}


def sight(
    process: Process,
    now: datetime,
    *,
    pace: Pace,
    last_sync_at: datetime | None,
    worker: str | None = None,
) -> Sight:
    """Return how a process looks `now`.

    Args:
        process: Its state.
        now: The present moment, UTC.
        pace: What is remembered of earlier looks.
        last_sync_at: The watermark of the last complete sync into the same sink, if there was one.
        worker: Who is on it, if that is known.
    """
    retry = process.retry if process.is_active else None
    is_set_back = process.updated_at - now > _CLOCKS_DISAGREE
    decided_at = process.updated_at if is_set_back else now
    waiting_s = left_s(retry.retry_at, decided_at, now) if retry else 0.0
    is_waiting = retry is not None and waiting_s > 0
    return Sight(
        process=process,
        records_per_s=pace.of(process, now),
        waiting_s=waiting_s if is_waiting else None,
        waiting_for=retry.cause if retry and is_waiting else None,
        last_event_age_s=_age_s(process.updated_at, now),
        lag_s=None if last_sync_at is None else _age_s(last_sync_at, now),
        worker=worker,
    )


def _age_s(then: datetime, now: datetime) -> float:
    """Return the time since `then`, 0 if the clocks of two machines disagree."""
    return max(0.0, (now - then).total_seconds())


def span_words(seconds: float) -> str:
    """Return a span of time in one unit: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    for unit_s, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:,.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"

"""What must hold of time: no wait too short or too long, no request too long, nothing of a moment to come.

Of waits, what was decided before each request is followed through a run. As long as the clock is not set, the
moment that was recorded tells. When it was, what the engine slept does; an engine that only found a wait in
the log may go by the time of day as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from syncfsm.core import events as e
from syncfsm.core.backoff import RETRY_AFTER_JITTER_S
from syncfsm_simulator.stage.come_again import IMPATIENT
from syncfsm_simulator.stage.network import Asked

if TYPE_CHECKING:
    from syncfsm_simulator.runs.invariants import Run

SLEEP_S_MAX = 1.0
"""The longest sleep that needs no decision: that of a rate limit."""

NO_TIME_S = 1e-3
"""What is no difference between two times."""


class Decided(msgspec.Struct):
    """A wait that is to come before the next request.

    Attributes:
        retry_at: When it is over, by the engine's clock.
        wait_s: How long it is.
        engine: The engine that decided it; null where another is to keep to it.
        jumps: How often the clock had been set then.
    """

    retry_at: datetime
    wait_s: float
    engine: int | None
    jumps: int

    def is_broken_by(self, asked: Asked) -> bool:
        """Whether a request comes before it is over."""
        is_early = asked.at < self.retry_at
        if asked.jumps == self.jumps:
            return is_early
        is_short = sum(asked.slept) < self.wait_s - NO_TIME_S
        return is_short and (is_early or asked.engine == self.engine)


def decided_waits(timeline: Sequence[Asked | e.Recorded]) -> Iterator[tuple[Asked, Decided | None]]:
    """Yield every request with the wait that was to come before it."""
    decided: Decided | None = None
    last: Asked | None = None
    for entry in timeline:
        if isinstance(entry, Asked):
            yield entry, decided
            decided, last = None, entry  # the action has begun
        else:
            decided = _after(entry, decided, last)


def _after(recorded: e.Recorded, decided: Decided | None, last: Asked | None) -> Decided | None:
    engine, jumps = (last.engine, last.jumps) if last else (0, 0)
    event = recorded.event
    if isinstance(event, e.RetryScheduled):
        return Decided(event.retry_at, event.wait_s, engine, jumps)
    if isinstance(event, e.SyncFailed) and event.retry_at is not None:
        return Decided(event.retry_at, _wait_s(recorded), None, jumps)
    return decided if isinstance(event, e.SyncResumed) and event.why != IMPATIENT else None


def _wait_s(recorded: e.Recorded) -> float:
    """Return how long a wait an event decides; 0 if none."""
    event = recorded.event
    if isinstance(event, e.RetryScheduled):
        return event.wait_s
    decides = isinstance(event, e.SyncFailed | e.SyncResumed) and event.retry_at is not None
    return (event.retry_at - recorded.at).total_seconds() if decides else 0.0  # type: ignore[union-attr, operator]


def retries_wait(run: Run) -> str | None:
    """Nothing is asked before a wait is over that was scheduled, or that a source asked for."""
    for asked, decided in decided_waits(run.timeline):
        if decided is not None and decided.is_broken_by(asked):
            return f"asked at {asked.at}, though {decided.retry_at} was scheduled"
    return None


def servers_are_heeded(run: Run) -> str | None:
    """No server is asked before it said that it may be."""
    for entry in run.timeline:
        if isinstance(entry, Asked) and entry.not_before is not None:
            early_s = (entry.not_before - entry.true_at).total_seconds()
            if early_s > NO_TIME_S:
                return f"asked at {entry.true_at}, {early_s:.3f} s before the server may be"
    return None


def sleeps_are_decided(run: Run) -> str | None:
    """Nobody sleeps longer than was decided, whatever becomes of the clock."""
    waits_s: list[float] = []
    is_asked = False
    for entry in run.timeline:
        if isinstance(entry, e.Recorded):
            # Several may be for a sink, which is not asked here; one may be waited for twice, by another
            # engine whose clock was set back.
            waits_s = [*([] if is_asked else waits_s), _wait_s(entry)]
        elif entry.slept and max(entry.slept) > max(SLEEP_S_MAX, *waits_s, 0.0) + NO_TIME_S:
            return f"before the request at {entry.at} somebody slept for {max(entry.slept):.3f} s"
        is_asked = isinstance(entry, Asked)
    return None


def watermarks_are_past(run: Run) -> str | None:
    """No watermark lies ahead of the server's time: whoever comes until then would be left out."""
    ahead = timedelta(seconds=1)  # as exact as a date is
    for record in run.recorded():
        event = record.event
        if isinstance(event, e.PageFetched) and event.as_of > run.ended_at + ahead:
            return f"a page is of {event.as_of}, and the run ended at {run.ended_at}"
    return None


def requests_are_bounded(run: Run) -> str | None:
    """No page takes longer than a request and its repetition may, and a while for the rate limit."""
    for history in run.histories:
        for moment in history:
            event, options = moment.recorded.event, moment.after.options
            longest_s = 2 * options.request_s_max + SLEEP_S_MAX * run.scenario.read_ahead
            if isinstance(event, e.PageFetched) and event.elapsed_ms > longest_s * 1000:
                return f"version {moment.recorded.version} took {event.elapsed_ms / 1000:.0f} s"
    return None


def waits_are_bounded(run: Run) -> str | None:
    """No wait is longer than `wait_s_max`, and their sum stays within `waiting_s_max`."""
    for history in run.histories:
        for moment in history:
            event, after, options = moment.recorded.event, moment.after, moment.after.options
            waited_s = after.progress.waited_s - after.budget_from.waited_s
            if (
                isinstance(event, e.RetryScheduled)
                and event.wait_s > options.wait_s_max + RETRY_AFTER_JITTER_S
            ):
                return f"version {moment.recorded.version} waits {event.wait_s} s"
            if waited_s > options.waiting_s_max:
                return f"version {moment.recorded.version} has waited {waited_s} s in all"
    return None


def rate_is_kept(run: Run) -> str | None:
    """The API's rate limit is kept, whatever a second begins with."""
    asked = [entry.true_at for entry in run.timeline if isinstance(entry, Asked)]
    window = timedelta(seconds=1)
    for first, last in zip(asked, asked[run.scenario.reads_per_s :], strict=False):
        if last - first < window:
            return f"more than {run.scenario.reads_per_s} requests in the second from {first}"
    return None

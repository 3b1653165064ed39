"""Where the time of a process went, second by second: every gap between two events is accounted for."""

from __future__ import annotations

from typing import assert_never

from syncfsm.core import events as e
from syncfsm.core.value import Value
from syncfsm.history.replay import Moment

ATTEMPT_S_MAX = 300.0
"""No event says how long a check or a failed attempt took; more than some timeouts, and nobody was on it."""


class Spent(Value, frozen=True):
    """The time from the first event to the last, in seconds; the parts add up to `total_s`.

    Attributes:
        total_s: All of it.
        checking_s: Until the checks of source and sink were passed.
        fetching_s: Requests for pages that were answered.
        delivering_s: Pages transformed and given to the sink.
        rate_limited_s: Waits because the source asked for patience.
        retrying_s: Waits after other failures.
        failing_s: Attempts that failed, until they did.
        stopped_s: Between a failure for good and its resume.
        idle_s: Nothing was recorded, and none of the above: no worker was on it.
    """

    total_s: float = 0.0
    checking_s: float = 0.0
    fetching_s: float = 0.0
    delivering_s: float = 0.0
    rate_limited_s: float = 0.0
    retrying_s: float = 0.0
    failing_s: float = 0.0
    stopped_s: float = 0.0
    idle_s: float = 0.0


class Spending:
    """Adds up where time goes, step by step.

    Attributes:
        longest_idle: The longest time without any event or reason: its version, and seconds.
        slowest_page: The page whose request took longest: its version, and seconds.
    """

    def __init__(self) -> None:
        self.longest_idle: tuple[int, float] | None = None
        self.slowest_page: tuple[int, float] | None = None
        self._spent = dict.fromkeys(Spent.__struct_fields__, 0.0)

    @property
    def spent(self) -> Spent:
        """What it came to."""
        return Spent(**self._spent)

    def add(self, before: e.Recorded | None, moment: Moment) -> None:
        """Account for the time between an event and the one before it."""
        gap_s = max(0.0, moment.since_s)
        self._spent["total_s"] += gap_s
        if isinstance(moment.recorded.event, e.PageFetched):
            took = (moment.recorded.version, moment.recorded.event.elapsed_ms / 1000)
            self.slowest_page = _longer(self.slowest_page, took)
        if before is None:
            return
        left_s = self._spend(*_waited(before), gap_s)
        left_s = self._spend(*_worked(moment), left_s)
        if left_s:
            self.longest_idle = _longer(self.longest_idle, (moment.recorded.version, left_s))
            self._spent["idle_s"] += left_s

    def _spend(self, on: str, at_most_s: float, gap_s: float) -> float:
        """Spend up to so much of a gap on something; return what is left of it."""
        part_s = min(gap_s, at_most_s)
        self._spent[on] += part_s
        return gap_s - part_s


def _waited(before: e.Recorded) -> tuple[str, float]:
    """Return what the time after an event was first spent on, and for how long at most."""
    match before.event:
        case e.RetryScheduled(cause="rate_limited", wait_s=wait_s):
            return "rate_limited_s", wait_s
        case e.RetryScheduled(wait_s=wait_s):
            return "retrying_s", wait_s
        case e.SyncFailed():
            return "stopped_s", float("inf")
        case (
            e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound() | e.PageFetched() | e.MissingFound()
            | e.PageDelivered() | e.RecordRejected() | e.PagesShifted() | e.SyncCompleted()
            | e.SyncCancelled() | e.SyncResumed()
        ):  # fmt: skip
            return "idle_s", 0.0
        case _:
            assert_never(before.event)


def _worked(moment: Moment) -> tuple[str, float]:
    """Return what the time before an event was last spent on, and for how long at most."""
    match moment.recorded.event:
        case e.PageFetched(elapsed_ms=elapsed_ms) | e.PagesShifted(elapsed_ms=elapsed_ms):
            return "fetching_s", _rounded_up_s(elapsed_ms)
        case e.PageDelivered(elapsed_ms=elapsed_ms):
            return "delivering_s", _rounded_up_s(elapsed_ms)
        case e.RecordRejected():
            return "delivering_s", float("inf")
        case e.FetchingBegan() | e.NothingNewFound():
            return "checking_s", ATTEMPT_S_MAX
        case e.RetryScheduled() | e.SyncFailed():
            return "failing_s", ATTEMPT_S_MAX
        case (
            e.SyncStarted() | e.MissingFound() | e.SyncCompleted() | e.SyncCancelled() | e.SyncResumed()
        ):  # fmt: skip
            return "idle_s", 0.0
        case _:
            assert_never(moment.recorded.event)


def _rounded_up_s(elapsed_ms: int) -> float:
    """Return seconds such that rounding to whole milliseconds leaves no crumbs of idle time."""
    return (elapsed_ms + 1) / 1000


def _longer(one: tuple[int, float] | None, two: tuple[int, float]) -> tuple[int, float]:
    return max(one or two, two, key=lambda pair: pair[1])

"""What is measured: every metric, and what each event adds to it. No metrics library is known here.

The names follow both conventions at once: `fetch.duration` in seconds is `syncfsm.fetch.duration` for
OpenTelemetry and `syncfsm_fetch_duration_seconds` for Prometheus. A label has few values, whatever is synced:
no id, no name of a person, no error text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.core.value import Value

Kind = Literal["counter", "histogram", "gauge"]
Identity = Literal["source", "object", "sink"]

BY: tuple[Identity, ...] = ("source", "object")
"""The labels that say whose sync it was."""

_REQUEST_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_S = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Metric(Value, frozen=True):
    """One metric.

    Attributes:
        name: Its name, without the prefix; dots between its parts.
        kind: Counters only grow; a gauge is what it was set to last; a histogram has `buckets`.
        unit: By the Unified Code for Units of Measure: `s`, or what is counted, in braces.
        about: What it tells.
        labels: What it is told apart by, besides whose sync it was.
        buckets: Upper bounds, in `unit`.
    """

    name: str
    kind: Kind
    unit: str
    about: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Measurement(Value, frozen=True):
    """A value for a metric: what to add to a counter, to set a gauge to, to put into a histogram."""

    metric: Metric
    value: float
    labels: dict[str, str]


EVENTS = Metric(
    name="events", kind="counter", unit="{event}", labels=("type",), about="Events recorded, by type."
)
PAGES = Metric(name="pages", kind="counter", unit="{page}", about="Pages delivered.")
RECORDS = Metric(
    name="records",
    kind="counter",
    unit="{record}",
    labels=("result",),
    about="Records of delivered pages: created, updated, unchanged, deleted or rejected.",
)
RETRIES = Metric(
    name="retries",
    kind="counter",
    unit="{retry}",
    labels=("action", "cause"),
    about="Failures that will be tried again; those with the cause rate_limited are 429s.",
)
SHIFTS = Metric(name="shifts", kind="counter", unit="{shift}", about="Steps back since rows had gone away.")
FAILURES = Metric(
    name="failures",
    kind="counter",
    unit="{failure}",
    labels=("action", "reason"),
    about="Syncs that gave up.",
)
FETCH = Metric(
    name="fetch.duration",
    kind="histogram",
    unit="s",
    buckets=_REQUEST_S,
    about="How long requests for a page took; those that failed are not in it.",
)
DELIVER = Metric(
    name="deliver.duration",
    kind="histogram",
    unit="s",
    buckets=_REQUEST_S,
    about="How long transform and sink took for a page.",
)
WAIT = Metric(
    name="wait.duration",
    kind="histogram",
    unit="s",
    labels=("cause",),
    buckets=_WAIT_S,
    about="Waits before another try, as scheduled.",
)
ACTIVE = Metric(
    name="processes.active",
    kind="gauge",
    unit="{process}",
    about="Processes that are active as far as this worker has heard; `syncfsm top` asks the log.",
)
CURSOR = Metric(
    name="last_cursor", kind="gauge", unit="{row}", about="Where the last delivered page began, in rows."
)
WATERMARK = Metric(
    name="last_watermark_timestamp",
    kind="gauge",
    unit="s",
    about="The watermark of the last complete sync, Unix time: what was there by then is delivered.",
)

METRICS = (
    EVENTS,
    PAGES,
    RECORDS,
    RETRIES,
    SHIFTS,
    FAILURES,
    FETCH,
    DELIVER,
    WAIT,
    ACTIVE,
    CURSOR,
    WATERMARK,
)

Part = tuple[Metric, float, dict[str, str]]


class Measures:
    """Turns events into measurements; remembers where a process is active, and little else."""

    def __init__(self, by: Iterable[Identity] = BY) -> None:
        self.by = tuple(by)
        self._known: set[tuple[str, ...]] = set()
        self._active: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def of(self, process: Process, recorded: e.Recorded) -> Iterator[Measurement]:
        """Yield what an event adds."""
        identity: dict[str, str] = {name: getattr(process, name) for name in self.by}
        event = recorded.event
        parts: list[Part] = [*self._zeros(tuple(identity.values())), (EVENTS, 1, {"type": recorded.type})]
        parts += _PARTS[type(event)](event)
        parts.append((ACTIVE, self._active_like(process, tuple(identity.values())), {}))
        for metric, value, labels in parts:
            yield Measurement(metric=metric, value=value, labels={**identity, **labels})

    def _zeros(self, identity: tuple[str, ...]) -> list[Part]:
        """Let the counts of events begin at 0, or nobody would see the first failure as an increase."""
        if identity in self._known:
            return []
        self._known.add(identity)
        return [(EVENTS, 0, {"type": name}) for name in e.EVENT_TYPES]

    def _active_like(self, process: Process, identity: tuple[str, ...]) -> int:
        """Return how many processes with the same labels are active, as far as is known here.

        Others may end a process unheard. As a log has one active process for a source object, the next one
        puts that right.
        """
        place = (process.source, process.object, process.sink)
        if process.is_active:
            self._active[place] = identity
        else:
            self._active.pop(place, None)
        return sum(other == identity for other in self._active.values())


def _nothing(_event: e.Event) -> list[Part]:
    return []


def _page_delivered(event: e.PageDelivered) -> list[Part]:
    results = ("created", "updated", "unchanged", "deleted", "rejected")
    counts: list[Part] = [(RECORDS, getattr(event, result), {"result": result}) for result in results]
    times: list[Part] = [(DELIVER, event.elapsed_ms / 1000, {}), (CURSOR, event.cursor or 0, {})]
    return [(PAGES, 1, {}), *counts, *times]


def _retry_scheduled(event: e.RetryScheduled) -> list[Part]:
    cause = {"cause": event.cause}
    return [(RETRIES, 1, {"action": event.action, **cause}), (WAIT, event.wait_s, cause)]


def _sync_completed(event: e.SyncCompleted) -> list[Part]:
    return [(WATERMARK, event.watermark.timestamp(), {})] if event.watermark else []


_PARTS: dict[type[e.Event], Callable[[Any], list[Part]]] = e.by_event(
    {
        e.PageFetched: lambda event: [(FETCH, event.elapsed_ms / 1000, {})],
        e.NothingNewFound: lambda event: [
            (FETCH, event.elapsed_ms / 1000, {}),
            (WATERMARK, event.as_of.timestamp(), {}),
        ],
        e.PagesShifted: lambda event: [(FETCH, event.elapsed_ms / 1000, {}), (SHIFTS, 1, {})],
        e.PageDelivered: _page_delivered,
        e.RetryScheduled: _retry_scheduled,
        e.SyncFailed: lambda event: [(FAILURES, 1, {"action": event.action, "reason": event.reason})],
        e.SyncCompleted: _sync_completed,
    },
    e.SyncStarted,
    e.FetchingBegan,
    e.MissingFound,
    e.SyncCancelled,
    e.SyncResumed,
    e.RecordRejected,  # PageDelivered has the count
    otherwise=_nothing,
)
"""What each adds, besides being counted."""

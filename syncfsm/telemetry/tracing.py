"""Traces for OpenTelemetry: one trace for each process, however many workers it has.

A process may live for days, in one worker after the other, and nobody carries a context from one to the next.
So the ids are computed: the trace's and the root span's from the process id, the same for all. Every other
span is made when what it tells is over, from the times in the events, and hangs under that root. The root is
made by whoever records the last event. Only OpenTelemetry's API is needed: `pip install 'syncfsm[otel]'`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, ClassVar, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, StatusCode, TraceFlags

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.telemetry.observer import Observer
from syncfsm.telemetry.opentelemetry import SCOPE

PENDING_MAX = 1000
"""Pages fetched and not yet delivered that are remembered; of more, the oldest are forgotten."""

SPANS = {
    "sync": "The whole process, from its first event to its last; the root. Made when it is over for good.",
    "page": "A page, from the request for it until the sink has it.",
    "fetch": "A request for a page that was answered; in a page, or by itself where rows had gone away.",
    "deliver": "Transform and sink, for a page.",
    "wait": "A wait before another try, as scheduled.",
    "failure": "The moment a sync gave up; its status is ERROR. The root's is too, if going on cannot help.",
}
"""Every span by its name, with what it tells."""

ATTRIBUTES = {
    "syncfsm.process.id": "on every span",
    "syncfsm.source": "on every span",
    "syncfsm.object": "on every span",
    "syncfsm.sink": "on every span",
    "syncfsm.mode": "sync: `initial`, `ongoing`, `webhook`, or `rejects` for a retry; links to its parent",
    "syncfsm.state": "sync: the state it ended in",
    "syncfsm.pages": "sync: pages delivered",
    "syncfsm.records": "sync: records fetched; page: records taken from it",
    "syncfsm.offset": "fetch: rows before the request",
    "syncfsm.rows": "fetch: rows that came",
    "syncfsm.step_back": "fetch: rows to go back, where rows had gone away",
    "syncfsm.created": "page",
    "syncfsm.updated": "page",
    "syncfsm.unchanged": "page",
    "syncfsm.deleted": "page",
    "syncfsm.rejected": "page",
    "syncfsm.action": "wait, failure: what failed",
    "syncfsm.attempt": "wait: failures in a row",
    "syncfsm.resumable": "failure: whether going on later can help",
    "error.type": "wait, failure: the cause or the reason",
    "http.response.status_code": "wait: the status of the answer, if there was one",
}
"""Every attribute, with the spans that have it. None holds a record's id or anything of its content."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RootIds(Protocol):
    """What makes the SDK give a root span computed ids: `trace_ids.ProcessIds`."""

    def of(self, root: SpanContext) -> AbstractContextManager[None]:
        """Give the next span these ids."""
        ...


class OpenTelemetryTraces(Observer):
    """A hook that makes the spans of docs/telemetry.md.

    Args:
        provider: Where the tracer comes from; the global one if `None`.
        ids: The id generator of the SDK's provider. Without one the root is missing: all spans of a process
            are still in one trace, under a parent that is not there, and `sync` is one of them.
    """

    def __init__(self, provider: trace.TracerProvider | None = None, *, ids: RootIds | None = None) -> None:
        super().__init__()
        self._tracer = (provider or trace.get_tracer_provider()).get_tracer(SCOPE)
        self._ids = ids
        self._pending: dict[str, list[e.Recorded]] = {}

    def observe(self, process: Process, recorded: e.Recorded) -> None:
        """Make the spans of what the event ends."""
        tell = self._TELL[type(recorded.event)]
        if tell is not None:
            tell(self, process, recorded, recorded.event)

    # ── pages ────────────────────────────────────────────────────────────────────────────────

    def _page_fetched(self, process: Process, recorded: e.Recorded, _event: e.PageFetched) -> None:
        """Remember the page; its span is made when it is delivered."""
        self._pending.setdefault(process.id, []).append(recorded)
        if len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]

    def _page_delivered(self, process: Process, recorded: e.Recorded, event: e.PageDelivered) -> None:
        began_ns = _began_ns(recorded, event.elapsed_ms)
        page = self._page(process, began_ns, event)
        self._span(process, "deliver", began_ns, _ns(recorded.at), within=page)
        page.end(_ns(recorded.at))

    def _page(self, process: Process, else_ns: int, event: e.PageDelivered | None) -> Span:
        """Begin the span of the pending page, with its fetches; a crash may have made more than one."""
        fetches = self._pending.pop(process.id, [])
        starts = [_began_ns(fetch, getattr(fetch.event, "elapsed_ms")) for fetch in fetches]  # noqa: B009
        page = self._begin(process, "page", min([*starts, else_ns]), _counts(event))
        for began_ns, fetch in zip(starts, fetches, strict=True):
            assert isinstance(fetch.event, e.PageFetched), "only such are remembered"
            page.set_attribute("syncfsm.records", len(fetch.event.record_ids))
            self._span(process, "fetch", began_ns, _ns(fetch.at), _fetch(fetch.event), within=page)
        return page

    def _pages_shifted(self, process: Process, recorded: e.Recorded, event: e.PagesShifted) -> None:
        self._abandon(process, recorded)
        attributes = {"syncfsm.offset": event.offset, "syncfsm.step_back": event.step_back}
        self._span(process, "fetch", _began_ns(recorded, event.elapsed_ms), _ns(recorded.at), attributes)

    def _retry_scheduled(self, process: Process, recorded: e.Recorded, event: e.RetryScheduled) -> None:
        attributes = {
            "syncfsm.action": event.action,
            "syncfsm.attempt": event.attempt,
            "error.type": event.cause,
            "http.response.status_code": event.status,
        }
        self._span(process, "wait", _ns(recorded.at), _ns(event.retry_at), attributes)

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _sync_failed(self, process: Process, recorded: e.Recorded, event: e.SyncFailed) -> None:
        self._abandon(process, recorded)
        at_ns = _ns(recorded.at)
        attributes = {
            "syncfsm.action": event.action,
            "syncfsm.resumable": event.resumable,
            "error.type": event.reason,
        }
        failure = self._begin(process, "failure", at_ns, attributes)
        failure.set_status(StatusCode.ERROR, event.reason)
        failure.end(at_ns)
        if not event.resumable:
            self._root(process, recorded, event.reason)

    def _sync_completed(self, process: Process, recorded: e.Recorded, _event: e.SyncCompleted) -> None:
        self._root(process, recorded)

    def _nothing_new_found(self, process: Process, recorded: e.Recorded, event: e.NothingNewFound) -> None:
        attributes = {"syncfsm.offset": 0, "syncfsm.rows": 0}
        self._span(process, "fetch", _began_ns(recorded, event.elapsed_ms), _ns(recorded.at), attributes)
        self._root(process, recorded)

    def _sync_cancelled(self, process: Process, recorded: e.Recorded, _event: e.SyncCancelled) -> None:
        self._abandon(process, recorded)
        self._root(process, recorded)

    def _abandon(self, process: Process, recorded: e.Recorded) -> None:
        """End the span of a page that is not delivered."""
        if process.id in self._pending:
            self._page(process, _ns(recorded.at), None).end(_ns(recorded.at))

    def _root(self, process: Process, recorded: e.Recorded, reason: str | None = None) -> None:
        attributes = {
            "syncfsm.mode": process.mode,
            "syncfsm.state": process.state.value,
            "syncfsm.pages": process.progress.pages,
            "syncfsm.records": process.progress.fetched,
            "error.type": reason,
        }
        links = [Link(root_of(process.parent))] if process.parent else []
        began_ns = _ns(process.started_at)
        if self._ids is None:
            root = self._begin(process, "sync", began_ns, attributes, links=links)
        else:
            with self._ids.of(root_of(process.id)):
                root = self._begin(process, "sync", began_ns, attributes, links=links, within=Context())
        if reason:
            root.set_status(StatusCode.ERROR, reason)
        root.end(_ns(recorded.at))

    # ── spans ────────────────────────────────────────────────────────────────────────────────

    def _begin(
        self,
        process: Process,
        name: str,
        began_ns: int,
        attributes: dict[str, Any],
        *,
        links: Sequence[Link] = (),
        within: Context | None = None,
    ) -> Span:
        """Begin a span, under the root of the process unless `within` says otherwise."""
        if within is None:
            within = trace.set_span_in_context(NonRecordingSpan(root_of(process.id)), Context())
        known = {key: value for key, value in attributes.items() if value is not None}
        shown = {**_identity(process), **known}
        return self._tracer.start_span(
            name, within, attributes=shown, links=links, start_time=began_ns, record_exception=False
        )

    def _span(
        self,
        process: Process,
        name: str,
        began_ns: int,
        ended_ns: int,
        attributes: dict[str, Any] | None = None,
        *,
        within: Span | None = None,
    ) -> None:
        """Make a whole span."""
        context = None if within is None else trace.set_span_in_context(within, Context())
        self._begin(process, name, began_ns, attributes or {}, within=context).end(ended_ns)

    _TELL: ClassVar[dict[type[e.Event], Callable[[Any, Process, e.Recorded, Any], None] | None]] = e.by_event(
        {
            e.PageFetched: _page_fetched,
            e.PageDelivered: _page_delivered,
            e.PagesShifted: _pages_shifted,
            e.RetryScheduled: _retry_scheduled,
            e.SyncFailed: _sync_failed,
            e.SyncCompleted: _sync_completed,
            e.NothingNewFound: _nothing_new_found,
            e.SyncCancelled: _sync_cancelled,
        },
        e.SyncStarted,
        e.FetchingBegan,
        e.MissingFound,
        e.RecordRejected,
        e.SyncResumed,
        otherwise=None,
    )


def root_of(process_id: str) -> SpanContext:
    """Return the place of a process's root span, the same in every worker."""
    return SpanContext(
        trace_id=_hashed(f"trace {process_id}", 16),
        span_id=_hashed(f"root {process_id}", 8),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _hashed(text: str, size_bytes: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size_bytes).digest()) or 1


def _identity(process: Process) -> dict[str, str]:
    return {
        "syncfsm.process.id": process.id,
        "syncfsm.source": process.source,
        "syncfsm.object": process.object,
        "syncfsm.sink": process.sink,
    }


def _fetch(event: e.PageFetched) -> dict[str, Any]:
    return {"syncfsm.offset": event.offset, "syncfsm.rows": event.count}


def _counts(event: e.PageDelivered | None) -> dict[str, Any]:
    if event is None:
        return {}
    results = ("created", "updated", "unchanged", "deleted", "rejected")
    return {f"syncfsm.{result}": getattr(event, result) for result in results}


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000


def _began_ns(recorded: e.Recorded, elapsed_ms: int) -> int:
    return _ns(recorded.at) - elapsed_ms * 1_000_000

"""Traces, by the real SDK: one for each process, true to the log, whoever works on it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

from syncfsm.core import events as e
from syncfsm.engine.commit import cancel
from syncfsm.engine.engine import Engine
from syncfsm.log import EventLog, open_log
from syncfsm.telemetry.trace_ids import ProcessIds
from syncfsm.telemetry.tracing import ATTRIBUTES, PENDING_MAX, SPANS, OpenTelemetryTraces, root_of
from syncfsm_simulator.runs.run import simulate
from tests.fakes import DOWN, WRONG_KEY, DictSink, Item, ListSource, TestClock, to_items
from tests.integration.test_metrics import BAD_DAY, simulated
from tests.pure import PureSync, people, slice_of

Worker = Callable[..., OpenTelemetryTraces]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def worker(exporter: InMemorySpanExporter) -> Iterator[Worker]:
    """Return the hook of one more worker; all of them export to one place."""
    providers: list[TracerProvider] = []

    def another(*, with_ids: bool = True, **settings: Any) -> OpenTelemetryTraces:
        ids = ProcessIds() if with_ids else None
        provider = TracerProvider(shutdown_on_exit=False, id_generator=ids, **settings)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        providers.append(provider)
        return OpenTelemetryTraces(provider, ids=ids)

    yield another
    for provider in providers:
        provider.shutdown()


@pytest.fixture
def log() -> Iterator[EventLog]:
    with open_log(":memory:") as log:
        yield log


class Bench:
    """A source, a sink, a clock; a new engine, as another worker would have, for each hook."""

    def __init__(self, log: EventLog, people: int = 5) -> None:
        self.log = log
        self.clock = TestClock()
        self.source = ListSource(self.clock, people)
        self.sink = DictSink()

    def engine(self, hook: OpenTelemetryTraces, rng: random.Random | None = None) -> Engine[Item]:
        return Engine(self.log, self.source, self.sink, to_items, clock=self.clock, hooks=[hook], rng=rng)


def at(ns: int | None) -> datetime:
    assert ns is not None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def shape(exporter: InMemorySpanExporter) -> Counter[str]:
    """Return how often each span is there, with those above it."""
    spans = {span.context.span_id: span for span in exporter.get_finished_spans() if span.context}

    def path(span: ReadableSpan) -> str:
        above = spans[span.parent.span_id] if span.parent else None
        return f"{path(above)} > {span.name}" if above else span.name

    return Counter(map(path, spans.values()))


def test_a_sync_is_a_tree_of_its_pages_and_their_requests(
    log: EventLog, worker: Worker, exporter: InMemorySpanExporter
) -> None:
    process = asyncio.run(Bench(log).engine(worker()).sync(page_size=2))
    assert shape(exporter) == {
        "sync": 1,
        "sync > page": 3,
        "sync > page > fetch": 3,
        "sync > page > deliver": 3,
    }
    (root,) = named(exporter, "sync")
    assert root.context is not None
    assert (root.context.trace_id, root.context.span_id) == (
        root_of(process.id).trace_id,
        root_of(process.id).span_id,
    )
    assert (at(root.start_time), at(root.end_time)) == (process.started_at, process.updated_at)
    assert root.status.status_code is StatusCode.UNSET
    assert root.attributes is not None
    assert root.attributes["syncfsm.records"] == 5


def test_workers_that_take_turns_make_one_trace(
    log: EventLog, worker: Worker, exporter: InMemorySpanExporter
) -> None:
    bench = Bench(log)
    process = bench.engine(worker()).start(page_size=2)
    for _ in range(5):
        asyncio.run(bench.engine(worker()).step(process.id))
    assert not log.load(process.id).is_active
    assert shape(exporter) == {
        "sync": 1,
        "sync > page": 3,
        "sync > page > fetch": 3,
        "sync > page > deliver": 3,
    }


def test_times_are_those_of_the_log(exporter: InMemorySpanExporter, worker: Worker) -> None:
    hook = worker()
    _, _, recorded = simulated(BAD_DAY, 5, hook)
    assert hook.last_error is None
    fetches = {at(span.end_time): span for span in named(exporter, "fetch")}
    delivers = {at(span.end_time): span for span in named(exporter, "deliver")}
    waits = {at(span.start_time): span for span in named(exporter, "wait")}
    for event in recorded:
        match event.event:
            case e.PageFetched() | e.PagesShifted():
                span = fetches.pop(event.at)
                assert event.at - at(span.start_time) == timedelta(milliseconds=event.event.elapsed_ms)
            case e.PageDelivered():
                span = delivers.pop(event.at)
                assert event.at - at(span.start_time) == timedelta(milliseconds=event.event.elapsed_ms)
            case e.RetryScheduled():
                assert at(waits.pop(event.at).end_time) == event.event.retry_at
    assert (fetches, delivers, waits) == ({}, {}, {})


def test_spans_lie_within_those_above_them(exporter: InMemorySpanExporter, worker: Worker) -> None:
    simulated(BAD_DAY, 5, worker())
    spans = {span.context.span_id: span for span in exporter.get_finished_spans() if span.context}
    below = [(span, spans[span.parent.span_id]) for span in spans.values() if span.parent]
    assert len(below) > 50
    for span, above in below:
        assert span.context is not None
        assert above.context is not None
        assert span.context.trace_id == above.context.trace_id
        assert at(above.start_time) <= at(span.start_time) <= at(span.end_time) <= at(above.end_time)


def test_a_failure_that_can_be_mended_is_an_error_and_the_sync_goes_on_in_the_same_trace(
    log: EventLog, worker: Worker, exporter: InMemorySpanExporter
) -> None:
    bench = Bench(log)
    bench.source.failures = [WRONG_KEY]
    asyncio.run(bench.engine(worker()).sync(page_size=2))
    (failure,) = named(exporter, "failure")
    assert (failure.status.status_code, failure.status.description) == (StatusCode.ERROR, "unauthorized")
    assert failure.attributes is not None
    assert failure.attributes["error.type"] == "unauthorized"
    assert named(exporter, "sync") == []
    asyncio.run(bench.engine(worker()).sync(page_size=2))
    assert shape(exporter)["sync > failure"] == 1
    assert named(exporter, "sync")[0].status.status_code is StatusCode.UNSET


def test_a_failure_for_good_makes_the_root_an_error(exporter: InMemorySpanExporter, worker: Worker) -> None:
    sync = PureSync(slice_of(people(60)[::-1]))
    assert not sync.run().is_resumable
    hook = worker()
    for recorded in sync.recorded:
        hook(sync.process, recorded)
    (root,) = named(exporter, "sync")
    assert sync.process.failure is not None
    assert (root.status.status_code, root.status.description) == (
        StatusCode.ERROR,
        sync.process.failure.reason,
    )


def test_a_wait_says_what_it_is_for(log: EventLog, worker: Worker, exporter: InMemorySpanExporter) -> None:
    bench = Bench(log)
    bench.source.failures = [DOWN]
    asyncio.run(bench.engine(worker()).sync())
    (wait,) = named(exporter, "wait")
    assert wait.attributes is not None
    said = ("syncfsm.action", "syncfsm.attempt", "error.type")
    assert [wait.attributes[key] for key in said] == ["fetch", 1, "unavailable"]
    assert "http.response.status_code" not in wait.attributes


def test_a_retry_of_rejects_links_to_the_sync_it_is_for(
    log: EventLog, worker: Worker, exporter: InMemorySpanExporter
) -> None:
    bench = Bench(log)
    bench.sink.refused = {"r00001"}
    first = asyncio.run(bench.engine(worker()).sync())
    bench.sink.refused = set()
    engine = bench.engine(worker())
    retry = engine.retry_rejects()
    assert retry is not None
    asyncio.run(engine.run(retry.id))
    (link,) = named(exporter, "sync")[1].links
    assert link.context.trace_id == root_of(first.id).trace_id != root_of(retry.id).trace_id


def test_a_page_that_a_cancellation_left_behind_is_there_without_a_delivery(
    log: EventLog, worker: Worker, exporter: InMemorySpanExporter
) -> None:
    bench = Bench(log)
    bench.sink.failures = [DOWN]
    hook = worker()
    engine = bench.engine(hook)
    process = engine.start()
    for _ in range(2):
        asyncio.run(engine.step(process.id))
    cancel(log, process.id, by="test", clock=bench.clock, hooks=[hook])
    assert shape(exporter) == {"sync": 1, "sync > page": 1, "sync > page > fetch": 1, "sync > wait": 1}


def test_without_the_id_generator_all_spans_are_still_in_one_trace(
    log: EventLog, worker: Worker, exporter: InMemorySpanExporter
) -> None:
    process = asyncio.run(Bench(log).engine(worker(with_ids=False)).sync(page_size=2))
    contexts = [span.context for span in exporter.get_finished_spans()]
    assert {context.trace_id for context in contexts if context} == {root_of(process.id).trace_id}
    assert len(contexts) == 10


def test_only_the_root_has_the_ids_of_the_process() -> None:
    ids, root = ProcessIds(), root_of("p1")
    with ids.of(root):
        assert (ids.generate_trace_id(), ids.generate_span_id()) == (root.trace_id, root.span_id)
    assert ids.generate_trace_id() != root.trace_id
    assert ids.generate_span_id() != root.span_id


def test_a_trace_is_sampled_whole_or_not_at_all(worker: Worker, exporter: InMemorySpanExporter) -> None:
    ratio = TraceIdRatioBased(0.5)
    sampler = ParentBased(root=ratio, remote_parent_sampled=ratio)
    sizes = Counter[int]()
    for seed in range(12):
        with open_log(":memory:") as log:
            bench = Bench(log)
            engine = bench.engine(worker(sampler=sampler), rng=random.Random(seed))
            asyncio.run(engine.sync(page_size=2))
        sizes[len(exporter.get_finished_spans())] += 1
        exporter.clear()
    assert set(sizes) == {0, 1 + 3 * 3}


def test_every_span_and_attribute_is_one_that_is_documented_and_none_holds_a_record(
    exporter: InMemorySpanExporter, worker: Worker
) -> None:
    recorded = [event for seed in range(6) for event in simulated(BAD_DAY, seed, worker())[2]]
    spans = exporter.get_finished_spans()
    assert {span.name for span in spans} == SPANS.keys()
    assert {key for span in spans for key in span.attributes or {}} == ATTRIBUTES.keys()
    ids = {
        id_ for event in recorded if isinstance(event.event, e.PageFetched) for id_ in event.event.record_ids
    }
    text = " ".join(span.to_json() for span in spans)
    assert ids
    assert not any(id_ in text for id_ in ids)


def test_tracing_changes_no_byte_of_the_log(worker: Worker) -> None:
    assert simulated(BAD_DAY, 3, worker())[1] == simulated(BAD_DAY, 3)[1]


def test_pages_that_others_deliver_are_not_remembered_for_ever(worker: Worker) -> None:
    sync = PureSync(slice_of(people(60)))
    while sync.process.pending is None:
        sync.turn()
    hook = worker()
    for number in range(PENDING_MAX + 50):
        hook(replace(sync.process, id=f"p{number}"), sync.recorded[-1])
    assert hook.errors == 0
    assert len(hook._pending) == PENDING_MAX


def test_the_simulator_finds_nothing_wrong_with_a_hook_on_board(worker: Worker, log: EventLog) -> None:
    assert simulate(BAD_DAY, 1, log, hooks=[worker()]).violations == []

"""Metrics, by the real clients: the counters are the totals, on good days and bad ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.log import open_log
from syncfsm.telemetry.measures import ACTIVE, METRICS, Measures
from syncfsm.telemetry.opentelemetry import OpenTelemetryMetrics, metric_name
from syncfsm.telemetry.prometheus import PrometheusMetrics
from syncfsm_simulator.runs.run import Verdict, simulate
from syncfsm_simulator.stage.faults import FaultRates
from syncfsm_simulator.stage.scenario import Scenario
from tests.effort import tries
from tests.pure import PureSync, people, slice_of

BAD_DAY = Scenario(
    people=150,
    page_size=10,
    faults=FaultRates(rate_limited=0.15, unavailable=0.1, network=0.1, slow=0.1, sink=0.1, denied=0.02),
)
"""Without crashes, which take what a worker has counted with them, as they do in life."""


class Registry(CollectorRegistry):
    """Adds up samples over the labels that are not named."""

    def total(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in self.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


def points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Return what was collected: metric → attributes and data point."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [(dict(point.attributes or {}), point) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def simulated(scenario: Scenario, seed: int, *hooks: Any) -> tuple[Verdict, list[str], list[e.Recorded]]:
    """Return the verdict, the log's rows and its events."""
    with open_log(":memory:") as log:
        verdict = simulate(scenario, seed, log, hooks=list(hooks))
        rows = [str(row) for row in log.stored_events()]
        return verdict, rows, [event for process_id in log.ids() for event in log.read(process_id)]


@settings(max_examples=tries(8, 50), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_counters_of_a_bad_day_are_the_totals_of_the_process(seed: int) -> None:
    registry = Registry()
    verdict, _, _ = simulated(BAD_DAY, seed, hook := PrometheusMetrics(registry))
    progress = verdict.process.progress
    assert registry.total("syncfsm_last_cursor") == (progress.last_cursor or 0)
    for result in ("created", "updated", "unchanged", "rejected"):
        assert registry.total("syncfsm_records_total", result=result) == getattr(progress, result)
    assert registry.total("syncfsm_pages_total") == progress.pages
    assert registry.total("syncfsm_retries_total") == progress.retries
    assert registry.total("syncfsm_retries_total", cause="rate_limited") == progress.rate_limited
    assert registry.total("syncfsm_shifts_total") == progress.shifts
    assert registry.total("syncfsm_wait_duration_seconds_sum") == pytest.approx(progress.waited_s)
    assert registry.total("syncfsm_wait_duration_seconds_count") == progress.retries
    for type_, count in verdict.events.items():
        assert registry.total("syncfsm_events_total", type=type_) == count
    answers = verdict.events["PageFetched"] + verdict.events.get("PagesShifted", 0)
    assert registry.total("syncfsm_fetch_duration_seconds_count") == answers
    assert registry.total("syncfsm_failures_total") == verdict.events.get("SyncFailed", 0)
    assert hook.errors == 0


@pytest.mark.parametrize("seed", range(4))
def test_whatever_crashes_the_counters_are_the_sums_of_the_events_that_were_heard(seed: int) -> None:
    registry, heard = Registry(), list[e.Event]()
    rough = replace(BAD_DAY, faults=replace(BAD_DAY.faults, crash=0.2, rival=0.1, cancel=0.01))
    verdict, _, recorded = simulated(
        rough, seed, PrometheusMetrics(registry), lambda _process, event: heard.append(event.event)
    )
    delivered = [event for event in heard if isinstance(event, e.PageDelivered)]
    created = sum(event.created for event in delivered)
    assert registry.total("syncfsm_records_total", result="created") == created
    assert registry.total("syncfsm_pages_total") == len(delivered)
    assert registry.total("syncfsm_events_total") == len(heard) < len(recorded)
    assert verdict.starts > 1


@pytest.mark.parametrize("seed", range(3))
def test_no_hook_changes_a_byte_of_the_log(seed: int, provider: MeterProvider, registry: Registry) -> None:
    _, without, _ = simulated(BAD_DAY, seed)
    _, with_hooks, _ = simulated(BAD_DAY, seed, PrometheusMetrics(registry), OpenTelemetryMetrics(provider))
    assert with_hooks == without


def test_both_clients_say_the_same(
    provider: MeterProvider, reader: InMemoryMetricReader, registry: Registry
) -> None:
    simulated(BAD_DAY, 5, OpenTelemetryMetrics(provider), PrometheusMetrics(registry))
    found = points(reader)
    assert found.keys() <= {metric_name(metric) for metric in METRICS}
    records = {attributes["syncfsm.result"]: point.value for attributes, point in found["syncfsm.records"]}
    assert len(records) == 5
    for result, value in records.items():
        assert registry.total("syncfsm_records_total", result=result) == value
    for attributes, point in found["syncfsm.retries"]:
        labels = {"action": attributes["syncfsm.action"], "cause": attributes["error.type"]}
        assert registry.total("syncfsm_retries_total", **labels) == point.value > 0
    ((_, fetches),) = found["syncfsm.fetch.duration"]
    assert registry.total("syncfsm_fetch_duration_seconds_count") == fetches.count
    assert registry.total("syncfsm_fetch_duration_seconds_sum") == pytest.approx(fetches.sum)
    assert registry.total("syncfsm_fetch_duration_seconds_bucket", le="0.1") == sum(fetches.bucket_counts[:4])
    ((_, watermark),) = found["syncfsm.last_watermark_timestamp"]
    assert registry.total("syncfsm_last_watermark_timestamp_seconds") == watermark.value > 1.7e9


def test_a_scrape_over_http_is_read_by_the_clients_own_parser(registry: Registry) -> None:
    verdict, _, _ = simulated(BAD_DAY, 5, PrometheusMetrics(registry))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["syncfsm_records"].type == "counter"
    assert families["syncfsm_fetch_duration_seconds"].type == "histogram"
    (pages,) = [sample for sample in families["syncfsm_pages"].samples if sample.name.endswith("_total")]
    assert pages.value == verdict.process.progress.pages
    assert pages.labels == {"source": verdict.process.source, "object": "people"}


def test_labels_hold_no_id_and_no_words_of_an_error(registry: Registry) -> None:
    verdict, _, recorded = simulated(BAD_DAY, 5, PrometheusMetrics(registry))
    text = generate_latest(registry).decode()
    assert verdict.process.id not in text
    ids = [
        id_ for event in recorded if isinstance(event.event, e.PageFetched) for id_ in event.event.record_ids
    ]
    errors = [event.event.error for event in recorded if isinstance(event.event, e.RetryScheduled)]
    assert ids
    assert errors
    assert not any(words in text for words in [*ids, *errors])


def test_series_are_few_whatever_happens(registry: Registry) -> None:
    hook = PrometheusMetrics(registry)
    for seed in range(5):
        simulated(BAD_DAY, seed, hook)
    series = sum(len(family.samples) for family in registry.collect())
    assert series < 250


def test_who_is_synced_can_be_left_out_of_the_labels(registry: Registry) -> None:
    sync = PureSync(slice_of(people(3)))
    sync.run()
    hook = PrometheusMetrics(registry, by=())
    for recorded in sync.recorded:
        hook(sync.process, recorded)
    assert hook.last_error is None
    assert registry.get_sample_value("syncfsm_pages_total") == 1


def test_counts_of_events_begin_at_0_so_that_the_first_failure_is_an_increase(registry: Registry) -> None:
    sync = PureSync(slice_of(people(3)))
    PrometheusMetrics(registry)(sync.process, sync.recorded[0])
    labels = {"source": "model", "object": "people"}
    failures = registry.get_sample_value("syncfsm_events_total", {**labels, "type": "SyncFailed"})
    starts = registry.get_sample_value("syncfsm_events_total", {**labels, "type": "SyncStarted"})
    assert (failures, starts) == (0, 1)


def test_the_active_processes_are_those_not_yet_over_as_far_as_is_known() -> None:
    sync = PureSync(slice_of(people(3)))
    active, over = sync.process, PureSync(slice_of(people(3))).run()
    measures = Measures(by=())

    def count(process: Process, **changes: str) -> float:
        values = {
            measured.metric: measured.value
            for measured in measures.of(replace(process, **changes), sync.recorded[0])
        }
        return values[ACTIVE]

    assert [count(active), count(active), count(active, object="companies")] == [1, 1, 2]
    assert count(over) == 1
    assert count(active, object="companies", id="p2") == 1  # that p1 is over was not heard
    assert count(over, object="companies", id="p2") == 0


def test_the_names_follow_the_conventions(registry: Registry) -> None:
    PrometheusMetrics(registry)
    for family in registry.collect():
        assert re.fullmatch(r"syncfsm(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith("_seconds")

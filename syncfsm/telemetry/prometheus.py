"""Metrics for Prometheus. Needs the extra: `pip install 'syncfsm[prometheus]'`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.telemetry.measures import BY, METRICS, Identity, Kind, Measures, Metric
from syncfsm.telemetry.observer import Observer


class PrometheusMetrics(Observer):
    """A hook that keeps the metrics of docs/telemetry.md. Make one, and give it to every engine.

    Args:
        registry: Where the metrics are registered; each name once.
        by: The labels that say whose sync it was. Leave `source` out where there are very many.

    Raises:
        ValueError: The registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, by: Iterable[Identity] = BY) -> None:
        super().__init__()
        self._measures = Measures(by)
        self._instruments = {metric: self._instrument(metric, registry) for metric in METRICS}

    def observe(self, process: Process, recorded: Recorded) -> None:
        """Add what the event adds."""
        for measured in self._measures.of(process, recorded):
            instrument = self._instruments[measured.metric]
            child = instrument.labels(**measured.labels) if measured.labels else instrument
            _TAKE[measured.metric.kind](child, measured.value)

    def _instrument(self, metric: Metric, registry: CollectorRegistry) -> Any:
        labels = (*self._measures.by, *metric.labels)
        name = metric_name(metric)
        if metric.kind == "histogram":
            return Histogram(name, metric.about, labels, registry=registry, buckets=metric.buckets)
        make = Counter if metric.kind == "counter" else Gauge
        return make(name, metric.about, labels, registry=registry)


_TAKE: dict[Kind, Callable[[Any, float], None]] = {
    "counter": lambda child, value: child.inc(value),
    "gauge": lambda child, value: child.set(value),
    "histogram": lambda child, value: child.observe(value),
}


def metric_name(metric: Metric) -> str:
    """Return the name by Prometheus's conventions: base units and `_total` at the end."""
    name = f"syncfsm_{metric.name.replace('.', '_')}"
    name += "_seconds" if metric.unit == "s" else ""
    return f"{name}_total" if metric.kind == "counter" else name

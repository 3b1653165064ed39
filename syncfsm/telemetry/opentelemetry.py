"""Metrics for OpenTelemetry: only its API is needed here, `pip install 'syncfsm[otel]'`.

Where they go is up to the SDK, which the embedding program sets up; without one they go nowhere, at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.metrics import Meter, MeterProvider, get_meter_provider

from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.telemetry.measures import BY, METRICS, Identity, Kind, Measures, Metric
from syncfsm.telemetry.observer import Observer

SCOPE = "syncfsm"

_CONVENTIONS = {"cause": "error.type", "reason": "error.type"}


class OpenTelemetryMetrics(Observer):
    """A hook that keeps the metrics of docs/telemetry.md.

    Args:
        provider: Where the meter comes from; the global one if `None`.
        by: The labels that say whose sync it was. Leave `source` out where there are very many.
    """

    def __init__(self, provider: MeterProvider | None = None, *, by: Iterable[Identity] = BY) -> None:
        super().__init__()
        meter = (provider or get_meter_provider()).get_meter(SCOPE)
        self._measures = Measures(by)
        self._instruments = {metric: _instrument(metric, meter) for metric in METRICS}

    def observe(self, process: Process, recorded: Recorded) -> None:
        """Add what the event adds."""
        for measured in self._measures.of(process, recorded):
            attributes = {attribute_name(label): value for label, value in measured.labels.items()}
            _TAKE[measured.metric.kind](self._instruments[measured.metric], measured.value, attributes)


def _instrument(metric: Metric, meter: Meter) -> Any:
    name = metric_name(metric)
    if metric.kind == "histogram":
        return meter.create_histogram(
            name, metric.unit, metric.about, explicit_bucket_boundaries_advisory=metric.buckets
        )
    create = meter.create_counter if metric.kind == "counter" else meter.create_gauge
    return create(name, metric.unit, metric.about)


_TAKE: dict[Kind, Callable[[Any, float, dict[str, str]], None]] = {
    "counter": lambda instrument, value, attributes: instrument.add(value, attributes),
    "gauge": lambda instrument, value, attributes: instrument.set(value, attributes),
    "histogram": lambda instrument, value, attributes: instrument.record(value, attributes),
}


def metric_name(metric: Metric) -> str:
    """Return the name by OpenTelemetry's conventions: a namespace, and the unit beside it, not in it."""
    return f"syncfsm.{metric.name}"


def attribute_name(label: str) -> str:
    """Return the attribute of a label: the semantic convention's where there is one.

    https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/ has `error.type`.
    """
    return _CONVENTIONS.get(label, f"syncfsm.{label}")

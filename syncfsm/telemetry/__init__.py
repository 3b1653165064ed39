"""What happens, told to whoever listens: lines by structlog, metrics, traces.

Everything here is a `Hook`, called after each event is in the log, and none of it can stop a sync or change
what it does. Metrics and traces are extras, each in a module of its own that is imported by name:

    syncfsm.telemetry.prometheus     PrometheusMetrics                  pip install 'syncfsm[prometheus]'
    syncfsm.telemetry.opentelemetry  OpenTelemetryMetrics               pip install 'syncfsm[otel]'
    syncfsm.telemetry.tracing        OpenTelemetryTraces                pip install 'syncfsm[otel]'
"""

from __future__ import annotations

from syncfsm.telemetry.observer import Guarded, Observer
from syncfsm.telemetry.structlog import REDACTED, LogEvents, redact, stderr_logger

__all__ = ["REDACTED", "Guarded", "LogEvents", "Observer", "redact", "stderr_logger"]

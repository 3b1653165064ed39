"""The ids of root spans, for OpenTelemetry's SDK, which asks nobody else for them.

ids = ProcessIds()
provider = TracerProvider(id_generator=ids)
hook = OpenTelemetryTraces(provider, ids=ids)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext


class ProcessIds(RandomIdGenerator):
    """Random ids, but for the root of a process, whose ids all workers can compute."""

    def __init__(self) -> None:
        self._thread = threading.local()

    @contextmanager
    def of(self, root: SpanContext) -> Iterator[None]:
        """Give the next span of this thread these ids."""
        self._thread.root = root
        try:
            yield
        finally:
            self._thread.root = None

    def generate_trace_id(self) -> int:
        """Return the root's trace id, or a random one."""
        root: SpanContext | None = getattr(self._thread, "root", None)
        return root.trace_id if root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the root's span id, or a random one."""
        root: SpanContext | None = getattr(self._thread, "root", None)
        return root.span_id if root else super().generate_span_id()

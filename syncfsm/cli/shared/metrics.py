"""The metrics of a running sync over HTTP, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncfsm.cli.shared.output import say
from syncfsm.errors import ConfigurationError

if TYPE_CHECKING:
    from syncfsm.engine.commit import Hook

HOST = "127.0.0.1"


@contextmanager
def metrics_served(address: str | None) -> Iterator[list[Hook]]:
    """Serve metrics at `[HOST:]PORT` while the context lasts; yield the hooks that keep them.

    Raises:
        ConfigurationError: The address cannot be used, or the extra is not installed.
    """
    if address is None:
        yield []
        return
    try:
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - an extra

        from syncfsm.telemetry.prometheus import PrometheusMetrics  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise ConfigurationError("metrics are an extra: pip install 'syncfsm[prometheus]'") from error
    registry = CollectorRegistry()
    host, port = _parsed(address)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationError(
            f"metrics cannot be served at {address}: {error.strerror}; choose another --metrics"
        ) from error
    shown = f"[{host}]" if ":" in host else host
    say(f"metrics at http://{shown}:{server.server_port}/metrics", err=True)
    try:
        yield [PrometheusMetrics(registry)]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise ConfigurationError(f"{address!r} is no address: give [HOST:]PORT, like 9464 or 0.0.0.0:9464")
    return host.strip("[]") or HOST, int(port)

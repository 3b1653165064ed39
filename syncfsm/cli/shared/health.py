"""What a worker says of itself over HTTP: `/health` for whoever restarts it, `/metrics` for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from syncfsm.cli.shared.listening import listen_at
from syncfsm.cli.shared.output import say
from syncfsm.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from syncfsm.engine.commit import Hook
    from syncfsm.workers.queue.worker import Worker

PING_S = 5.0
"""How long the database has to answer."""


class Metrics:
    """Metrics, and the hook that keeps them."""

    def __init__(self, registry: CollectorRegistry, hook: Hook) -> None:
        self.registry = registry
        self.hook = hook


def registry() -> Metrics | None:
    """Return what keeps metrics; null where the extra is not installed."""
    try:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - an extra

        from syncfsm.telemetry.prometheus import PrometheusMetrics  # noqa: PLC0415 - likewise
    except ModuleNotFoundError:
        return None
    made = CollectorRegistry()
    return Metrics(made, PrometheusMetrics(made))


class Health:
    """An ASGI app that answers `/health` and `/metrics`.

    `/health` is 200 while the worker runs and its database answers, else 503; either way it says what is
    worked on.
    """

    def __init__(self, worker: Worker[Any], metrics: Metrics | None) -> None:
        self._worker = worker
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI's
        """Answer a request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/health":
            is_well = await self._is_well()
            said = {"status": "ok" if is_well else "unwell", **self._worker.status()}
            await _send(send, 200 if is_well else 503, "application/json", msgspec.json.encode(said))
        elif scope["path"] == "/metrics" and self._metrics is not None:
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415 - an extra

            await _send(send, 200, CONTENT_TYPE_LATEST, generate_latest(self._metrics.registry))
        else:
            await _send(send, 404, "text/plain", b"there is /health, and /metrics with syncfsm[prometheus]\n")

    async def _is_well(self) -> bool:
        try:
            async with asyncio.timeout(PING_S):
                return await self._worker.is_connected()
        except TimeoutError:
            return False


async def _send(send: Any, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def health_served(app: Health, address: str | None) -> AsyncIterator[None]:
    """Serve an app at `[HOST:]PORT` while the context lasts; nothing if there is no address.

    Raises:
        ConfigurationError: The address cannot be used, or the extra is not installed.
    """
    if address is None:
        yield
        return
    try:
        import uvicorn  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "/health and /metrics are an extra: pip install 'syncfsm[workers]'"
        ) from error

    class Server(uvicorn.Server):
        """One that leaves signals to the worker, which has to end first."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    with listen_at(address) as listener:
        listener.listen()
        config = uvicorn.Config(app, interface="asgi3", log_level="warning", access_log=False, lifespan="off")
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        host, port = listener.getsockname()[:2]
        say(f"health at http://{f'[{host}]' if ':' in host else host}:{port}/health", err=True)
        try:
            yield
        finally:
            server.should_exit = True
            await serving

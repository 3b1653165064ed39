"""Serving an ASGI app with uvicorn, which is an extra."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from syncfsm.cli.shared.output import say
from syncfsm.errors import ConfigurationError

HOST = "127.0.0.1"
PORT_MAX = 65_535


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that is bound; port 0 for any free one.

    Raises:
        ConfigurationError: The address is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ConfigurationError(
                f"{host} port {port} {reason}: choose another with --port, or 0 for any"
            ) from error
        yield listener


@contextmanager
def listen_at(address: str) -> Iterator[socket.socket]:
    """Yield a socket that is bound to `[HOST:]PORT`.

    Raises:
        ConfigurationError: It is no address, is taken, or may not be used.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > PORT_MAX:
        raise ConfigurationError(f"{address!r} is no address to listen at: give a port, or HOST:PORT")
    with listen(host.strip("[]") or HOST, int(port)) as listener:
        yield listener


async def served(app: Any, listener: socket.socket, *, until: asyncio.Task[None]) -> None:
    """Say where, and serve an app there until Ctrl-C, SIGTERM or the end of a task, whose error is raised."""
    try:
        import uvicorn  # noqa: PLC0415 - an extra

        from syncfsm.cli.shared.bounded import BACKLOG, HEADERS_BYTES_MAX, Bounded, say_once  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError("receiving webhooks is an extra: pip install 'syncfsm[webhooks]'") from error
    listener.listen(BACKLOG)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(say_once(loop.time))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        http=Bounded,
        ws="none",
        backlog=BACKLOG,
        h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
    )
    server = uvicorn.Server(config)
    until.add_done_callback(lambda _task: setattr(server, "should_exit", True))
    host, port = listener.getsockname()[:2]
    say(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    await server.serve(sockets=[listener])
    if until.done():
        until.result()

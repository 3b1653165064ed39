"""A fake API over real HTTP, on this machine only."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from syncfsm.errors import ConfigurationError
from syncfsm_simulator.fakes.asgi import App

HOST = "127.0.0.1"


def serve(app: App, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve an app until Ctrl-C or SIGTERM.

    Args:
        app: What answers.
        port: Where; 0 for any free port.
        on_ready: Called with the URL once connections are accepted.

    Raises:
        ConfigurationError: The port is taken, or may not be used.
    """
    with _bound(port) as listener:
        listener.listen()
        server = _server(app)
        on_ready(f"http://{HOST}:{listener.getsockname()[1]}")
        try:
            asyncio.run(server.serve(sockets=[listener]))
        except KeyboardInterrupt:
            return  # uvicorn has shut down in good order and hands the signal on


@contextmanager
def served(app: App) -> Iterator[str]:
    """Serve an app on a free port, in a thread of its own, and yield its URL."""
    with _bound(0) as listener:
        listener.listen()
        server = _server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _server(app: App) -> uvicorn.Server:
    """Return a server that adds nothing to the answers: the fakes send a date of their own."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", date_header=False)
    )


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # An answer is two writes; without this the second waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise ConfigurationError(f"port {port} {reason}: choose another with --port, or 0 for any") from error
    return listener

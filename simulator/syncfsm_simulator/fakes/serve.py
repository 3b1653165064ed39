"""A fake API over real HTTP, on this machine only."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
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
        server = uvicorn.Server(_config(app))
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
        server = _Prompt(_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.end.set_result(None)
            thread.join()


class _Prompt(uvicorn.Server):
    """A server that ends as soon as it is told to, when what was asked is answered.

    uvicorn looks ten times a second whether it is to end, and then waits a tenth of a second more: where
    each test has a server of its own, that is much of the time that the tests take.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.end: Future[None] = Future()

    async def main_loop(self) -> None:
        """Serve until `end` has its result, from whatever thread."""
        await asyncio.wrap_future(self.end)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - closed by us
        """Take no more connections, and close those there are."""
        for server in self.servers:
            server.close()
        for connection in [*self.server_state.connections]:
            connection.shutdown()
        while answering := [*self.server_state.tasks]:
            await asyncio.wait(answering)
        while self.server_state.connections:  # noqa: ASYNC110 - the end of each is under way
            await asyncio.sleep(0)


def _config(app: App) -> uvicorn.Config:
    """Return how to serve: with nothing added to the answers, for the fakes send a date of their own."""
    return uvicorn.Config(
        app, interface="asgi3", log_level="warning", access_log=False, lifespan="off", date_header=False
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

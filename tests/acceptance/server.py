"""A fake Attio and a fake Quo over real HTTP, for tests that start the command line as a user does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from typing import Any

import uvicorn

from syncfsm.outside.clock import SystemClock
from syncfsm_simulator.fakes.asgi import Receive, Scope, Send
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.quo.app import FakeQuo, beside
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World


class Server:
    """A fake Attio, with a fake Quo beside it, on a port and in a thread of its own.

    It can be told to hold its answers. `queries` counts those of each object by its slug.
    """

    def __init__(
        self, people: int, *, companies: int | None = None, quo_requests_per_s: int = 10, **settings: Any
    ) -> None:
        self.world = World(1, people=people, now=EPOCH, companies=companies)
        self.queries: Counter[str] = Counter()
        self.fake = FakeAttio(self.world, SystemClock(), **settings)
        self.quo = FakeQuo(SystemClock(), requests_per_s=quo_requests_per_s)
        self.is_holding = threading.Event()
        self._release = threading.Event()
        self._queries_left: int | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app, interface="asgi3", log_level="error", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()

    def hold_after(self, queries: int | None) -> None:
        """Answer so many more queries, then let the next one wait; `is_holding` tells when it does."""
        self._queries_left = queries
        self.is_holding.clear()
        release, self._release = self._release, threading.Event()
        release.set()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/records/query"):
            self.queries[scope["path"].split("/")[-3]] += 1
        if self._queries_left is not None and scope["path"].endswith("/query"):
            self._queries_left -= 1
            if self._queries_left < 0:
                self.is_holding.set()
                await asyncio.to_thread(self._release.wait)
        await beside(self.quo, self.fake)(scope, receive, send)

    def close(self) -> None:
        self.hold_after(None)
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

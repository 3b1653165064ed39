"""A fake Attio and a fake Quo over real HTTP, for tests that start the command line as a user does."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import ExitStack
from email.utils import formatdate
from typing import Any

from syncfsm.outside.clock import SystemClock
from syncfsm_simulator.fakes.asgi import Receive, Scope, Send
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.quo.app import FakeQuo, beside
from syncfsm_simulator.fakes.serve import served
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
        self._open = ExitStack()
        self.url = self._open.enter_context(served(self._app))

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
        await beside(self.quo, self.fake)(scope, receive, _dated(send))

    def close(self) -> None:
        self.hold_after(None)
        self._open.close()


def _dated(send: Send) -> Send:
    """Let answers have a date of the server's too, as a proxy may add one."""

    async def dated(message: Any) -> None:
        if message["type"] == "http.response.start":
            date = (b"date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [date, *message["headers"]]}
        await send(message)

    return dated

"""A server's connections with bounds: how many there are, and how long one may take over a request.

uvicorn answers 503 where too much is under way at once, but lets anybody hold a connection on which nothing
comes, or a byte a minute. Here a connection ends if its request, from its first byte or that of the
connection to the answer's last, is not over in time; and where there are as many as there may be, the next is
closed at once, so that no other needs its file. Whoever sends webhooks tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from syncfsm.cli.shared.output import say

CONNECTIONS_MAX = 100
"""Attio sends 25 messages a second at most, each of which is answered within milliseconds."""

REQUEST_S_MAX = 20.0
"""A message of a few hundred bytes is there at once; one that trickles is sent again, whole."""

HEADERS_BYTES_MAX = 16 * 1024

BACKLOG = 64
"""Connections that wait to be accepted. Python asks for so many at a time, also where no file is left."""

SAID_EVERY_S = 60.0


class Bounded(H11Protocol):
    """One connection, which is closed if its request takes too long, or if there are too many."""

    connections_max = CONNECTIONS_MAX
    request_s_max = REQUEST_S_MAX
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin, if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.abort()
        else:
            self._restart()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._restart()

    def _restart(self) -> None:
        self._stop()
        self._deadline = self.loop.call_later(self.request_s_max, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def say_once(moment: Callable[[], float]) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return what an event loop does with errors that nobody awaits: where no file is left, a line a minute.

    Python tries to accept again a second later.
    """
    said_at = -SAID_EVERY_S

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_at
        if "out of system resource" not in context.get("message", ""):
            loop.default_exception_handler(context)
        elif moment() - said_at >= SAID_EVERY_S:
            said_at = moment()
            say("waiting: no more files can be opened, so that no connection can be accepted", err=True)

    return handler

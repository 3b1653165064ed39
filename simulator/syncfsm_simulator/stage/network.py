"""The network between the engine and the fake: the ports at which most things go wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import httpx
import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.stage.effects.pages import PAGE, AskedBy, PageOfRows
from syncfsm_simulator.stage.effects.requests import REQUEST, Asking
from syncfsm_simulator.stage.faults import Faults
from syncfsm_simulator.stage.port import Beside


class Asked(msgspec.Struct, frozen=True):
    """A request was made: when by the engine's clock, and when in truth."""

    at: datetime
    true_at: datetime


class FaultyTransport(httpx.AsyncBaseTransport):
    """Answers from the fake, or fails as networks do.

    Args:
        inner: Where requests go when nothing goes wrong.
        faults: What goes wrong.
        clock: True time, for latency and dates.
        latency_ms: The least and the most that an answer takes.
        before_request: Called first.
        beside: What else may happen while a request is under way.
        asked_by: Tells who asks.

    Attributes:
        unnamed: The ids of people whose row came without its id.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        faults: Faults,
        clock: Clock,
        *,
        latency_ms: tuple[int, int],
        before_request: Callable[[], None],
        beside: Beside,
        asked_by: Callable[[], AskedBy] = lambda: "sync",
    ) -> None:
        self.unnamed: set[str] = set()
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._latency_ms = latency_ms
        self._before_request = before_request
        self._beside = beside
        self._asked_by = asked_by

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail as networks do."""
        self._before_request()
        visit = self._faults.visit(REQUEST)
        asking = Asking(
            request=request,
            rng=visit.rng,
            clock=self._clock,
            latency_ms=self._latency_ms,
            beside=self._beside,
            served=self._inner.handle_async_request,
            answered=self._answered,
        )
        return await visit.perform(asking)

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        """Let the fake answer, and something happen to the rows of a page."""
        response = await self._inner.handle_async_request(request)
        is_page = request.url.path.endswith("/people/records/query") and response.is_success
        return await self._paged(request, response) if is_page else response

    async def _paged(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        visit = self._faults.visit(PAGE)
        if visit.kind is None:
            return response
        body = await response.aread()
        rows = msgspec.json.decode(body)["data"]
        if rows:
            asked = msgspec.json.decode(request.content)
            page = PageOfRows(
                rows=rows,
                limit=asked["limit"],
                rng=visit.rng,
                unnamed=self.unnamed,
                asked_by=self._asked_by(),
                is_listed="record_id" in asked.get("filter", {}),
            )
            body = msgspec.json.encode({"data": visit.perform(page)})
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return httpx.Response(200, headers=headers, content=body)

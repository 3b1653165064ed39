"""The network between the engine and the fake: the ports at which most things go wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import httpx
import msgspec

from syncfsm.core.backoff import parse_retry_after
from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.asgi import http_date
from syncfsm_simulator.stage.effects.pages import (
    LOOK_UP,
    PAGE,
    AskedBy,
    LookedUp,
    PageOfRows,
    Rows,
    without_hidden,
)
from syncfsm_simulator.stage.effects.requests import REQUEST, SCHEMA, Asking
from syncfsm_simulator.stage.faults import Faults
from syncfsm_simulator.stage.port import Beside


class Asked(msgspec.Struct, frozen=True):
    """A request was made.

    Attributes:
        at: When, by the engine's clock.
        true_at: When in truth.
        engine: Which engine made it.
        jumps: How often the engine's clock had been set.
        slept: What the engine had slept since its last request, each time, seconds.
        not_before: When it may be made in truth, as a server told this engine before; null if none did.
    """

    at: datetime
    true_at: datetime
    engine: int = 0
    jumps: int = 0
    slept: tuple[float, ...] = ()
    not_before: datetime | None = None


class FaultyTransport(httpx.AsyncBaseTransport):
    """Answers from the fake, or fails as networks do.

    Args:
        inner: Where requests go when nothing goes wrong.
        faults: What goes wrong.
        clock: True time, for latency and dates.
        latency_ms: The least and the most that an answer takes.
        before_request: Called first.
        before_schema: Called in its place before attributes are asked for; `before_request` if `None`.
        beside: What else may happen while a request is under way.
        asked_by: Tells who asks.

    Attributes:
        unnamed: The ids of people whose row came without its id.
        untold: The ids of people whose row came without an attribute, each with that.
        undecoded: The ids of people whose row came with a byte that is no text.
        on_told: Called with how long a server says that it is not to be asked.
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
        before_schema: Callable[[], None] | None = None,
        asked_by: Callable[[], AskedBy] = lambda: "sync",
    ) -> None:
        self.unnamed: set[str] = set()
        self.untold: set[tuple[str, str]] = set()
        self._hidden: dict[str, int] = {}
        self.undecoded: set[str] = set()
        self.on_told: Callable[[float], None] = lambda _wait_s: None
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._latency_ms = latency_ms
        self._before_request = before_request
        self._before_schema = before_schema or before_request
        self._beside = beside
        self._asked_by = asked_by

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail as networks do."""
        is_schema = request.url.path.endswith("/attributes")
        (self._before_schema if is_schema else self._before_request)()
        visit = self._faults.visit(SCHEMA if is_schema else REQUEST)
        asking = Asking(
            request=request,
            rng=visit.rng,
            clock=self._clock,
            latency_ms=self._latency_ms,
            beside=self._beside,
            served=self._inner.handle_async_request,
            answered=self._answered,
        )
        response = await visit.perform(asking)
        response.headers.setdefault("Date", http_date(self._clock.now()))  # as every server with a clock does
        wait_s = parse_retry_after(response.headers.get("Retry-After"), self._clock.now())
        if wait_s and response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.on_told(wait_s)
        return response

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        """Let the fake answer, and something happen to the rows of a page or of a look-up."""
        response = await self._inner.handle_async_request(request)
        if response.is_success and request.url.path.endswith("/people/records/query"):
            return await self._paged(request, response)
        if response.is_success and request.url.path.endswith("/companies/records/query"):
            return await self._looked_up(response)
        return response

    async def _paged(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        visit = self._faults.visit(PAGE)
        if self._faults.is_calm:
            self._hidden.clear()
        if visit.kind is None and not self._hidden:
            return response
        rows = await _rows(response)
        if rows:
            asked = msgspec.json.decode(request.content)
            page = PageOfRows(
                rows=rows,
                limit=asked["limit"],
                rng=visit.rng,
                unnamed=self.unnamed,
                hidden=self._hidden,
                undecoded=self.undecoded,
                asked_by=self._asked_by(),
                is_listed="record_id" in asked.get("filter", {}),
            )
            rows = visit.perform(page)
            self.untold |= without_hidden(rows, self._hidden)
        return _with_rows(response, rows)

    async def _looked_up(self, response: httpx.Response) -> httpx.Response:
        visit = self._faults.visit(LOOK_UP)
        rows = await _rows(response) if visit.kind else []
        return _with_rows(response, visit.perform(LookedUp(rows, visit.rng))) if rows else response


async def _rows(response: httpx.Response) -> Rows:
    rows: Rows = msgspec.json.decode(await response.aread())["data"]
    return rows


def _with_rows(response: httpx.Response, rows: Rows) -> httpx.Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return httpx.Response(200, headers=headers, content=msgspec.json.encode({"data": rows}))

"""The network between the engine and the fake: the door at which most things go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import httpx
import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.stage.answers import broken, cut, refusal, spoiled
from syncfsm_simulator.stage.faults import Faults, Visit

TIMEOUT_S = 30.0
"""How long a request hangs before the client's timeout ends it."""

Meanwhile = Mapping[str, Callable[[Visit], Awaitable[None]]]
"""What else happens while a request is under way, by the kind of strike."""


class Crash(BaseException):
    """The engine's process died here. Only the log and the sink remain."""


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
        meanwhile: What happens beside the request for some kinds of strike.

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
        meanwhile: Meanwhile,
    ) -> None:
        self.unnamed: set[str] = set()
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._latency_ms = latency_ms
        self._before_request = before_request
        self._meanwhile = meanwhile

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail as networks do."""
        self._before_request()
        visit = self._faults.visit("request")
        kind = visit.kind or ""
        if kind == "crash_before_request":
            raise Crash
        await self._clock.sleep(self._latency_s(visit))
        _lose_connection(kind, request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        refused = refusal(kind, self._clock.now(), visit.rng, token)
        if refused is not None:
            return refused
        if kind in self._meanwhile:
            await self._meanwhile[kind](visit)
        return await self._answer(request, visit)

    async def _answer(self, request: httpx.Request, visit: Visit) -> httpx.Response:
        """Let the fake answer; what breaks now breaks after it did its work."""
        response = await self._inner.handle_async_request(request)
        match visit.kind:
            case "crash_after_answer":
                raise Crash
            case "reset_before_body":
                raise httpx.ReadError("connection reset", request=request)
            case "truncated":
                return cut(await response.aread(), visit.rng)
            case "reset_in_body":
                return broken(await response.aread(), visit.rng)
        is_page = request.url.path.endswith("/people/records/query") and response.is_success
        return await self._spoil(request, response) if is_page else response

    async def _spoil(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        visit = self._faults.visit("page")
        if visit.kind is None:
            return response
        limit = msgspec.json.decode(request.content)["limit"]
        body, record_id = spoiled(visit.kind, await response.aread(), limit, visit.rng)
        if record_id is not None:
            self.unnamed.add(record_id)
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return httpx.Response(200, headers=headers, content=body)

    def _latency_s(self, visit: Visit) -> float:
        latency_s = visit.rng.uniform(*self._latency_ms) / 1000
        if visit.kind in {"connect_timeout", "read_timeout"}:
            return TIMEOUT_S
        return latency_s * 50 if visit.kind == "slow" else latency_s


def _lose_connection(kind: str, request: httpx.Request) -> None:
    """Raise what httpx raises where there is no answer at all."""
    match kind:
        case "refused":
            raise httpx.ConnectError("connection refused", request=request)
        case "connect_timeout":
            raise httpx.ConnectTimeout("no connection", request=request)
        case "read_timeout":
            raise httpx.ReadTimeout("no answer", request=request)

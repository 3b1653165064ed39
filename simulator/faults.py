"""What goes wrong, drawn from the seed: in the network, at the API's edge, and in the engine's own life.

Faults stand between the real engine and the fake API, at the doors that production has too: the HTTP
transport and the log. Each kind has its own rate, and every one that strikes is counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime

import httpx
import msgspec

from syncfsm.clock import Clock
from syncfsm.events import Recorded
from syncfsm.log import EventLog
from syncfsm.process import Process

TIMEOUT_S = 30.0
"""How long a request hangs before the client's timeout ends it."""


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often each fault strikes: for each request, or for each append (`crash`). From 0 to 1.

    Attributes:
        rate_limited: 429, with `Retry-After` as the date of the next second or a few later.
        unavailable: 500 with JSON, 502 with HTML, 503 with plain text.
        refused: No connection.
        timeout: No answer.
        reset: The connection breaks after the server did its work.
        truncated: Half of a body.
        slow: An answer that takes many times as long.
        crash: The engine dies, just before or just after an append.
    """

    rate_limited: float = 0.0
    unavailable: float = 0.0
    refused: float = 0.0
    timeout: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    slow: float = 0.0
    crash: float = 0.0


class Crash(BaseException):
    """The engine's process died here. Only the log and the sink remain."""


class Faults:
    """Draws faults by their rates, until it is told to stop, and counts them."""

    def __init__(self, rates: Rates, rng: random.Random) -> None:
        self.rng = rng
        self.struck: Counter[str] = Counter()
        self._rates = rates
        self._kinds = [name for name in Rates.__struct_fields__ if name != "crash"]

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self._rates = Rates()

    def draw_request_fault(self) -> str | None:
        """Return what goes wrong with the next request, if anything."""
        number = self.rng.random()
        for kind in self._kinds:
            number -= getattr(self._rates, kind)
            if number < 0:
                self.struck[kind] += 1
                return kind
        return None

    def crash(self) -> None:
        """Die, perhaps.

        Raises:
            Crash: This time.
        """
        if self.rng.random() < self._rates.crash:
            self.struck["crash"] += 1
            raise Crash


class FaultyTransport(httpx.AsyncBaseTransport):
    """The network between the engine and the fake.

    Args:
        inner: Where requests go when nothing goes wrong.
        faults: What goes wrong.
        clock: For latency and dates.
        latency_ms: The least and the most that an answer takes.
        before_request: Called first; moves the world.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        faults: Faults,
        clock: Clock,
        *,
        latency_ms: tuple[int, int],
        before_request: Callable[[], None],
    ) -> None:
        self.asked_at: list[datetime] = []
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._latency_ms = latency_ms
        self._before_request = before_request

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail as networks do."""
        self.asked_at.append(self._clock.now())
        self._before_request()
        fault = self._faults.draw_request_fault()
        await self._clock.sleep(self._latency_s(fault))
        match fault:
            case "rate_limited":
                return self._rate_limited()
            case "unavailable":
                return self._unavailable()
            case "refused":
                raise httpx.ConnectError("connection refused", request=request)
            case "timeout":
                raise httpx.ReadTimeout("no answer", request=request)
        response = await self._inner.handle_async_request(request)
        if fault == "reset":
            raise httpx.ReadError("connection reset", request=request)
        return await _cut(response) if fault == "truncated" else response

    def _latency_s(self, fault: str | None) -> float:
        latency_s = self._faults.rng.uniform(*self._latency_ms) / 1000
        if fault == "timeout":
            return TIMEOUT_S
        return latency_s * 50 if fault == "slow" else latency_s

    def _rate_limited(self) -> httpx.Response:
        now = self._clock.now()
        until = now.replace(microsecond=0) + timedelta(seconds=self._faults.rng.randint(1, 5))
        body = {
            "status_code": 429,
            "type": "rate_limit_error",
            "code": "rate_limit_exceeded",
            "message": "Rate limit exceeded, please try again later",
        }
        headers = {"Date": _http_date(now), "Retry-After": _http_date(until)}
        return httpx.Response(429, headers=headers, json=body)

    def _unavailable(self) -> httpx.Response:
        answers = (
            httpx.Response(500, json={"status_code": 500, "message": "Internal error"}),
            httpx.Response(502, html="<html><body><h1>502 Bad Gateway</h1></body></html>"),
            httpx.Response(503, text="Service Unavailable"),
        )
        return self._faults.rng.choice(answers)


async def _cut(response: httpx.Response) -> httpx.Response:
    body = await response.aread()
    return httpx.Response(response.status_code, content=body[: len(body) // 2])


def _http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


class CrashingLog:
    """An event log whose writer may die just before or just after an append."""

    def __init__(self, inner: EventLog, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def __getattr__(self, name: str) -> object:
        """Leave everything but the append to the real log."""
        return getattr(self._inner, name)

    def append(self, events: Sequence[Recorded], *, expected_version: int, after: Process) -> None:
        """Append, and perhaps die."""
        self._faults.crash()
        self._inner.append(events, expected_version=expected_version, after=after)
        self._faults.crash()

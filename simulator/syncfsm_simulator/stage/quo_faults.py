"""The network before the fake Quo, where things go wrong: before the server does its work, or after.

What happens at a visit is drawn from the seed and the visit's number alone. What goes wrong after the work
is what makes duplicates: a contact is created, and nobody hears of it.
"""

from __future__ import annotations

import random
from collections import Counter

import httpx
import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.quo.app import QuoError
from syncfsm_simulator.stage.effects.requests import TIMEOUT_S
from syncfsm_simulator.stage.port import Crash

BEFORE = ("limited", "limited_with_date", "error_500", "connect_timeout", "crash_before")
AFTER = ("error_500_after", "read_timeout_after", "reset_after", "cut_short", "crash_after")
KINDS = (*BEFORE, *AFTER)


class QuoDoor(httpx.AsyncBaseTransport):
    """Answers from the fake, or fails as networks and servers do.

    Args:
        inner: Where requests go.
        clock: For timeouts.
        seed: Decides what goes wrong, and when.
        rate: How often something does, from 0 to 1; each kind as often as the others.
        kinds: What may go wrong.

    Attributes:
        struck: How often each kind has struck.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        clock: Clock,
        *,
        seed: int,
        rate: float,
        kinds: tuple[str, ...] = KINDS,
    ) -> None:
        self.struck: Counter[str] = Counter()
        self._inner = inner
        self._clock = clock
        self._seed = seed
        self._rate = rate
        self._kinds = kinds
        self._visits = 0

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self._rate = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail."""
        rng = random.Random(f"{self._seed}:quo:{self._visits}")
        self._visits += 1
        kind = rng.choice(self._kinds) if rng.random() < self._rate else ""
        if kind:
            self.struck[kind] += 1
        refused = await self._refused(kind, request)
        if refused is not None:
            return refused
        response = await self._inner.handle_async_request(request)
        return await self._spoilt(kind, request, response)

    async def _refused(self, kind: str, request: httpx.Request) -> httpx.Response | None:
        """Fail before the server has done anything, if so it is to be."""
        match kind:
            case "limited":
                return _answer(429)
            case "limited_with_date":
                return _answer(429, {"Retry-After": "2"})
            case "error_500":
                return _answer(500)
            case "connect_timeout":
                await self._clock.sleep(TIMEOUT_S)
                raise httpx.ConnectTimeout("no connection", request=request)
            case "crash_before":
                raise Crash
        return None

    async def _spoilt(self, kind: str, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        """Fail after the server has done its work, if so it is to be."""
        body = await response.aread()
        match kind:
            case "error_500_after":
                return _answer(500)
            case "read_timeout_after":
                await self._clock.sleep(TIMEOUT_S)
                raise httpx.ReadTimeout("no answer", request=request)
            case "reset_after":
                raise httpx.ReadError("connection reset", request=request)
            case "cut_short":
                return httpx.Response(response.status_code, content=body[: len(body) // 2])
            case "crash_after":
                raise Crash
        return response


def _answer(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    reply = QuoError(status, "It went wrong.").reply()
    sent = {**reply.headers, **(headers or {})}
    assert msgspec.json.decode(reply.body), "every error has a body"
    return httpx.Response(status, headers=sent, content=reply.body)

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
from syncfsm_simulator.stage.effects.requests import (
    TIMEOUT_S,
    Asking,
    Effect,
    broken,
    crash_after,
    refused,
    reset_before_body,
    unanswered,
)
from syncfsm_simulator.stage.port import Alone, crash


def _answer(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    reply = QuoError(status, "It went wrong.").reply()
    sent = {**reply.headers, **(headers or {})}
    assert msgspec.json.decode(reply.body), "every error has a body"
    return httpx.Response(status, headers=sent, content=reply.body)


async def _read_timeout(asking: Asking) -> httpx.Response:
    """Let the server do its work, and the answer never come."""
    await asking.served(asking.request)
    await asking.clock.sleep(TIMEOUT_S)
    raise httpx.ReadTimeout("no answer", request=asking.request)


async def _cut_short(asking: Asking) -> httpx.Response:
    """Let the answer end in its middle, as if it were whole."""
    response = await asking.served(asking.request)
    body = await response.aread()
    return httpx.Response(response.status_code, content=body[: len(body) // 2])


_EFFECTS: dict[str, Effect] = {
    # before the server does its work
    "limited": refused(lambda *_: _answer(429)),
    "limited_with_date": refused(lambda *_: _answer(429, {"Retry-After": "2"})),
    "error_500": refused(lambda *_: _answer(500)),
    "connect_timeout": unanswered(httpx.ConnectTimeout, "no connection", TIMEOUT_S),
    "crash_before": crash,
    # after it
    "error_500_after": broken(lambda *_: _answer(500)),
    "read_timeout_after": _read_timeout,
    "reset_after": reset_before_body,
    "cut_short": _cut_short,
    "crash_after": crash_after,
}
KINDS = tuple(_EFFECTS)


class FaultyQuo(httpx.AsyncBaseTransport):
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
        if rng.random() >= self._rate:
            return await self._inner.handle_async_request(request)
        kind = rng.choice(self._kinds)
        self.struck[kind] += 1
        asking = Asking(
            request=request,
            rng=rng,
            clock=self._clock,
            latency_ms=(0, 0),
            beside=Alone(),
            served=self._inner.handle_async_request,
            answered=self._inner.handle_async_request,
        )
        return await _EFFECTS[kind](asking)

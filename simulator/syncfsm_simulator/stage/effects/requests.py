"""What may happen to a request: refused, lost, slow, answered and broken, or the world goes on meanwhile."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.stage.effects.answers import Breakage, Refusal, Trickle
from syncfsm_simulator.stage.effects.pages import NO_TEXT
from syncfsm_simulator.stage.port import Beside, Crash, Port

TIMEOUT_S = 30.0
"""How long a request hangs before the client's timeout ends it."""

SLOW_TIMES = 50
"""How many times as long a slow answer takes."""

JUMP_S_MAX = 600.0
"""The furthest that a clock jumps by itself."""

FAR_S = (3600.0, 3 * 24 * 3600.0)
"""How far a clock jumps at the least and at the most where a machine wakes up, or is put right."""

_AS_OF = "x-accurate-at"

Answering = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Asking(msgspec.Struct, frozen=True):
    """A request under way.

    Attributes:
        request: What is asked.
        rng: Chance for the details.
        clock: True time.
        latency_ms: The least and the most that an answer takes.
        beside: What else may happen meanwhile.
        served: Lets the server do its work, and returns its answer before anything happens to it.
        answered: The same, with what happens to the rows of pages.
    """

    request: httpx.Request
    rng: random.Random
    clock: Clock
    latency_ms: tuple[int, int]
    beside: Beside
    served: Answering
    answered: Answering

    async def wait(self, times: int = 1) -> None:
        """Wait as long as an answer takes, so many times."""
        await self.clock.sleep(self.rng.uniform(*self.latency_ms) / 1000 * times)


Effect = Callable[[Asking], Awaitable[httpx.Response]]


async def _usual(asking: Asking) -> httpx.Response:
    await asking.wait()
    return await asking.answered(asking.request)


REQUEST: Port[Asking, Awaitable[httpx.Response]] = Port("request", _usual)

SCHEMA: Port[Asking, Awaitable[httpx.Response]] = Port("schema", _usual)
"""The request for the attributes of an object, which has a count of its own: it came later than the seeds."""


def refused(refusal: Refusal) -> Effect:
    """Let the server refuse, without having done anything."""

    async def effect(asking: Asking) -> httpx.Response:
        await asking.wait()
        token = asking.request.headers.get("Authorization", "").removeprefix("Bearer ")
        return refusal(asking.clock.now(), asking.rng, token)

    return effect


def broken(breakage: Breakage) -> Effect:
    """Break the answer, when the server has done its work."""

    async def effect(asking: Asking) -> httpx.Response:
        await asking.wait()
        response = await asking.served(asking.request)
        return breakage(await response.aread(), asking.rng)

    return effect


def unanswered(error: type[httpx.RequestError], words: str, after_s: float | None = None) -> Effect:
    """Let there be no answer at all, after so long, or as soon as one would have come."""

    async def effect(asking: Asking) -> httpx.Response:
        await (asking.wait() if after_s is None else asking.clock.sleep(after_s))
        raise error(words, request=asking.request)

    return effect


async def reset_before_body(asking: Asking) -> httpx.Response:
    """Lose the connection when the server has done its work."""
    await asking.wait()
    await asking.served(asking.request)
    raise httpx.ReadError("connection reset", request=asking.request)


async def undecodable(asking: Asking) -> httpx.Response:
    """Let all texts of an answer that is no page begin with a byte that is no UTF-8, and a page with one."""
    await asking.wait()
    response = await asking.served(asking.request)
    body = await response.aread()
    is_page = asking.request.url.path.endswith("/people/records/query")
    content = NO_TEXT + body if is_page else body.replace(b'":"', b'":"' + NO_TEXT)
    return httpx.Response(response.status_code, headers={"Content-Type": "application/json"}, content=content)


async def slow(asking: Asking) -> httpx.Response:
    """Let the answer take many times as long."""
    await asking.wait(SLOW_TIMES)
    return await asking.answered(asking.request)


async def crash_after(asking: Asking) -> httpx.Response:
    """Let the engine die when the server has done its work."""
    await asking.wait()
    await asking.served(asking.request)
    raise Crash


# ── what happens meanwhile ───────────────────────────────────────────────────────────────────


async def rival_step(asking: Asking) -> httpx.Response:
    """Let another worker take the same step while the request is under way."""
    await asking.wait()
    await asking.beside.another_step()
    return await asking.answered(asking.request)


async def cancelled(asking: Asking) -> httpx.Response:
    """Let somebody cancel the sync while the request is under way."""
    await asking.wait()
    await asking.beside.cancel()
    return await asking.answered(asking.request)


async def clock_ahead(asking: Asking) -> httpx.Response:
    """Set the engine's clock ahead while the request is under way."""
    return await _jumped(asking, 1)


async def clock_back(asking: Asking) -> httpx.Response:
    """Set the engine's clock back while the request is under way."""
    return await _jumped(asking, -1)


async def clock_ahead_far(asking: Asking) -> httpx.Response:
    """Set the engine's clock ahead by hours or days."""
    return await _jumped(asking, 1, FAR_S)


async def clock_back_far(asking: Asking) -> httpx.Response:
    """Set the engine's clock back by hours or days."""
    return await _jumped(asking, -1, FAR_S)


async def _jumped(
    asking: Asking, sign: int, between_s: tuple[float, float] = (1, JUMP_S_MAX)
) -> httpx.Response:
    await asking.wait()
    asking.beside.jump(sign * asking.rng.uniform(*between_s))
    return await asking.answered(asking.request)


# ── what is wrong with an answer that is right ───────────────────────────────────────────────


async def trickling(asking: Asking) -> httpx.Response:
    """Let the body come so slowly that it takes longer than anybody waits."""
    response = await _usual(asking)
    body = Trickle(await response.aread(), asking.clock.sleep)
    return httpx.Response(response.status_code, headers=_headers(response), stream=body)


async def undated(asking: Asking) -> httpx.Response:
    """Let the answer not say of what moment it is."""
    response = await _usual(asking)
    return httpx.Response(
        response.status_code, headers=_headers(response, but=_AS_OF), content=await response.aread()
    )


async def dated_ahead(asking: Asking) -> httpx.Response:
    """Let the answer say that it is of a moment that is still to come."""
    response = await _usual(asking)
    as_of = asking.clock.now() + timedelta(days=asking.rng.uniform(0.1, 3))
    headers = _headers(response, but=_AS_OF) | {_AS_OF: as_of.isoformat()}
    return httpx.Response(response.status_code, headers=headers, content=await response.aread())


def _headers(response: httpx.Response, but: str = "") -> dict[str, str]:
    """Return the headers of an answer, but for one and for its length."""
    left_out = {"content-length", but}
    return {name: value for name, value in response.headers.items() if name not in left_out}

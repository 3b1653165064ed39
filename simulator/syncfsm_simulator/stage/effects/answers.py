"""Answers as they come on a bad day: error bodies, broken bodies, broken connections."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import httpx
import msgspec

from syncfsm_simulator.fakes.asgi import http_date
from syncfsm_simulator.fakes.attio import errors

Refusal = Callable[[datetime, random.Random, str], httpx.Response]
"""Makes the answer of a server that refuses, of the time, chance, and the key that it was sent.

Some of them repeat the key, as careless servers do.
"""

Breakage = Callable[[bytes, random.Random], httpx.Response]
"""Makes an answer that is broken, of the body that it should have had and of chance."""

RetryAfter = Callable[[datetime, int, random.Random], str | None]
"""Says what `Retry-After` says, of the time, of how many seconds it is to be, and of chance."""

_TRICKLES = 60
_TRICKLE_S = 20.0
"""So a trickling body takes twenty minutes."""

_JSON = {"Content-Type": "application/json; charset=utf-8"}


def _error(error: errors.ApiError, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(error.status, headers=headers or _JSON, content=msgspec.json.encode(error.body))


def _internal(status: int, message: str) -> httpx.Response:
    return _error(errors.ApiError(status, "internal_error", message, type_="api_error"))


# ── one request too many ─────────────────────────────────────────────────────────────────────


def limited(retry_after: RetryAfter) -> Refusal:
    """Return a 429 with such a `Retry-After`."""

    def refusal(now: datetime, rng: random.Random, _token: str) -> httpx.Response:
        said = retry_after(now, rng.randint(1, 5), rng)
        headers = {**_JSON, "Date": http_date(now), **({} if said is None else {"Retry-After": said})}
        return _error(errors.RateLimited(now), headers)

    return refusal


def a_date(now: datetime, ahead_s: int, _: random.Random) -> str:
    """A date a few seconds ahead, as Attio sends it."""
    return http_date(now.replace(microsecond=0) + timedelta(seconds=ahead_s))


def seconds(_now: datetime, ahead_s: int, _rng: random.Random) -> str:
    """A few seconds."""
    return str(ahead_s)


def many_seconds(_now: datetime, _: int, rng: random.Random) -> str:
    """More seconds than one wait may be, and fewer than make somebody impatient."""
    return str(rng.randint(301, 1500))


def a_past_date(now: datetime, _: int, _rng: random.Random) -> str:
    """A date that has passed."""
    return http_date(now - timedelta(hours=1))


def a_far_date(now: datetime, _: int, _rng: random.Random) -> str:
    """A date next year."""
    return http_date(now + timedelta(days=365))


def nonsense(_now: datetime, _: int, rng: random.Random) -> str:
    """Words and numbers that are no time."""
    return rng.choice(("soon", "-3", "1e999", "", "Thu, 32 Foo 2026 25:61:00 GMT"))


def nothing(*_: object) -> None:
    """No `Retry-After` at all."""


def score_window(now: datetime, _: int, _rng: random.Random) -> str:
    """A date ten seconds ahead, when the score of the last ten is forgotten."""
    return http_date(now.replace(microsecond=0) + timedelta(seconds=10))


# ── a server that is not well ────────────────────────────────────────────────────────────────


def error_500(_now: datetime, _: random.Random, token: str) -> httpx.Response:
    """An error with JSON, which repeats the key."""
    return _internal(500, f"Unexpected error while serving {token}.")


def error_502(*_: object) -> httpx.Response:
    """A gateway's error, with HTML."""
    return httpx.Response(502, html="<html><body><h1>502 Bad Gateway</h1></body></html>")


def error_503(*_: object) -> httpx.Response:
    """An error in plain text."""
    return httpx.Response(503, text="Service Unavailable")


def error_504(*_: object) -> httpx.Response:
    """A gateway that waited too long, with JSON."""
    return _internal(504, "Gateway timeout.")


def merge_in_progress(*_: object) -> httpx.Response:
    """A 404 for as long as a merge is under way."""
    return _error(errors.ApiError(404, "merge_in_progress", "This record is being merged."))


def unauthorized(_now: datetime, _: random.Random, token: str) -> httpx.Response:
    """A key that is not taken, for once; it is repeated."""
    return _error(errors.unauthorized(f"The key {token} was revoked."))


# ── bodies ───────────────────────────────────────────────────────────────────────────────────


def empty(*_: object) -> httpx.Response:
    """No body."""
    return httpx.Response(200, headers=_JSON)


def malformed(*_: object) -> httpx.Response:
    """No JSON."""
    return httpx.Response(200, headers=_JSON, content=b'{"data": [{"id": ')


def wrong_shape(*_: object) -> httpx.Response:
    """JSON, but not what was asked for."""
    return httpx.Response(200, headers=_JSON, content=b'{"data": {"people": 3}}')


def oversized(*_: object) -> httpx.Response:
    """A body that says it is far too large."""
    return httpx.Response(200, headers={**_JSON, "Content-Length": str(10**12)}, content=b'{"data": [')


def truncated(body: bytes, rng: random.Random) -> httpx.Response:
    """An answer that ends too early, as if it were whole."""
    return httpx.Response(200, headers=_JSON, content=body[: rng.randrange(max(1, len(body)))])


class _Reset(httpx.AsyncByteStream):
    """A body whose connection is reset before its end."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._start
        raise httpx.ReadError("connection reset")


class Trickle(httpx.AsyncByteStream):
    """A body that comes a little at a time, each in time for a client that waits for the next."""

    def __init__(self, body: bytes, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._body = body
        self._sleep = sleep

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = max(1, len(self._body) // _TRICKLES)
        for start in range(0, len(self._body), size):
            await self._sleep(_TRICKLE_S)
            yield self._body[start : start + size]


def reset_in_body(body: bytes, rng: random.Random) -> httpx.Response:
    """An answer whose connection breaks within the body."""
    return httpx.Response(200, headers=_JSON, stream=_Reset(body[: rng.randrange(max(1, len(body)))]))

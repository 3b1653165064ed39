"""Answers as they come on a bad day: error bodies, broken bodies, broken connections."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec

from syncfsm_simulator.fakes.asgi import http_date
from syncfsm_simulator.fakes.attio import errors

_JSON = {"Content-Type": "application/json; charset=utf-8"}


def refusal(kind: str, now: datetime, rng: random.Random, token: str) -> httpx.Response | None:
    """Return the answer of a server that refuses, or nothing if the kind is no refusal.

    Some of them repeat the key they were sent, as careless servers do.
    """
    if kind.startswith("limited_"):
        return _limited(kind, now, rng)
    make = _REFUSALS.get(kind)
    return make(token) if make else None


def _limited(kind: str, now: datetime, rng: random.Random) -> httpx.Response:
    ahead_s = rng.randint(1, 5)
    retry_after = {
        "limited_date": http_date(_second(now) + timedelta(seconds=ahead_s)),
        "limited_seconds": str(ahead_s),
        "limited_past": http_date(now - timedelta(hours=1)),
        "limited_far": http_date(now + timedelta(days=365)),
        "limited_nonsense": rng.choice(("soon", "-3", "1e999", "", "Thu, 32 Foo 2026 25:61:00 GMT")),
        "limited_score": http_date(_second(now) + timedelta(seconds=10)),
    }
    headers = {**_JSON, "Date": http_date(now)}
    if kind in retry_after:
        headers["Retry-After"] = retry_after[kind]
    return _error(errors.RateLimited(now), headers)


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _error(error: errors.ApiError, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(error.status, headers=headers or _JSON, content=msgspec.json.encode(error.body))


def _internal(status: int, message: str) -> httpx.Response:
    return _error(errors.ApiError(status, "internal_error", message, type_="api_error"))


_REFUSALS: dict[str, Callable[[str], httpx.Response]] = {
    "error_500": lambda token: _internal(500, f"Unexpected error while serving {token}."),
    "error_502": lambda _: httpx.Response(502, html="<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "error_503": lambda _: httpx.Response(503, text="Service Unavailable"),
    "error_504": lambda _: _internal(504, "Gateway timeout."),
    "merge_in_progress": lambda _: _error(
        errors.ApiError(404, "merge_in_progress", "This record is being merged.")
    ),
    "unauthorized": lambda token: _error(errors.unauthorized(f"The key {token} was revoked.")),
    "empty": lambda _: httpx.Response(200, headers=_JSON),
    "malformed": lambda _: httpx.Response(200, headers=_JSON, content=b'{"data": [{"id": '),
    "wrong_shape": lambda _: httpx.Response(200, headers=_JSON, content=b'{"data": {"people": 3}}'),
    "oversized": lambda _: httpx.Response(
        200, headers={**_JSON, "Content-Length": str(10**12)}, content=b'{"data": ['
    ),
}


def cut(body: bytes, rng: random.Random) -> httpx.Response:
    """Return an answer that ends too early, as if it were whole."""
    return httpx.Response(200, headers=_JSON, content=body[: rng.randrange(max(1, len(body)))])


class _Broken(httpx.AsyncByteStream):
    """A body whose connection is reset before its end."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._start
        raise httpx.ReadError("connection reset")


def broken(body: bytes, rng: random.Random) -> httpx.Response:
    """Return an answer whose connection breaks within the body."""
    return httpx.Response(200, headers=_JSON, stream=_Broken(body[: rng.randrange(max(1, len(body)))]))


def spoiled(kind: str, body: bytes, limit: int, rng: random.Random) -> tuple[bytes, str | None]:
    """Return a page with one row spoiled, within its limit, and the id of the record that lost it, if any."""
    rows: list[dict[str, Any]] = msgspec.json.decode(body)["data"]
    if not rows:
        return body, None
    place = rng.randrange(len(rows))
    if kind == "row_twice":
        rows.insert(place, rows[place])
        return msgspec.json.encode({"data": rows[:limit]}), None
    record_id: str = rows[place]["id"].pop("record_id")
    return msgspec.json.encode({"data": rows}), record_id

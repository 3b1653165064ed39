"""The fake Attio: an ASGI app over a world, so that the same code answers in process and over real HTTP.

It answers as the real API was documented and recorded: bodies, errors, headers, authentication, rate limits
whose `Retry-After` is a date, and webhooks. What it does not serve is a 404 in Attio's words.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.asgi import (
    BodyTooLarge,
    Receive,
    Reply,
    Scope,
    Send,
    header,
    http_date,
    lifespan,
    read_body,
    send_reply,
)
from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.deliveries import Deliveries
from syncfsm_simulator.fakes.attio.knobs import Knobs
from syncfsm_simulator.fakes.attio.rates import SecondLimit
from syncfsm_simulator.fakes.attio.request import Request
from syncfsm_simulator.fakes.attio.routes import SELF, Route, match
from syncfsm_simulator.fakes.attio.service import Service
from syncfsm_simulator.world.population import uuid
from syncfsm_simulator.world.world import World


class FakeAttio:
    """The app.

    Args:
        world: Where the records are.
        clock: For dates, for the rate limits and for webhooks.
        transport: Where webhooks are sent; the network if `None`.
        knobs: How it behaves: `reads_per_s=10`, any field of `Knobs`.

    Attributes:
        knobs: How it behaves.
        world: Where the records are.
        actor: Who writes through the API, as records and webhooks tell it.
        webhooks: Who wants to be told of what.
        deliveries: What is on its way to them.
        requests: How often each (method, route, status) was answered.
    """

    def __init__(
        self, world: World, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None, **knobs: Any
    ) -> None:
        self.knobs = msgspec.convert(knobs, Knobs)
        self.world = world
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self._clock = clock
        self._service = Service(world, clock, self.knobs)
        self.actor, self.webhooks = self._service.actor, self._service.webhooks
        self.deliveries = Deliveries(world, self.webhooks, clock, self.knobs, transport)
        self._reads = SecondLimit(self.knobs.reads_per_s)
        self._writes = SecondLimit(self.knobs.writes_per_s)
        self._rng = random.Random("execution ids")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] != "http":
            return None
        self.deliveries.start()
        if self.knobs.latency_s:
            await self._clock.sleep(self.knobs.latency_s)
        try:
            body: bytes | None = await read_body(receive)
        except BodyTooLarge:
            body = None
        if self.knobs.latency_us_per_offset and body:
            await self._clock.sleep(self.knobs.latency_us_per_offset * _offset(body) / 1_000_000)
        route, reply = self._answer(scope, body)
        self.requests[scope["method"], route.name, reply.status] += 1
        await send_reply(send, reply)
        return None

    def _answer(self, scope: Scope, body: bytes | None) -> tuple[Route, Reply]:
        """Return the route and the answer, with the headers that every answer has."""
        now = self._clock.now()
        route, params = match(scope["method"], scope["path"])
        headers = self._headers(now)
        try:
            reply = self._handled(route, params, scope, body, now)
        except errors.RateLimited as limited:
            headers["retry-after"] = http_date(limited.retry_at)
            reply = Reply(limited.status, msgspec.json.encode(limited.body))
        except errors.ApiError as error:
            reply = Reply(error.status, msgspec.json.encode(error.body))
        else:
            if route.name != SELF and not route.is_write:
                headers["x-accurate-at"] = f"{now:%Y-%m-%dT%H:%M:%S.%f}000Z"
        return route, Reply(reply.status, reply.body, {**headers, **reply.headers})

    def _handled(
        self, route: Route, params: dict[str, str], scope: Scope, body: bytes | None, now: datetime
    ) -> Reply:
        """Return what the route's handler answers.

        Raises:
            ApiError: The answer is no 2xx.
        """
        limit = self._writes if route.is_write else self._reads
        if (retry_at := limit.refuse(now)) is not None:
            raise errors.RateLimited(retry_at)
        if route.handler is None:
            raise errors.not_found(f'Could not find endpoint "{scope["method"]} {scope["path"]}".')
        if body is None:
            raise errors.too_large()
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        request = Request(body=body, params=params, query=query, token=_token(scope))
        if route.name != SELF:  # which has its own way of saying that a token is no good
            self._authorize(request.token, route.scopes)
            if route.name.startswith("/v2/webhooks") and self.knobs.token_level == "user":  # noqa: S105
                raise errors.for_workspaces_only()
        return route.handler(self._service, request)

    def _headers(self, now: datetime) -> dict[str, str]:
        return {
            "content-type": "application/json; charset=utf-8",
            "date": http_date(now),
            "vary": "Origin",
            "x-attio-execution-id": uuid(self._rng),
        }

    def _authorize(self, token: str | None, scopes: Sequence[str]) -> None:
        """Refuse a token that is missing, wrong, or without the scopes that a route needs."""
        if token is None:
            raise errors.unauthorized("No API key was provided. Use the header Authorization: Bearer <key>.")
        if not self._service.knows(token):
            raise errors.unauthorized("The API key could not be found; it was probably revoked.")
        if any(not self.knobs.scopes & {scope, f"{scope}-write"} for scope in scopes):
            raise errors.forbidden(list(scopes))


class _Paged(msgspec.Struct):
    """A body that may ask for an offset."""

    offset: int = 0


def _offset(body: bytes) -> int:
    """Return the offset that a body asks for; 0 where it asks for none that is a number."""
    try:
        return max(0, msgspec.json.decode(body, type=_Paged).offset)
    except (msgspec.DecodeError, RecursionError):
        return 0


def _token(scope: Scope) -> str | None:
    """Return the token: of the scheme Bearer, or the user's name of Basic, which Attio takes as well."""
    kind, _, token = (header(scope, b"authorization") or "").partition(" ")
    if kind.lower() == "basic":
        try:
            token = base64.b64decode(token, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return token.strip() or None if kind.lower() in {"bearer", "basic"} else None

"""The fake Attio: an ASGI app over a world, so that the same code answers in process and over real HTTP.

It answers as the real API was documented and recorded: bodies, errors, headers, authentication, and a rate
limit whose `Retry-After` is a date. What it does not serve is a 404 in Attio's words.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from simulator import errors
from simulator.asgi import (
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
from simulator.population import uuid
from simulator.query import LIMIT_MAX, LimitPolicy, Query, Ties
from simulator.routes import READ, SELF, Request, match
from simulator.schema import OBJECTS, ObjectType
from simulator.world import Entity, World
from syncfsm.clock import Clock

SCOPES = frozenset({*READ, "record_permission:read-write", "webhook:read-write", "user_management:read"})


class FakeAttio:
    """The app.

    Args:
        world: Where the records are.
        clock: For dates and for the rate limit.
        api_key: The one token accepted; any that is not empty if `None`.
        reads_per_s: Reads allowed in one second of the clock.
        latency_s: How long an answer takes.
        limit_policy: What to do about a `limit` above `limit_max`.
        limit_max: The most rows for one query.
        honours_sorts: Whether rows come in the order asked for.
        ties: How records come that a query's sorts leave tied.
        scopes: What the token may do.

    Attributes:
        requests: How often each (method, route, status) was answered.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        api_key: str | None = None,
        reads_per_s: int = 100,
        latency_s: float = 0.0,
        limit_policy: LimitPolicy = "clamp",
        limit_max: int = LIMIT_MAX,
        honours_sorts: bool = True,
        ties: Ties = "ordered",
        scopes: frozenset[str] = SCOPES,
    ) -> None:
        self.world = world
        self.scopes = scopes
        self.query = Query(
            world, limit_policy=limit_policy, limit_max=limit_max, honours_sorts=honours_sorts, ties=ties
        )
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self._clock = clock
        self._api_key = api_key
        self._latency_s = latency_s
        self._limit = _SecondLimit(reads_per_s)
        self._rng = random.Random("execution ids")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] != "http":
            return None
        if self._latency_s:
            await self._clock.sleep(self._latency_s)
        try:
            body: bytes | None = await read_body(receive)
        except BodyTooLarge:
            body = None
        route, reply = self._answer(scope, body)
        self.requests[scope["method"], route, reply.status] += 1
        await send_reply(send, reply)
        return None

    def _answer(self, scope: Scope, body: bytes | None) -> tuple[str, Reply]:
        """Return the name of the route and the answer, with the headers that every answer has."""
        method, path, now = scope["method"], scope["path"], self._clock.now()
        route, params = match(method, path)
        headers = self._headers(now)
        try:
            if (retry_at := self._limit.refuse(now)) is not None:
                headers["retry-after"] = http_date(retry_at)
                raise errors.rate_limited()
            if route.handler is None:
                raise errors.not_found(f'Could not find endpoint "{method} {path}".')
            if body is None:
                raise errors.too_large()
            request = Request(body=body, params=params, token=_token(scope))
            if route.name != SELF:  # which has its own way of saying that a token is no good
                self._authorize(request.token, route.scopes)
            reply = route.handler(self, request)
        except errors.ApiError as error:
            reply = Reply(error.status, msgspec.json.encode(error.body))
        else:
            if route.name != SELF:
                headers["x-accurate-at"] = f"{now:%Y-%m-%dT%H:%M:%S.%f}000Z"
        return route.name, Reply(reply.status, reply.body, {**headers, **reply.headers})

    def _headers(self, now: datetime) -> dict[str, str]:
        return {
            "content-type": "application/json; charset=utf-8",
            "date": http_date(now),
            "vary": "Origin",
            "x-attio-execution-id": uuid(self._rng),
        }

    def knows(self, token: str) -> bool:
        """Whether a token is one that this workspace gave out."""
        return self._api_key in {None, token}

    def _authorize(self, token: str | None, scopes: Sequence[str]) -> None:
        """Refuse a token that is missing, wrong, or without the scopes that a route needs."""
        if token is None:
            raise errors.unauthorized("No API key was provided. Use the header Authorization: Bearer <key>.")
        if not self.knows(token):
            raise errors.unauthorized("The API key could not be found; it was probably revoked.")
        if any(not self.scopes & {scope, f"{scope}-write"} for scope in scopes):
            raise errors.forbidden(list(scopes))

    def entity_rows(self, slug: str, rows: list[Entity]) -> bytes:
        """Return rows as a body, from the JSON that each record keeps of itself."""
        ids = self.world.ids_of(slug)
        return b'{"data":[' + b",".join([entity.encoded(ids) for entity in rows]) + b"]}"

    def object_type(self, name: str) -> ObjectType:
        """Return an object by slug or id.

        Raises:
            ApiError: A 404, as Attio would answer.
        """
        for slug, object_id in self.world.object_ids.items():
            if name in {slug, object_id}:
                return OBJECTS[slug]
        raise errors.not_found(f'Object with slug/ID "{name}" not found.')


class _SecondLimit:
    """So many in each second of the clock; the rest is told to come in the next one."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._second: datetime | None = None
        self._count = 0

    def refuse(self, now: datetime) -> datetime | None:
        """Count a request; return when to come again if it is one too many."""
        second = now.replace(microsecond=0)
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return second + timedelta(seconds=1) if self._count > self._per_s else None


def _token(scope: Scope) -> str | None:
    kind, _, token = (header(scope, b"authorization") or "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None

"""The receiver of webhooks: an ASGI app for any server or framework.

Nothing is answered with 200 before it is in the inbox, on the disk; nothing gets there that was not signed.
Who sends it tries again until it is answered so, with the same `Idempotency-Key`, by which a message that
comes again is known. The body and the secret are never repeated in an answer or a log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

import msgspec

from syncfsm.core.failure import Failure
from syncfsm.core.notices import Notice
from syncfsm.errors import ConfigurationError, LogError
from syncfsm.log.patience import patiently
from syncfsm.log.protocol import Inbox
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.webhooks.messages import Malformed, is_signed, read

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

BODY_BYTES_MAX = 1_048_576
"""A message of Attio's has a few hundred bytes; what is larger than this is not read to its end."""

KEY_BYTES_MAX = 200
"""A longer `Idempotency-Key` is no key."""

SIGNATURES = (b"attio-signature", b"x-attio-signature")

_STATUS = {
    "stored": 200,
    "replayed": 200,
    "ignored": 200,
    "malformed": 400,
    "unsigned": 401,
    "not_post": 405,
    "too_large": 413,
    "unwritable": 503,
}


class WebhookReceiver:
    """Takes the webhooks of one source object into the inbox of a log.

    Args:
        log: Opened in the thread that runs the app.
        secret: The webhook's secret, or several: each webhook has its own.
        source: The name of the source: `AttioSource.name`.
        object: The kind of its records.
        object_id: The id of that object in the source, as `AttioSource.object_id` returns it. Events of other
            objects are left out: asked for as this object's, their records would be taken for gone.
        clock: Time; the machine's if `None`.
        body_bytes_max: The longest body.

    Attributes:
        counts: How many messages were `stored`, `replayed`, `ignored` (nothing in them was of concern),
            `unsigned`, `malformed`, `too_large`, `unwritable`, `not_post`.

    Raises:
        ConfigurationError: There is no secret, or no id of the object.
    """

    def __init__(
        self,
        log: Inbox,
        secret: str | Sequence[str],
        *,
        source: str,
        object_id: str | Failure,
        object: str = "people",  # noqa: A002 - as everywhere
        clock: Clock | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._secrets = (secret,) if isinstance(secret, str) else tuple(secret)
        if not self._secrets or not all(one.strip() for one in self._secrets):
            raise ConfigurationError("there is no webhook secret: without it, anybody could send anything")
        if isinstance(object_id, Failure):
            raise ConfigurationError(f"whose records are meant cannot be told: {object_id.message}")
        if not object_id:
            raise ConfigurationError(
                "whose records are meant must be said: object_id=await source.object_id()"
            )
        self.counts: Counter[str] = Counter()
        self._log = log
        self._source = source
        self._object = object
        self._object_id = object_id
        self._clock = clock or SystemClock()
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            came_to = await self._take(scope, receive)
            if came_to:
                self.counts[came_to] += 1
                await _answer(send, came_to)

    async def _take(self, scope: Scope, receive: Receive) -> str:
        """Return what a request came to; nothing if its sender went away."""
        if scope["method"] != "POST":
            return "not_post"
        headers = _headers(scope)
        if _declared_bytes(headers) > self._body_bytes_max:
            return "too_large"
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > self._body_bytes_max:
                return "too_large"
            if not message.get("more_body", False):
                return await self._judge(headers, bytes(body))
        return ""

    async def _judge(self, headers: dict[bytes, bytes], body: bytes) -> str:
        """Return what a whole request came to; `stored` only when it is."""
        signature = next((headers[name] for name in SIGNATURES if name in headers), b"")
        if not is_signed(body, signature.strip().lower(), self._secrets):
            return "unsigned"
        try:
            message = read(body, self._object_id)
        except Malformed:
            return "malformed"
        if not message.record_ids:
            return "ignored"
        notice = Notice(
            source=self._source,
            object=self._object,
            key=_key(headers),
            record_ids=message.record_ids,
            received_at=self._clock.now(),
            gone=message.gone,
        )
        try:
            is_new = await patiently(self._log, self._clock, self._log.receive, notice)
        except LogError:
            return "unwritable"  # it is sent again
        return "stored" if is_new else "replayed"


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in scope["headers"]}


def _declared_bytes(headers: dict[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


def _key(headers: dict[bytes, bytes]) -> str | None:
    """Return the key by which the same message is known; without one, each counts as another."""
    key = headers.get(b"idempotency-key", b"").strip()
    return key.decode("latin-1") if 0 < len(key) <= KEY_BYTES_MAX else None


async def _answer(send: Send, came_to: str) -> None:
    body = msgspec.json.encode({"status": came_to})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if came_to == "not_post":
        headers.append((b"allow", b"POST"))
    if came_to == "too_large":
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": _STATUS[came_to], "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with the server; there is nothing to do for it."""
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": message["type"] + ".complete"})

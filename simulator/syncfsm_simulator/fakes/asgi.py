"""The little of ASGI that a fake API needs: a request, an answer, HTTP dates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX = 10 * 1024 * 1024


class BodyTooLarge(Exception):
    """The request's body passes the limit."""


class Reply(msgspec.Struct, frozen=True):
    """An answer: status, body (JSON), and headers beside the usual ones."""

    status: int
    body: bytes
    headers: dict[str, str] = {}


async def read_body(receive: Receive) -> bytes:
    """Return the body of a request.

    Raises:
        BodyTooLarge: It passes the limit; the rest is not read.
    """
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLarge
        if not message.get("more_body"):
            return bytes(body)


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header of the request; `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer."""
    headers = {"content-length": str(len(reply.body)), **reply.headers}
    encoded = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer a server that starts and stops; there is nothing to do."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def http_date(at: datetime) -> str:
    """Return a moment as HTTP writes it, in whole seconds."""
    return format_datetime(at, usegmt=True)

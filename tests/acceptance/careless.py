"""A server that repeats what it should not: the key it was sent, and the people it is asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote

import msgspec

from syncfsm_simulator.fakes.asgi import App, Receive, Reply, Scope, Send, header, read_body, send_reply
from syncfsm_simulator.world.world import World

MARKERS = {
    "name": "Marker-Zoë-Quillfeather",
    "email": "marker.quill@zq-example.test",
    "phone": "+4915199988877",
    "title": "Marker-Chief-Quill-Officer",
    "company": "Marker-Quill-Holdings",
}


def mark(world: World) -> None:
    """Give everybody the same unmistakable name, address, number, title and employer."""
    at = {"active_until": None}
    for person in world.entities("people").values():
        name = {"first_name": MARKERS["name"], "last_name": MARKERS["name"], "full_name": MARKERS["name"]}
        person.set("name", [{**at, **name}])
        person.set("email_addresses", [{**at, "email_address": MARKERS["email"]}])
        person.set("phone_numbers", [{**at, "phone_number": MARKERS["phone"]}])
        person.set("job_title", [{**at, "value": MARKERS["title"]}])
    for company in world.entities("companies").values():
        company.set("name", [{**at, "value": MARKERS["company"]}])


def spoil(world: World) -> None:
    """Let some people be none: the values that cannot be read are what must not be repeated."""
    people = list(world.entities("people").values())
    people[0].set("job_title", _unreadable("value", MARKERS["title"]))
    people[1].set("name", _unreadable("first_name", MARKERS["name"]))
    people[2].set("email_addresses", _unreadable("email_address", MARKERS["email"]))
    people[3].set("created_at", [{"value": MARKERS["phone"]}])
    people[4].set("created_at", MARKERS["name"])  # type: ignore[arg-type]
    people[5].set("phone_numbers", _unreadable("phone_number", MARKERS["phone"]))


def _unreadable(name: str, marker: str) -> Any:
    """Return values of which a byte is no text."""
    return msgspec.Raw(f'[{{"active_until": null, "{name}": "{marker}'.encode() + b'\xff"}]')


def _said(token: str) -> str:
    disguised = f"{quote(token)} {json.dumps(token)} {base64.b64encode(token.encode()).decode()}"
    return f"{token} {disguised} {token.upper()} asked for {' '.join(MARKERS.values())}"


def _error(status: int, token: str, **headers: str) -> Reply:
    body = {"status_code": status, "type": token, "code": token, "message": _said(token), "path": [token]}
    return Reply(status, json.dumps(body).encode(), {"content-type": f"application/{token}", **headers})


ANSWERS: dict[str, Callable[[str], Reply]] = {
    "error": lambda token: _error(500, token),
    "limited": lambda token: _error(429, token, **{"retry-after": token, "date": token}),
    "html": lambda token: Reply(502, f"<h1>{_said(token)}</h1>".encode()),
    "cut": lambda token: Reply(200, f'{{"data": ["{_said(token)}'.encode()),
    "shape": lambda token: Reply(200, json.dumps({"data": {token: _said(token)}}).encode()),
    "redirect": lambda token: _error(302, token, location=f"https://{token}@elsewhere.test/?{token}"),
    "refused": lambda token: _error(400, token),
    "forbidden": lambda token: _error(403, token),
    "missing": lambda token: _error(404, token),
}
PASSING = ("error", "limited", "html", "cut", "shape")
LASTING = ("redirect", "refused", "forbidden", "missing")


class Careless:
    """An app that says too much, in turn with the answers of a sound one.

    Args:
        inner: The sound one.
        kinds: Of `ANSWERS`.
        after: How many requests are answered soundly first.
    """

    def __init__(self, inner: App, kinds: tuple[str, ...], after: int = 0) -> None:
        self._inner = inner
        self._turns: Iterator[str | None] = cycle([part for kind in kinds for part in (kind, None)])
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._after -= 1
        kind = next(self._turns) if self._after < 0 else None
        if kind is None:
            await self._inner(scope, receive, _repeating(send, _token(scope)))
            return
        await read_body(receive)
        await send_reply(send, ANSWERS[kind](_token(scope)))


def _token(scope: Scope) -> str:
    return (header(scope, b"authorization") or "").partition(" ")[2]


def _repeating(send: Send, token: str) -> Send:
    """Let every person of a sound answer carry the key as the link to it."""

    async def repeat(message: Any) -> None:
        body: bytes = message.get("body", b"")
        if b'"web_url":"https:' in body:
            message = {**message, "body": body.replace(b'"web_url":"https:', f'"web_url":"{token}:'.encode())}
        if message["type"] == "http.response.start":
            headers = [pair for pair in message["headers"] if pair[0] != b"content-length"]
            message = {**message, "headers": [*headers, (b"x-accurate-at", token.encode())]}
        await send(message)

    return repeat

"""What the smaller fakes share: the people of a world as plain fields, who may ask, how an answer is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from syncfsm_simulator.fakes.asgi import (
    App,
    Receive,
    Reply,
    Scope,
    Send,
    header,
    lifespan,
    read_body,
    send_reply,
)
from syncfsm_simulator.world.entity import Entity

_JSON = {"content-type": "application/json; charset=utf-8"}

Answer = Callable[[Scope], Awaitable[Reply]]


class PlainPerson(msgspec.Struct, frozen=True):
    """A person in plain fields."""

    first_name: str | None
    last_name: str | None
    job_title: str | None
    phones: list[str]
    emails: list[str]


def plain(entity: Entity) -> PlainPerson:
    """Return the person that a record of a world is about."""
    name = next(iter(entity.active("name")), {})
    title = next(iter(entity.active("job_title")), {})
    return PlainPerson(
        first_name=name.get("first_name") or None,
        last_name=name.get("last_name") or None,
        job_title=title.get("value") or None,
        phones=[value["phone_number"] for value in entity.active("phone_numbers")],
        emails=[value["email_address"] for value in entity.active("email_addresses")],
    )


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, msgspec.json.encode(value), _JSON)


def asking_with_a_key(answer: Answer, refusal: Any) -> App:
    """Return an app that answers whoever sends a bearer token, and refuses others."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await read_body(receive)
        kind, _, token = (header(scope, b"authorization") or "").partition(" ")
        is_known = kind == "Bearer" and bool(token)
        await send_reply(send, await answer(scope) if is_known else json_reply(refusal, 401))

    return app

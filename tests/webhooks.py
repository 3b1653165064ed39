"""Messages as Attio sends them, and a receiver to send them to, without a network."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import httpx

from syncfsm.webhooks.receiver import Receive, Scope, Send, WebhookReceiver

SECRET = "whsec-0123456789abcdef"
OBJECT = "97052eb9-e65e-443f-a297-f2d9a4a7f795"
ADA, GRACE, EDITH = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")


def event(type_: str, record_id: str, **more: str) -> dict[str, Any]:
    ids = {
        "workspace_id": "14beef7a-99f7-4534-a87e-70b564330a4c",
        "object_id": OBJECT,
        "record_id": record_id,
    }
    return {"event_type": type_, "id": ids, "actor": {"type": "workspace-member", "id": OBJECT}} | more


def body_of(*events: dict[str, Any]) -> bytes:
    return json.dumps({"webhook_id": OBJECT, "events": list(events)}).encode()


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(body: bytes, key: str | None = "k1", secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a message."""
    headers = {"Attio-Signature": signature(body, secret), "Content-Type": "application/json"}
    return headers | ({"Idempotency-Key": key} if key else {})


def send(app: WebhookReceiver, body: bytes, headers: dict[str, str], method: str = "POST") -> httpx.Response:
    """Send one request to an app, within this process."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://here.test") as client:
            return await client.request(method, "/", content=body, headers=headers)

    return asyncio.run(ask())


class Greedy:
    """Counts the bytes of a request that an app has read."""

    def __init__(self, app: WebhookReceiver) -> None:
        self.app = app
        self.read_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> Any:
            message = await receive()
            self.read_bytes += len(message.get("body", b""))
            return message

        await self.app(scope, counted, send)

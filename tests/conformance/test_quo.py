"""The fake Quo's answers, and the sink's requests, against Quo's own OpenAPI document.

The document is Quo's and is not in this repository: `QUO_OPENAPI` is its path, and without it nothing runs
here. The bulk route and the 429 are in no document.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from syncfsm.items.contact import Contact
from tests.contracts.sink import ADA, NOBODY
from tests.quo import KEY, Quo

PATH = os.environ.get("QUO_OPENAPI")
pytestmark = pytest.mark.skipif(not PATH, reason="set QUO_OPENAPI to Quo's OpenAPI document")
jsonschema = pytest.importorskip("jsonschema")

ONE = "/v1/contacts/{id}"


class Published(httpx.AsyncBaseTransport):
    """Passes requests on, and judges what is sent and what is answered by the document."""

    def __init__(self, quo: Quo) -> None:
        assert PATH
        self.inner = quo.transport
        self.clock = quo.clock
        self.paths: dict[str, Any] = json.loads(Path(PATH).read_text())["paths"]
        self.judged: set[tuple[str, str, int]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.clock.sleep(0.2)  # no 429: the document has none
        response = await self.inner.handle_async_request(request)
        path = "/v1/contacts" if request.url.path == "/v1/contacts" else ONE
        documented = self.paths[path][request.method.lower()]
        if response.is_success and request.content:
            sent = documented["requestBody"]["content"]["application/json"]["schema"]
            _judge(sent, json.loads(request.content))
        answer = documented["responses"][str(response.status_code)]
        if "content" in answer:
            _judge(answer["content"]["application/json"]["schema"], json.loads(await response.aread()))
        self.judged.add((request.method, path, response.status_code))
        return response


def _judge(schema: dict[str, Any], value: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert errors == []


async def _everything(quo: Quo, published: Published) -> None:
    """Let the sink do all it does, and a client what the sink never does."""
    contacts: list[Contact] = [replace(ADA, external_id=f"p{index}") for index in range(25)]
    await quo.sink().upsert([*contacts, NOBODY])
    changed = [replace(contact, role="Countess", emails=(), phone_numbers=()) for contact in contacts]
    await quo.sink().upsert([*changed[:3], replace(ADA, external_id="bad", source_url="no url")])
    await quo.sink().upsert([replace(ADA, external_id="p9", emails=("a@x.example", "b@x.example"))])
    assert await quo.sink().known("attio") == {f"p{index}" for index in range(25)} | {"n1"}
    assert await quo.sink().delete("attio", ["n1", *(f"p{index}" for index in range(10, 25))]) == 16
    headers = {"Authorization": KEY}
    async with httpx.AsyncClient(
        transport=published, base_url="http://quo.simulated", headers=headers
    ) as client:
        (first, *_) = quo.fake.contacts.by_id
        listed = await client.get("/v1/contacts?maxResults=10")
        await client.get(f"/v1/contacts?maxResults=50&pageToken={listed.json()['nextPageToken']}")
        await client.get("/v1/contacts")
        await client.post(
            "/v1/contacts",
            json={"defaultFields": {"firstName": None}, "source": "attio", "externalId": "p0"},
        )
        await client.get(f"/v1/contacts/{first}")
        await client.patch(f"/v1/contacts/{first}", json={"defaultFields": {"emails": 3}})
        await client.delete(f"/v1/contacts/{first}")
        for method in ("GET", "PATCH", "DELETE"):
            await client.request(method, f"/v1/contacts/{first}")
    async with httpx.AsyncClient(transport=published, base_url="http://quo.simulated") as stranger:
        await stranger.get("/v1/contacts?maxResults=10")


def test_what_is_sent_and_answered_is_as_the_document_says() -> None:
    quo = Quo()
    published = Published(quo)
    quo.transport = published
    asyncio.run(_everything(quo, published))
    assert published.judged == {
        ("GET", "/v1/contacts", 200),
        ("GET", "/v1/contacts", 400),
        ("GET", "/v1/contacts", 401),
        ("POST", "/v1/contacts", 201),
        ("POST", "/v1/contacts", 400),
        ("POST", "/v1/contacts", 409),
        ("GET", ONE, 200),
        ("GET", ONE, 404),
        ("PATCH", ONE, 200),
        ("PATCH", ONE, 400),
        ("PATCH", ONE, 404),
        ("DELETE", ONE, 204),
        ("DELETE", ONE, 404),
    }

"""The fake Quo's answers: routes, keys, the rate limit, its errors, its knobs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Literal

import httpx
import msgspec
import pytest

from syncfsm_simulator.fakes.quo.app import FakeQuo, beside
from syncfsm_simulator.fakes.quo.contacts import Settings
from tests.fakes import TestClock

ADA = {"defaultFields": {"firstName": "Ada"}, "source": "attio", "externalId": "a1"}
CONTACTS = "/v1/contacts"


class Shape(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Our own reading of what Quo answers: these fields, all of them, and no others."""


class Item(Shape):
    id: str
    name: str
    value: str | None


class Fields(Shape):
    first_name: str | None
    last_name: str | None
    company: str | None
    role: str | None
    emails: list[Item]
    phone_numbers: list[Item]


class Contact(Shape):
    id: str
    external_id: str | None
    source: str | None
    source_url: str | None
    default_fields: Fields
    custom_fields: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    created_by_user_id: str


class One(Shape):
    data: Contact


class Many(Shape):
    data: list[Contact]
    total_items: int
    next_page_token: str | None


class Fault(Shape):
    path: str
    message: str
    schema: dict[Literal["type"], str]


class Refusal(Shape):
    message: str
    code: str
    status: int
    docs: str
    title: str
    trace: str
    errors: list[Fault] = []
    description: str = ""


SHAPES: dict[int, Any] = {200: One | Many, 201: One, 202: None, 204: None}


class Client:
    """Asks a fake of its own, one request at a time, a second apart; every answer has its shape."""

    def __init__(self, **settings: Any) -> None:
        self.clock = TestClock()
        knobs = {name: settings.pop(name) for name in tuple(settings) if hasattr(Settings, name)}
        self.fake = FakeQuo(self.clock, settings=Settings(**knobs), **settings)
        self.pause_s = 1.0

    def __call__(self, method: str, path: str, *, key: str = "key", **sent: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.fake)
            async with httpx.AsyncClient(transport=transport, base_url="http://quo.test") as client:
                return await client.request(method, path, headers={"Authorization": key}, **sent)

        asyncio.run(self.clock.sleep(self.pause_s))
        answer = asyncio.run(ask())
        if answer.status_code in {202, 204}:
            assert answer.content == b""
        elif answer.is_success:
            shape = Many if method == "GET" and path.startswith((CONTACTS + "?", "/v1/contacts?")) else One
            msgspec.json.decode(answer.content, type=shape)
        else:
            refusal = msgspec.json.decode(answer.content, type=Refusal)
            assert refusal.status == answer.status_code
        return answer

    def create(self, **fields: Any) -> dict[str, Any]:
        contact: dict[str, Any] = self("POST", CONTACTS, json={**ADA, **fields}).json()["data"]
        return contact

    def listed(self, query: str = "") -> list[Any]:
        found = self("GET", f"{CONTACTS}?maxResults=50{query}").json()["data"]
        return [contact["externalId"] for contact in found]


def test_a_contact_is_created_read_changed_and_deleted() -> None:
    client = Client()
    one = f"{CONTACTS}/{client.create()['id']}"
    assert client("GET", one).json()["data"]["defaultFields"]["firstName"] == "Ada"
    changed = client("PATCH", one, json={"defaultFields": {"role": "Countess"}}).json()["data"]
    assert (changed["defaultFields"]["firstName"], changed["defaultFields"]["role"]) == ("Ada", "Countess")
    assert client("DELETE", one).status_code == 204
    assert client("GET", one).status_code == 404
    assert client.create()["externalId"] == "a1"


def test_a_second_contact_with_the_same_source_and_external_id_is_a_conflict() -> None:
    client = Client()
    client.create()
    assert client("POST", CONTACTS, json=ADA).status_code == 409
    client.create(source="hubspot")
    client.create(externalId=None)
    client.create(externalId=None)


def test_contacts_are_found_by_source_and_external_ids_page_by_page() -> None:
    client = Client()
    for number in range(7):
        client.create(externalId=f"p{number}")
    client.create(source="hubspot")
    assert client.listed("&sources=attio&externalIds=p1&externalIds=p5&externalIds=a1") == ["p1", "p5"]
    first = client("GET", f"{CONTACTS}?maxResults=3&sources=attio").json()
    assert (len(first["data"]), first["totalItems"]) == (3, 7)
    assert client.listed(f"&sources=attio&pageToken={first['nextPageToken']}") == ["p3", "p4", "p5", "p6"]


def test_twenty_external_ids_are_fine_and_one_more_breaks_the_parser() -> None:
    client = Client()
    assert client.listed("&externalIds=x" * 20) == []
    assert client("GET", f"{CONTACTS}?maxResults=50{'&externalIds=x' * 21}").status_code == 400


@pytest.mark.parametrize("size", ["", "&maxResults=0", "&maxResults=51", "&maxResults=many"])
def test_the_size_of_a_page_must_be_given_and_be_within_its_limits(size: str) -> None:
    assert Client()("GET", f"{CONTACTS}?sources=attio{size}").status_code == 400


def test_ten_requests_are_let_through_in_any_second_and_one_more_is_not() -> None:
    client = Client()
    client.pause_s = 0.05
    assert [client("GET", f"{CONTACTS}?maxResults=1").status_code for _ in range(11)] == [200] * 10 + [429]
    client.pause_s = 0.5
    assert client("GET", f"{CONTACTS}?maxResults=1").status_code == 200


def test_the_key_is_sent_as_it_is_and_the_bulk_route_wants_another_one() -> None:
    client = Client(api_key="key", partner_key="partner")
    assert client("GET", f"{CONTACTS}?maxResults=1", key="Bearer key").status_code == 401
    assert client("POST", f"{CONTACTS}/bulk", json={"contacts": []}).status_code == 403


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"source": "attio"}, ""),
        ({"defaultFields": {"lastName": "x"}}, "/defaultFields"),
        ({"defaultFields": {"firstName": 3}}, "/defaultFields/firstName"),
        ({"defaultFields": {"firstName": "x", "emails": [{"name": "Email"}]}}, "/defaultFields/emails/"),
        ({**ADA, "externalId": "x" * 76}, "/externalId"),
        ({**ADA, "source": "x" * 73}, "/source"),
        ({**ADA, "source": "csv-import"}, "/source"),
        ({**ADA, "source": "other"}, "/source"),
        ({**ADA, "sourceUrl": "x" * 10}, "/sourceUrl"),
        ({**ADA, "sourceUrl": "https://" + "x" * 200}, "/sourceUrl"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_place_of_the_fault(body: dict[str, Any], path: str) -> None:
    client = Client()
    answer = client("POST", CONTACTS, json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"].startswith(path)
    assert client.listed() == []


def test_phone_numbers_come_back_as_e164() -> None:
    phones = [{"name": "Phone", "value": value} for value in ("(415) 555-0132", "+44 20 7946 0018")]
    contact = Client().create(defaultFields={"firstName": None, "phoneNumbers": phones})
    values = [item["value"] for item in contact["defaultFields"]["phoneNumbers"]]
    assert values == ["+14155550132", "+442079460018"]


@pytest.mark.parametrize(
    ("patch_arrays", "left"), [("append", ["b@x", "c2@x", "d@x"]), ("replace", ["c2@x", "d@x"])]
)
def test_a_patch_changes_items_by_id_removes_null_ones_and_keeps_or_drops_the_rest(
    patch_arrays: str, left: list[str]
) -> None:
    client = Client(patch_arrays=patch_arrays)
    emails = [{"name": "Email", "value": value} for value in ("a@x", "b@x", "c@x")]
    contact = client.create(defaultFields={"firstName": None, "emails": emails})
    a, _, c = contact["defaultFields"]["emails"]
    sent = [{**a, "value": None}, {**c, "value": "c2@x"}, {"name": "Email", "value": "d@x"}]
    path = f"{CONTACTS}/{contact['id']}"
    patched = client("PATCH", path, json={"defaultFields": {"emails": sent}}).json()["data"]
    assert [item["value"] for item in patched["defaultFields"]["emails"]] == left
    assert c["id"] in {item["id"] for item in patched["defaultFields"]["emails"]}


def test_a_bulk_is_applied_later_and_leaves_alone_what_is_there() -> None:
    client = Client(bulk_after_s=5.0)
    contacts = [{**ADA, "externalId": f"p{number}"} for number in range(3)]

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(client.fake)
        headers = {"Authorization": "key", "x-frigg-api-key": "partner"}
        async with httpx.AsyncClient(transport=transport, base_url="http://quo.test") as sender:
            return await sender.post(f"{CONTACTS}/bulk", json={"contacts": contacts}, headers=headers)

    answer = asyncio.run(send())
    assert (answer.status_code, answer.content) == (202, b"")
    client.create(externalId="p1", defaultFields={"firstName": "first"})
    assert client.listed() == ["p1"]
    client.pause_s = 5.0
    assert sorted(client.listed()) == ["p0", "p1", "p2"]


def test_a_new_contact_is_there_at_once_but_look_ups_may_show_it_later() -> None:
    client = Client(seen_after_s=5.0)
    contact = client.create()
    assert client.listed() == []
    assert client("GET", f"{CONTACTS}/{contact['id']}").status_code == 200
    assert client("POST", CONTACTS, json=ADA).status_code == 409
    client.pause_s = 5.0
    assert client.listed() == ["a1"]


def test_beside_attio_it_answers_what_begins_with_v1() -> None:
    seen: list[str] = []

    async def attio(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append("attio")

    async def ask(path: str) -> None:
        app = beside(FakeQuo(TestClock()), attio)
        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            seen.append(str(message.get("status", "")))

        await app(scope, receive, send)

    asyncio.run(ask("/v2/objects"))
    asyncio.run(ask(CONTACTS))
    assert seen == ["attio", "401", ""]

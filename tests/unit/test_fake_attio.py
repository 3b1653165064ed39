"""The fake Attio's answers: routes, authentication, headers, rate limit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from syncfsm_simulator.fakes.asgi import BODY_BYTES_MAX
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.fakes import TestClock

QUERY = "/v2/objects/people/records/query"
BEARER = {"Authorization": "Bearer token"}


class Client:
    """Asks a fake of its own."""

    def __init__(self, people: int = 5, seed: int = 1, **settings: Any) -> None:
        self.clock = TestClock()
        self.world = World(seed, people=people, companies=1, now=EPOCH)
        self.fake = FakeAttio(self.world, self.clock, **settings)

    def __call__(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **sent: Any
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.fake)
            async with httpx.AsyncClient(transport=transport, base_url="http://fake.test") as client:
                return await client.request(
                    method, path, headers=BEARER if headers is None else headers, **sent
                )

        return asyncio.run(ask())


@pytest.fixture
def client() -> Client:
    return Client()


def test_a_query_answers_data_and_nothing_else(client: Client) -> None:
    answer = client("POST", QUERY, json={"limit": 2})
    assert answer.status_code == 200
    assert list(answer.json()) == ["data"]
    assert [set(row) for row in answer.json()["data"]] == [{"id", "created_at", "web_url", "values"}] * 2


def test_parameters_in_the_url_are_ignored_and_no_body_means_the_defaults(client: Client) -> None:
    assert len(client("POST", QUERY, params={"limit": 1}).json()["data"]) == 5


def test_the_headers_say_when_and_what_it_cost(client: Client) -> None:
    answer = client("POST", QUERY, json={})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-attio-record-query-score"] == "0"
    assert answer.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert answer.headers["x-accurate-at"] == "2026-01-01T00:00:00.000001000Z"
    assert UUID(answer.headers["x-attio-execution-id"]).version == 4
    assert not [name for name in answer.headers if "ratelimit" in name]


def test_errors_and_self_do_not_say_how_accurate_they_are_and_only_queries_have_a_score(
    client: Client,
) -> None:
    for path in ("/v2/self", "/v2/objects/nothing", "/v2/nothing"):
        assert "x-accurate-at" not in client("GET", path).headers
    answer = client("GET", "/v2/objects")
    assert "x-accurate-at" in answer.headers
    assert "x-attio-record-query-score" not in answer.headers


def test_execution_ids_differ_and_are_the_same_for_the_same_requests() -> None:
    runs = []
    for _ in range(2):
        client = Client()
        runs.append([client("GET", "/v2/objects").headers["x-attio-execution-id"] for _ in range(3)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 3


def test_a_record_is_found_by_its_id_and_an_object_by_slug_or_id(client: Client) -> None:
    record_id = min(client.world.entities("people"))
    object_id = client.world.object_ids["people"]
    for name in ("people", object_id):
        found = client("GET", f"/v2/objects/{name}/records/{record_id}").json()["data"]
        assert found["id"]["record_id"] == record_id
        assert client("GET", f"/v2/objects/{name}").json()["data"]["api_slug"] == "people"
        assert len(client("GET", f"/v2/objects/{name}/attributes").json()["data"]) == 29
        rows = client("POST", f"/v2/objects/{name}/records/query", json={"limit": 1}).json()["data"]
        assert rows == [found]


@pytest.mark.parametrize("seed", range(6))
def test_objects_come_by_id(seed: int) -> None:
    client = Client(people=0, seed=seed)
    objects = client("GET", "/v2/objects").json()["data"]
    assert [entry["id"]["object_id"] for entry in objects] == sorted(client.world.object_ids.values())


def test_objects_and_attributes_are_listed(client: Client) -> None:
    objects = client("GET", "/v2/objects").json()["data"]
    assert sorted(entry["api_slug"] for entry in objects) == ["companies", "people"]
    attributes = client("GET", "/v2/objects/people/attributes").json()["data"]
    dynamic = {entry["api_slug"]: entry["default_value"] for entry in attributes if entry["default_value"]}
    assert {slug: default["template"] for slug, default in dynamic.items()} == {
        "created_at": "PT0S",
        "created_by": "current-user",
    }
    assert {entry["api_slug"] for entry in attributes if entry["is_unique"]} == {
        "record_id",
        "email_addresses",
    }


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/v2/objects/people/records", 'Could not find endpoint "GET /v2/objects/people/records".'),
        ("POST", "/v2/nothing", 'Could not find endpoint "POST /v2/nothing".'),
        ("GET", "/v2/objects/persons", 'Object with slug/ID "persons" not found.'),
        ("POST", "/v2/objects/persons/records/query", 'Object with slug/ID "persons" not found.'),
        ("GET", "/v2/objects/persons/attributes", 'Object with slug/ID "persons" not found.'),
        ("GET", "/v2/objects/people/records/nobody", 'Record with ID "nobody" not found.'),
    ],
)
def test_what_is_not_there_is_a_404_in_attios_words(
    client: Client, method: str, path: str, message: str
) -> None:
    answer = client(method, path)
    expected = {"status_code": 404, "type": "invalid_request_error", "code": "not_found", "message": message}
    assert (answer.status_code, answer.json()) == (404, expected)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'"\xff"', b"not json", b"[" * 5000, b'{"filter":{"\\ud800":1}}']
)
def test_a_body_that_is_no_json_is_a_400(client: Client, body: bytes) -> None:
    answer = client("POST", QUERY, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_type")


def test_a_body_that_is_too_large_is_refused_rather_than_taken_for_none(client: Client) -> None:
    assert client("POST", QUERY, content=b" " * (BODY_BYTES_MAX + 1)).status_code == 413


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "token"}])
def test_without_a_token_data_is_401_and_self_400(client: Client, headers: dict[str, str]) -> None:
    answer = client("POST", QUERY, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "auth_error")
    answer = client("GET", "/v2/self", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_value")


def test_an_unknown_token_is_401_for_data_and_inactive_for_self() -> None:
    client = Client(api_key="the one")
    assert client("GET", "/v2/objects").status_code == 401
    assert client("POST", QUERY, json={}).json()["code"] == "unauthorized"
    answer = client("GET", "/v2/self")
    assert (answer.status_code, answer.json()) == (200, {"active": False})
    right = {"Authorization": "Bearer the one"}
    assert client("GET", "/v2/objects", headers=right).status_code == 200
    assert client("GET", "/v2/self", headers=right).json()["active"] is True


def test_self_tells_whose_token_it_is_without_a_wrapper(client: Client) -> None:
    told = client("GET", "/v2/self").json()
    assert told["workspace_id"] == told["sub"] == client.world.workspace_id
    assert (told["workspace_slug"], told["token_type"], told["exp"]) == ("northwind-labs", "Bearer", None)
    assert "record_permission:read" in told["scope"].split()


def test_a_token_for_the_configuration_alone_sees_objects_but_no_records() -> None:
    client = Client(scopes=frozenset({"object_configuration:read-write"}))
    for path in ("/v2/objects", "/v2/objects/people", "/v2/objects/people/attributes"):
        assert client("GET", path).status_code == 200
    assert client("GET", "/v2/objects/people/records/nobody").status_code == 403
    assert client("POST", QUERY, json={}).status_code == 403


def test_a_token_that_may_not_read_is_403_and_told_what_it_needs() -> None:
    client = Client(scopes=frozenset({"record_permission:read"}))
    answer = client("POST", QUERY, json={})
    assert (answer.status_code, answer.json()["type"]) == (403, "auth_error")
    assert "record_permission:read, object_configuration:read" in answer.json()["message"]
    assert client("GET", "/v2/self").json()["scope"] == "record_permission:read"


def test_one_request_too_many_in_a_second_is_429_until_the_next_second() -> None:
    client = Client(reads_per_s=3)
    answers = [client("POST", QUERY, json={}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    limited = answers[-1]
    assert limited.json() == {
        "status_code": 429,
        "type": "rate_limit_error",
        "code": "rate_limit_exceeded",
        "message": "Rate limit exceeded, please try again later",
    }
    assert limited.headers["retry-after"] == "Thu, 01 Jan 2026 00:00:01 GMT"
    until = datetime.strptime(limited.headers["retry-after"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert until == client.clock.at.replace(microsecond=0) + timedelta(seconds=1)
    client.clock.at = until - timedelta(microseconds=2)
    assert client("POST", QUERY, json={}).status_code == 429
    client.clock.at = until
    assert [client("GET", "/v2/self").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.fake.requests["POST", "/v2/objects/{object}/records/query", 429] == 3


def test_an_answer_takes_as_long_as_it_is_told_to() -> None:
    client = Client(latency_s=1.5)
    client("GET", "/v2/objects")
    assert client.clock.slept_s == 1.5


def test_every_answer_is_counted(client: Client) -> None:
    client("POST", QUERY, json={})
    client("GET", "/v2/objects/nothing")
    client("GET", "/elsewhere")
    assert client.fake.requests == {
        ("POST", "/v2/objects/{object}/records/query", 200): 1,
        ("GET", "/v2/objects/{object}", 404): 1,
        ("GET", "other", 404): 1,
    }


def test_shuffled_ties_come_in_another_order_each_time_and_cannot_be_sorted_by_id() -> None:
    client = Client(people=200, ties="shuffled")
    by_time = {"direction": "desc", "attribute": "created_at"}
    by_id = {"direction": "asc", "attribute": "record_id"}
    answers = [client("POST", QUERY, json={"sorts": [by_time]}).json()["data"] for _ in range(2)]
    times = [[row["values"]["created_at"][0]["value"] for row in rows] for rows in answers]
    assert times[0] == times[1] == sorted(times[0], reverse=True)
    assert answers[0] != answers[1]
    refused = client("POST", QUERY, json={"sorts": [by_time, by_id]})
    assert (refused.status_code, refused.json()["path"]) == (400, ["sorts", "1", "attribute"])
    by_id_alone = client("POST", QUERY, json={"sorts": [by_id]}).json()["data"]
    assert by_id_alone == client("POST", QUERY, json={}).json()["data"]

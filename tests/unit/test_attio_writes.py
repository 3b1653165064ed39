"""Writes to the fake Attio: what is added, what is replaced, what is refused, and what is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.fakes import TestClock

PEOPLE = "/v2/objects/people/records"
COMPANIES = "/v2/objects/companies/records"


class Client:
    """Asks a fake of its own."""

    def __init__(self, people: int = 3, **settings: Any) -> None:
        self.clock = TestClock()
        self.world = World(
            1, people=people, companies=2, now=EPOCH, updated_at=settings.pop("updated_at", False)
        )
        self.fake = FakeAttio(self.world, self.clock, **{"writes_per_s": 1000, **settings})

    def __call__(self, method: str, path: str, json: Any = None, **params: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.fake)
            async with httpx.AsyncClient(transport=transport, base_url="http://fake.test") as client:
                headers = {"Authorization": "Bearer any"}
                return await client.request(method, path, json=json, params=params, headers=headers)

        return asyncio.run(ask())

    def write(self, method: str, path: str, values: Any, **params: str) -> dict[str, Any]:
        answer = self(method, path, {"data": {"values": values}}, **params)
        assert answer.status_code == 200, answer.text
        record: dict[str, Any] = answer.json()["data"]
        assert (
            self("GET", f"{PEOPLE if '/people/' in path else COMPANIES}/{record_id(record)}").json()["data"]
            == record
        )
        return record

    def refused(
        self, method: str, path: str, values: Any, status: int = 400, **params: str
    ) -> dict[str, Any]:
        before = {slug: list(self.world.touched(slug)) for slug in self.world.objects}
        answer = self(method, path, {"data": {"values": values}}, **params)
        assert answer.status_code == status, answer.text
        assert before == {slug: list(self.world.touched(slug)) for slug in self.world.objects}
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def client() -> Client:
    return Client()


def record_id(record: dict[str, Any]) -> str:
    found: str = record["id"]["record_id"]
    return found


def held(record: dict[str, Any], slug: str, name: str) -> list[Any]:
    return [value[name] for value in record["values"][slug]]


def emails(record: dict[str, Any]) -> list[Any]:
    return held(record, "email_addresses", "email_address")


def test_a_record_that_is_created_is_found_by_queries_with_all_its_attributes(client: Client) -> None:
    made = client.write("POST", PEOPLE, {"name": "Lovelace, Ada", "email_addresses": ["Ada@Work.Example"]})
    found = client("POST", f"{PEOPLE}/query", {"filter": {"email_addresses": "ada@work.example"}}).json()[
        "data"
    ]
    assert found == [made]
    assert list(made["values"]) == [each.slug for each in client.world.objects["people"].attributes]
    (name,) = made["values"]["name"]
    assert (name["first_name"], name["last_name"], name["full_name"]) == ("Ada", "Lovelace", "Ada Lovelace")
    assert name["created_by_actor"] == client.fake.actor
    assert held(made, "created_by", "referenced_actor_type") == ["api-token"]
    assert held(made, "created_at", "value") == ["2026-01-01T00:00:00.000000000Z"]


def test_an_address_is_kept_as_written_and_brought_into_one_form(client: Client) -> None:
    made = client.write("POST", PEOPLE, {"email_addresses": [{"email_address": "Ada@Mail.Work.co.uk"}]})
    (value,) = made["values"]["email_addresses"]
    assert value["original_email_address"] == "Ada@Mail.Work.co.uk"
    assert value["email_address"] == "ada@mail.work.co.uk"
    assert value["email_domain"] == "mail.work.co.uk"
    assert value["email_root_domain"] == "work.co.uk"
    assert value["email_local_specifier"] == "ada"


@pytest.mark.parametrize(
    ("written", "number", "country"),
    [
        ("+1 (415) 555-0132", "+14155550132", "US"),
        ({"original_phone_number": "020 7946 0018", "country_code": "GB"}, "+442079460018", "GB"),
        ({"original_phone_number": "+44 20 7946 0018", "country_code": None}, "+442079460018", "GB"),
        ({"original_phone_number": "+1 604 555 0132", "country_code": "CA"}, "+16045550132", "CA"),
    ],
)
def test_a_phone_number_becomes_e164(client: Client, written: Any, number: str, country: str) -> None:
    made = client.write("POST", PEOPLE, {"phone_numbers": [written]})
    (value,) = made["values"]["phone_numbers"]
    assert (value["phone_number"], value["country_code"]) == (number, country)


def test_a_company_keeps_values_of_every_type(client: Client) -> None:
    person = min(client.world.entities("people"))
    place = dict.fromkeys(("line_1", "line_2", "line_3", "line_4", "region", "postcode"))
    place |= {"locality": "Leeds", "country_code": "GB", "latitude": "53.8", "longitude": "-1.55"}
    made = client.write(
        "POST",
        COMPANIES,
        {
            "domains": ["https://www.Bakery.Example/bread"],
            "name": "Bakery",
            "categories": ["Food", {"option": "Energy"}],
            "team": [person],
            "funding_raised_usd": 1250000,
            "foundation_date": "2014-06-01T10:00:00Z",
            "primary_location": place,
        },
    )
    assert held(made, "domains", "domain") == ["bakery.example"]
    assert [option["title"] for option in held(made, "categories", "option")] == ["Food", "Energy"]
    assert held(made, "team", "target_record_id") == [person]
    assert held(made, "funding_raised_usd", "currency_value") == [1250000]
    assert held(made, "foundation_date", "value") == ["2014-06-01"]
    assert held(made, "primary_location", "locality") == ["Leeds"]
    found = client("POST", f"{COMPANIES}/query", {"filter": {"categories": "Energy", "name": "Bakery"}})
    assert [record_id(row) for row in found.json()["data"]] == [record_id(made)]


def test_patch_adds_to_several_values_and_replaces_single_ones(client: Client) -> None:
    made = client.write(
        "POST", PEOPLE, {"email_addresses": ["a@x.example", "b@x.example"], "job_title": "CEO"}
    )
    client.clock.at = client.clock.at.replace(hour=1)
    path = f"{PEOPLE}/{record_id(made)}"
    after = client.write(
        "PATCH", path, {"email_addresses": ["c@x.example", "A@x.example"], "job_title": "CTO"}
    )
    assert emails(after) == ["c@x.example", "a@x.example", "b@x.example"]
    assert after["values"]["email_addresses"][1:] == made["values"]["email_addresses"]
    assert held(after, "job_title", "value") == ["CTO"]
    assert held(after, "email_addresses", "active_from")[0].startswith("2026-01-01T01")


def test_put_replaces_and_keeps_since_when_a_value_was_there(client: Client) -> None:
    made = client.write(
        "POST", PEOPLE, {"email_addresses": ["a@x.example", "b@x.example"], "job_title": "CEO"}
    )
    client.clock.at = client.clock.at.replace(hour=1)
    path = f"{PEOPLE}/{record_id(made)}"
    after = client.write("PUT", path, {"email_addresses": ["c@x.example", "b@x.example"]})
    assert emails(after) == ["c@x.example", "b@x.example"]
    assert after["values"]["email_addresses"][1] == made["values"]["email_addresses"][1]
    assert held(after, "job_title", "value") == ["CEO"]
    assert emails(client.write("PUT", path, {"email_addresses": [], "job_title": None})) == []


def test_an_assertion_creates_what_nobody_has_and_else_adds_to_what_it_matches_by(client: Client) -> None:
    by_email = {"matching_attribute": "email_addresses"}
    first = {"email_addresses": ["a@x.example"], "phone_numbers": ["+14155550132"]}
    made = client.write("PUT", PEOPLE, first, **by_email)
    second = {"email_addresses": ["b@x.example", "a@x.example"], "phone_numbers": ["+442079460018"]}
    after = client.write("PUT", PEOPLE, second, **by_email)
    assert record_id(after) == record_id(made)
    assert emails(after) == ["b@x.example", "a@x.example"]
    assert held(after, "phone_numbers", "phone_number") == ["+442079460018"]
    fewer = client.write("PUT", PEOPLE, {"email_addresses": ["a@x.example"]}, **by_email)
    assert emails(fewer) == emails(after), "what it matches by is added to, never taken away"
    changes = len(client.world.touched("people"))
    assert client.write("PUT", PEOPLE, second, **by_email) == after
    assert len(client.world.touched("people")) == changes, "what is so already is no change"


def test_an_assertion_that_fits_two_people_is_refused(client: Client) -> None:
    for email in ("a@x.example", "b@x.example"):
        client.write("POST", PEOPLE, {"email_addresses": [email]})
    values = {"email_addresses": ["a@x.example", "b@x.example"]}
    body = client.refused("PUT", PEOPLE, values, matching_attribute="email_addresses")
    assert body["code"] == "multiple_match_results"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "validation_type"),
        ({"matching_attribute": "job_title"}, "validation_type"),
        ({"matching_attribute": "nonsense"}, "value_not_found"),
        ({"matching_attribute": "email_addresses"}, "missing_value"),
    ],
)
def test_an_assertion_needs_a_unique_attribute_and_a_value_of_it(
    client: Client, params: dict[str, str], code: str
) -> None:
    assert client.refused("PUT", PEOPLE, {"job_title": "CEO"}, **params)["code"] == code


@pytest.mark.parametrize(
    ("path", "slug", "values"),
    [(PEOPLE, "email_addresses", ["a@x.example"]), (COMPANIES, "domains", ["x.example"])],
)
def test_what_only_one_may_have_is_a_400_for_the_next_and_names_who_has_it(
    client: Client, path: str, slug: str, values: list[str]
) -> None:
    made = client.write("POST", path, {slug: values})
    other = client.write("POST", path, {})
    for method, where in (
        ("POST", path),
        ("PATCH", f"{path}/{record_id(other)}"),
        ("PUT", f"{path}/{record_id(other)}"),
    ):
        body = client.refused(method, where, {slug: [value.upper() for value in values]})
        assert (body["status_code"], body["code"]) == (400, "uniqueness_conflict")
        assert f'"{slug}"' in body["message"]
        assert record_id(made) in body["message"]
    client.write("PATCH", f"{path}/{record_id(made)}", {slug: values})
    client("DELETE", f"{path}/{record_id(made)}")
    client.write("POST", path, {slug: values})


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"nonsense": "x"}, "value_not_found"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "immutable_value"),
        ({"record_id": "x"}, "immutable_value"),
        ({"company": "11111111-1111-4111-8111-111111111111"}, "value_not_found"),
        ({"associated_deals": ["11111111-1111-4111-8111-111111111111"]}, "value_not_found"),
        (
            {"company": {"target_object": "companies", "domains": [{"domain": "no.example"}]}},
            "value_not_found",
        ),
        ({"company": {"target_object": "people", "target_record_id": "x"}}, "validation_type"),
        ({"email_addresses": ["nowhere"]}, "validation_type"),
        ({"email_addresses": ["a@b@c.example"]}, "validation_type"),
        ({"phone_numbers": ["020 7946 0018"]}, "validation_type"),
        ({"phone_numbers": ["+999 12345678"]}, "validation_type"),
        (
            {"phone_numbers": [{"original_phone_number": "+14155550132", "country_code": "QQ"}]},
            "validation_type",
        ),
        ({"job_title": ["CEO", "CTO"]}, "validation_type"),
        ({"job_title": 7}, "validation_type"),
        ({"name": {"first_name": "Ada"}}, "validation_type"),
        ({"primary_location": {"locality": "Leeds"}}, "validation_type"),
        (None, "validation_type"),
        ([], "validation_type"),
    ],
)
def test_values_that_make_no_sense_are_refused_and_nothing_is_written(
    client: Client, values: Any, code: str
) -> None:
    assert client.refused("POST", PEOPLE, values)["code"] == code


@pytest.mark.parametrize("body", [None, [], {"values": {}}, {"data": 3}, {"data": {"values": {}, "more": 1}}])
def test_a_write_needs_its_data_and_nothing_beside_its_values(client: Client, body: Any) -> None:
    path = f"{PEOPLE}/{min(client.world.entities('people'))}"
    answer = client("PATCH", path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_type")


def test_attributes_may_be_named_by_id_in_writes_and_filters(client: Client) -> None:
    ids = {
        each["api_slug"]: each["id"]["attribute_id"]
        for each in client("GET", "/v2/objects/people/attributes").json()["data"]
    }
    made = client.write("POST", PEOPLE, {ids["job_title"]: "Astronaut"})
    rows = client("POST", f"{PEOPLE}/query", {"filter": {ids["job_title"]: "Astronaut"}}).json()["data"]
    assert rows == [made]


def test_a_record_that_is_deleted_is_gone_and_so_are_references_to_it(client: Client) -> None:
    company = client.write("POST", COMPANIES, {"name": "Short-lived"})
    person = client.write("POST", PEOPLE, {"company": record_id(company)})
    assert client("DELETE", f"{COMPANIES}/{record_id(company)}").json() == {}
    assert client("GET", f"{COMPANIES}/{record_id(company)}").status_code == 404
    assert client("DELETE", f"{COMPANIES}/{record_id(company)}").status_code == 404
    after = client("GET", f"{PEOPLE}/{record_id(person)}").json()["data"]
    assert after["values"]["company"] == []


def merged(client: Client, *ids: str) -> httpx.Response:
    which = dict(zip(("primary_record_id", "secondary_record_id"), ids, strict=True))
    return client("POST", f"{COMPANIES}/merge", {"data": which})


def test_a_merge_mints_a_new_id_and_keeps_what_the_primary_has(client: Client) -> None:
    one = client.write("POST", COMPANIES, {"domains": ["a.example"], "name": "A"})
    other = client.write("POST", COMPANIES, {"domains": ["b.example"], "name": "B", "description": "bees"})
    person = client.write("POST", PEOPLE, {"company": record_id(other)})
    answer = merged(client, record_id(one), record_id(other))
    new_id = answer.json()["data"]["new_record_id"]
    assert answer.status_code == 200
    assert new_id not in {record_id(one), record_id(other)}
    record = client("GET", f"{COMPANIES}/{new_id}").json()["data"]
    assert held(record, "name", "value") == ["A"]
    assert held(record, "description", "value") == ["bees"]
    assert held(record, "domains", "domain") == ["a.example", "b.example"]
    assert held(record, "record_id", "value") == [new_id]
    for gone in (one, other):
        assert client("GET", f"{COMPANIES}/{record_id(gone)}").status_code == 404
    after = client("GET", f"{PEOPLE}/{record_id(person)}").json()["data"]
    assert held(after, "company", "target_record_id") == [new_id]


def test_a_merge_that_takes_its_time_is_a_202_and_a_404_that_passes() -> None:
    client = Client(merge_s=5)
    answer = merged(client, *client.world.entities("companies"))
    assert answer.status_code == 202
    path = f"{COMPANIES}/{answer.json()['data']['new_record_id']}"
    early = client("GET", path)
    assert (early.status_code, early.json()["code"]) == (404, "merge_in_progress")
    client.clock.at = client.clock.at.replace(second=5)
    assert client("GET", path).status_code == 200


def test_a_record_cannot_be_merged_with_itself_or_with_what_is_not_there(client: Client) -> None:
    one, *_ = client.world.entities("companies")
    answer = merged(client, one, one)
    assert (answer.status_code, answer.json()["code"]) == (400, "self_merge")
    assert merged(client, one, "nothing").status_code == 404


def test_a_token_that_may_only_read_cannot_write() -> None:
    client = Client(scopes=["record_permission:read", "object_configuration:read"])
    body = client.refused("POST", PEOPLE, {}, status=403)
    assert "record_permission:read-write, object_configuration:read" in body["message"]
    assert client("POST", f"{PEOPLE}/query", {}).status_code == 200


def test_writes_have_a_limit_of_their_own_beside_reads() -> None:
    client = Client(writes_per_s=2, reads_per_s=3)
    assert [client("POST", PEOPLE, {"data": {"values": {}}}).status_code for _ in range(3)] == [200, 200, 429]
    assert [client("POST", f"{PEOPLE}/query", {}).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert len(client.world.entities("people")) == 5, "what is limited is not executed"


def test_records_have_no_updated_at_unless_the_world_is_made_so() -> None:
    query = {"sorts": [{"direction": "desc", "attribute": "updated_at"}], "limit": 1}
    assert Client()("POST", f"{PEOPLE}/query", query).status_code == 400
    client = Client(updated_at=True)
    person = min(client.world.entities("people"))
    client.clock.at = client.clock.at.replace(hour=1)
    client.write("PATCH", f"{PEOPLE}/{person}", {"job_title": "Late riser"})
    (row,) = client("POST", f"{PEOPLE}/query", query).json()["data"]
    assert record_id(row) == person
    since = {"filter": {"updated_at": {"$gte": "2026-01-01T01:00:00Z"}}}
    assert [record_id(row) for row in client("POST", f"{PEOPLE}/query", since).json()["data"]] == [person]


def test_the_values_of_one_attribute_may_be_asked_for_with_those_of_the_past() -> None:
    client = Client(people=300)
    people = client.world.entities("people").values()
    person = next(entity for entity in people if len(entity.values["name"]) > 1)
    path = f"{PEOPLE}/{person.record_id}/attributes/name/values"
    assert len(client("GET", path).json()["data"]) == 1
    assert len(client("GET", path, show_historic="true").json()["data"]) == 2
    assert client("GET", path.replace("/name/", "/nonsense/")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("POST", PEOPLE), ("PUT", f"{PEOPLE}/{{}}"), ("PATCH", f"{PEOPLE}/{{}}")]
)
def test_a_write_that_meets_another_one_is_a_409_and_changes_nothing(method: str, path: str) -> None:
    client = Client(write_conflicts=1.0)
    somebody = next(iter(client.world.entities("people")))
    body = client.refused(method, path.format(somebody), {"job_title": "Countess"}, 409)
    assert body["code"] == "concurrent_write_conflict"


def test_only_the_share_of_writes_asked_for_meets_another_one() -> None:
    client = Client(write_conflicts=0.5)
    answers = [
        client("POST", PEOPLE, {"data": {"values": {"job_title": "Countess"}}}).status_code for _ in range(40)
    ]
    assert set(answers) == {200, 409}

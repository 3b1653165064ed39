"""A client by others, generated from Attio's OpenAPI document, works against the fake over real HTTP.

It checks every answer against models of its own and raises where one does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attio import SDK
from attio.errors import SDKError

from tests.acceptance.conftest import KEY, Server


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(120, api_key=KEY)


@pytest.fixture
def client(server: Server) -> Iterator[SDK]:
    with SDK(oauth2=KEY, server_url=server.url) as client:
        yield client


def test_it_knows_whose_token_it_has_and_what_there_is(client: SDK, server: Server) -> None:
    assert client.meta.get_v2_self().workspace_id == server.world.workspace_id
    objects = client.objects.get_v2_objects().data
    assert {each.api_slug for each in objects} == {"people", "companies"}
    for slug, kind in server.world.objects.items():
        attributes = client.attributes.get_v2_target_identifier_attributes(
            target="objects", identifier=slug
        ).data
        assert [each.api_slug for each in attributes] == [each.slug for each in kind.attributes]
    options = client.attributes.get_v2_target_identifier_attributes_attribute_options(
        target="objects", identifier="companies", attribute="categories"
    ).data
    assert "Software" in {option.title for option in options}


@pytest.mark.parametrize("slug", ["people", "companies"])
def test_it_reads_every_record_page_by_page(client: SDK, server: Server, slug: str) -> None:
    found: list[str] = []
    while True:
        page = client.records.post_v2_objects_object_records_query(
            object=slug,
            sorts=[{"direction": "desc", "attribute": "created_at"}],
            limit=50,
            offset=len(found),
        ).data
        found += [row.id.record_id for row in page]
        if len(page) < 50:
            break
    assert sorted(found) == sorted(server.world.entities(slug))


def test_it_creates_finds_updates_asserts_and_deletes(client: SDK) -> None:
    records = client.records
    company = records.post_v2_objects_object_records(
        object="companies",
        data={"values": {"name": ["Bakery"], "domains": ["bakery.example"], "categories": ["Food"]}},
    ).data
    values = {
        "name": ["Lovelace, Ada"],
        "email_addresses": ["ada@bakery.example"],
        "phone_numbers": ["+14155550132"],
        "company": [{"target_object": "companies", "target_record_id": company.id.record_id}],
    }
    made = records.post_v2_objects_object_records(object="people", data={"values": values}).data
    record_id = made.id.record_id
    rows = records.post_v2_objects_object_records_query(
        object="people", filter_={"email_addresses": {"email_domain": {"$eq": "bakery.example"}}}
    ).data
    assert [row.id.record_id for row in rows] == [record_id]
    records.patch_v2_objects_object_records_record_id_(
        object="people", record_id=record_id, data={"values": {"email_addresses": ["a@bakery.example"]}}
    )
    records.put_v2_objects_object_records_record_id_(
        object="people", record_id=record_id, data={"values": {"job_title": ["Baker"]}}
    )
    again = records.put_v2_objects_object_records(
        object="people",
        matching_attribute="email_addresses",
        data={"values": {"email_addresses": ["ada@bakery.example"], "description": ["kneads"]}},
    ).data
    assert again.id.record_id == record_id
    read = records.get_v2_objects_object_records_record_id_(object="people", record_id=record_id).data
    addresses = [value.email_address for value in read.values["email_addresses"]]
    assert addresses == ["a@bakery.example", "ada@bakery.example"]
    assert read.values["job_title"][0].value == "Baker"
    records.delete_v2_objects_object_records_record_id_(object="people", record_id=record_id)
    with pytest.raises(SDKError) as error:
        records.get_v2_objects_object_records_record_id_(object="people", record_id=record_id)
    assert error.value.status_code == 404


def test_it_merges(client: SDK, server: Server) -> None:
    one, other, *_ = server.world.entities("companies")
    answer = client.records.post_v2_objects_object_records_merge(
        object="companies", data={"primary_record_id": one, "secondary_record_id": other}
    )
    assert answer.data.new_record_id in server.world.entities("companies")


def test_it_makes_changes_and_removes_webhooks(client: SDK) -> None:
    webhooks = client.webhooks
    made = webhooks.post_v2_webhooks(
        data={
            "target_url": "https://hooks.example/in",
            "subscriptions": [{"event_type": "record.created", "filter_": None}],
        }
    ).data
    assert len(made.secret) == 64
    webhook_id = made.id.webhook_id
    webhooks.patch_v2_webhooks_webhook_id_(
        webhook_id=webhook_id, data={"target_url": "https://hooks.example/2"}
    )
    assert (
        webhooks.get_v2_webhooks_webhook_id_(webhook_id=webhook_id).data.target_url
        == "https://hooks.example/2"
    )
    assert [each.id.webhook_id for each in webhooks.get_v2_webhooks().data] == [webhook_id]
    webhooks.delete_v2_webhooks_webhook_id_(webhook_id=webhook_id)
    assert webhooks.get_v2_webhooks().data == []


@pytest.mark.parametrize(
    ("filter_", "status"),
    [({"updated_at": {"$gt": "2026-01-01T00:00:00Z"}}, 400), ({"name": {"$near": "x"}}, 400)],
)
def test_it_understands_what_is_refused(client: SDK, filter_: dict[str, object], status: int) -> None:
    with pytest.raises(SDKError) as error:
        client.records.post_v2_objects_object_records_query(object="people", filter_=filter_)
    assert error.value.status_code == status
    with pytest.raises(SDKError) as error:
        client.records.post_v2_objects_object_records(
            object="people", data={"values": {"email_addresses": ["x"]}}
        )
    assert error.value.status_code == 400

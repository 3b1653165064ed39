"""Attio person → contact, and the one look-up of companies for each page."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.items.contact import Contact
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Record, Transformed
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.contracts.source import fetch
from tests.fakes import TestClock


def record(values: Any, record_id: str = "r1") -> Record:
    raw = msgspec.json.encode(
        {"id": {"record_id": record_id}, "web_url": "https://x.example", "values": values}
    )
    return Record(id=record_id, key="k", raw=raw)


def transform(values: Any) -> Transformed[Contact]:
    people = AttioPeople(AttioSource("key"), companies=False)
    ready = asyncio.run(people([record(values)]))
    assert isinstance(ready, Transformed)
    return ready


def contact(values: Any) -> Contact:
    (item,) = transform(values).items
    return item


def value(*, gone: bool = False, **fields: Any) -> dict[str, Any]:
    return {"active_until": "2026-01-01T00:00:00Z" if gone else None, **fields}


def test_a_person_becomes_a_contact() -> None:
    values = {
        "name": [value(first_name="Ada", last_name="Lovelace", full_name="Ada Lovelace")],
        "email_addresses": [value(email_address="a@x.example"), value(original_email_address="B@x.example")],
        "phone_numbers": [value(phone_number="+1"), value(phone_number="+2")],
        "job_title": [value(value="Countess")],
    }
    assert contact(values) == Contact(
        external_id="r1",
        source="attio",
        first_name="Ada",
        last_name="Lovelace",
        role="Countess",
        phone_numbers=("+1", "+2"),
        emails=("a@x.example", "B@x.example"),
        source_url="https://x.example",
    )


def test_a_person_with_nothing_is_a_contact_all_the_same() -> None:
    empty: dict[str, list[Any]] = {"name": [], "email_addresses": [], "phone_numbers": [], "job_title": []}
    nobody = Contact(external_id="r1", source="attio", source_url="https://x.example")
    assert contact(empty) == contact({}) == nobody


def test_values_that_are_no_longer_active_do_not_count() -> None:
    values = {
        "name": [value(gone=True, first_name="Was"), value(first_name="Is"), value(first_name="Too")],
        "email_addresses": [
            value(gone=True, email_address="old@x.example"),
            value(email_address="new@x.example"),
        ],
        "phone_numbers": [value(gone=True, phone_number="+1")],
    }
    found = contact(values)
    assert (found.first_name, found.emails, found.phone_numbers) == ("Is", ("new@x.example",), ())


@pytest.mark.parametrize("values", [{"name": "Ada"}, {"email_addresses": [{"email_address": 7}]}, [], None])
def test_what_is_no_person_is_rejected_with_a_reason_that_shows_no_value(values: Any) -> None:
    ready = transform(values)
    assert ready.items == ()
    (reject,) = ready.rejects
    assert reject.record_id == "r1"
    assert "not a person" in reject.reason
    assert "Ada" not in reject.reason


class Bench:
    def __init__(self, people: int, companies: int, **settings: Any) -> None:
        self.world = World(1, people=people, companies=companies, now=EPOCH)
        self.fake = FakeAttio(self.world, TestClock(), **settings)
        self.source = AttioSource(
            "key", base_url="http://attio.test", clock=TestClock(), transport=httpx.ASGITransport(self.fake)
        )

    @property
    def queries(self) -> int:
        return sum(count for (_, route, _), count in self.fake.requests.items() if route.endswith("/query"))


def test_companies_are_looked_up_once_a_page_and_then_remembered() -> None:
    bench = Bench(people=100, companies=7)
    people = AttioPeople(bench.source)
    first, second = fetch(bench.source, 0, 50).records, fetch(bench.source, 50, 50).records

    async def both() -> list[Transformed[Contact] | Failure]:
        return [await people(first), await people(second), await people(first)]

    before = bench.queries
    pages = asyncio.run(both())
    assert bench.queries - before == 1
    known = bench.world.entities("companies")
    names = {values[0]["value"] for company in known.values() if (values := company.values["name"])}
    for page in pages:
        assert isinstance(page, Transformed)
        assert {item.company for item in page.items} - {None} <= names
        assert any(item.company for item in page.items)


def test_without_companies_nothing_is_looked_up() -> None:
    bench = Bench(people=50, companies=7)
    records = fetch(bench.source, 0, 50).records
    before = bench.queries
    ready = asyncio.run(AttioPeople(bench.source, companies=False)(records))
    assert isinstance(ready, Transformed)
    assert {item.company for item in ready.items} == {None}
    assert bench.queries == before


def test_a_company_that_is_gone_has_no_name_and_is_not_asked_for_again() -> None:
    bench = Bench(people=0, companies=1)
    values = {"company": [value(target_record_id="gone")]}
    people = AttioPeople(bench.source)

    async def twice() -> list[Transformed[Contact] | Failure]:
        return [await people([record(values)]) for _ in range(2)]

    for ready in asyncio.run(twice()):
        assert isinstance(ready, Transformed)
        assert ready.items[0].company is None
    assert bench.queries == 1


def test_a_look_up_that_fails_fails_the_page_and_not_the_people() -> None:
    bench = Bench(people=0, companies=1, scopes=frozenset())
    values = {"company": [value(target_record_id="c1")]}
    failure = asyncio.run(AttioPeople(bench.source)([record(values)]))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.FORBIDDEN

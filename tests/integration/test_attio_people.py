"""Attio person → contact, and the one look-up of companies for each page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import FIELDS, Contact
from syncfsm.sources.attio.attributes import MAPPED
from syncfsm.sources.attio.companies import SINGLY_MAX
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.singly import is_gone
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
        unknown=frozenset({"company"}),
    )


def test_a_person_with_nothing_is_a_contact_all_the_same() -> None:
    empty: dict[str, list[Any]] = {"name": [], "email_addresses": [], "phone_numbers": [], "job_title": []}
    nobody = Contact(external_id="r1", source="attio", source_url="https://x.example")
    assert replace(contact(empty), unknown=frozenset()) == replace(contact({}), unknown=frozenset()) == nobody


def test_a_key_that_is_missing_is_unknown_and_an_empty_list_is_empty() -> None:
    empty: dict[str, list[Any]] = {"name": [], "email_addresses": [], "phone_numbers": [], "job_title": []}
    assert contact(empty).unknown == {"company"}, "which was not asked for"
    for slug in empty:
        some = {name: values for name, values in empty.items() if name != slug}
        assert contact(some).unknown == {"company", *MAPPED[slug].fields}
    assert contact({}).unknown == {*FIELDS} - {"source_url"}


def test_values_of_another_type_are_unknown() -> None:
    option = value(option={"title": "Boss"}, attribute_type="select")
    assert "role" in contact({"job_title": [option]}).unknown
    assert "phone_numbers" in contact({"phone_numbers": [value(value="+1")]}).unknown
    assert {"first_name", "last_name"} <= contact({"name": [value(value="Ada")]}).unknown


def test_what_the_source_did_not_tell_is_counted_and_what_is_left_alone_is_not() -> None:
    ready = asyncio.run(AttioPeople(AttioSource("key"), without={"name"}, companies=False)([record({})]))
    assert isinstance(ready, Transformed)
    told = ("email_addresses", "job_title", "phone_numbers")
    assert ready.left_out == {f"values of {slug} that the source did not tell": 1 for slug in told}


def test_what_is_to_be_left_alone_is_unknown_even_where_it_is_told() -> None:
    people = AttioPeople(AttioSource("key"), without={"job_title"}, companies=False)
    ready = asyncio.run(people([record({"job_title": [value(value="Countess")]})]))
    assert isinstance(ready, Transformed)
    assert (ready.items[0].role, "role" in ready.items[0].unknown) == (None, True)


def test_contacts_cannot_be_made_without_what_they_are_not_made_of() -> None:
    with pytest.raises(ConfigurationError, match=r"'phones'.*there are name, email_addresses"):
        AttioPeople(AttioSource("key"), without={"phones"})


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ({"full_name": "Ada Byron King"}, "Ada Byron King", None),
        ({"full_name": "Ada", "first_name": "", "last_name": None}, "Ada", None),
        ({"full_name": "Ada Lovelace", "first_name": "Ada", "last_name": ""}, "Ada", None),
        ({"full_name": "", "first_name": None, "last_name": None}, None, None),
    ],
)
def test_a_name_that_comes_only_as_a_whole_is_kept_whole(
    name: dict[str, Any], first: str | None, last: str | None
) -> None:
    found = contact({"name": [value(**name)]})
    assert (found.first_name, found.last_name) == (first, last)


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


@pytest.mark.parametrize("values", [[], None, "Ada"])
def test_what_is_no_person_is_rejected_with_a_reason_that_shows_no_value(values: Any) -> None:
    ready = transform(values)
    assert ready.items == ()
    (reject,) = ready.rejects
    assert reject.record_id == "r1"
    assert "not a person" in reject.reason
    assert "Ada" not in reject.reason


@pytest.mark.parametrize(
    ("slug", "values"),
    [
        ("name", "Ada"),
        ("name", [None]),
        ("job_title", None),
        ("job_title", [{"value": {"text": "Chief"}}]),
        ("email_addresses", [{"email_address": 7}]),
        ("phone_numbers", {"phone_number": "+1"}),
        ("company", [{"target_object": "people", "target_record_id": "r9"}]),
    ],
)
def test_an_attribute_with_values_of_another_type_is_unknown_and_the_others_count(
    slug: str, values: Any
) -> None:
    sound = {"name": [value(first_name="Ada")], "job_title": [value(value="Countess")]}
    found = contact({**sound, slug: values})
    assert set(MAPPED[slug].fields) <= found.unknown
    assert (found.role == "Countess") is (slug != "job_title")


def test_half_of_a_name_says_nothing_of_the_other() -> None:
    found = contact({"name": [value(first_name="Ada")]})
    assert (found.first_name, "last_name" in found.unknown) == ("Ada", True)


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


class Editing(httpx.AsyncBaseTransport):
    """A fake's answers, some of them changed: `edit` is given the request and the data."""

    def __init__(self, fake: FakeAttio, edit: Callable[[httpx.Request, Any], Any]) -> None:
        self._inner = httpx.ASGITransport(fake)
        self._edit = edit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        told = msgspec.json.decode(await response.aread())
        told = {"data": self._edit(request, told["data"])} if "data" in told else told
        return httpx.Response(response.status_code, content=msgspec.json.encode(told))


def looked_up(edit: Callable[[httpx.Request, Any], Any], companies: int) -> tuple[list[Contact], list[str]]:
    """Return the contacts of people who work for one company each, and what was asked for."""
    bench = Bench(people=0, companies=companies)
    asked: list[str] = []

    def noted(request: httpx.Request, data: Any) -> Any:
        asked.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
        return edit(request, data)

    source = AttioSource(
        "key", base_url="http://attio.test", clock=TestClock(), transport=Editing(bench.fake, noted)
    )
    ids = sorted(bench.world.entities("companies"))
    records = [record({"company": [value(target_record_id=id_)]}, f"r{id_}") for id_ in ids]
    ready = asyncio.run(AttioPeople(source)(records))
    assert isinstance(ready, Transformed)
    return list(ready.items), asked


def short(request: httpx.Request, data: Any) -> Any:
    return data[:3] if request.url.path.endswith("/query") else data


def test_a_look_up_that_comes_short_is_completed_one_by_one() -> None:
    contacts, asked = looked_up(short, 3 + SINGLY_MAX)
    assert all("company" not in contact.unknown for contact in contacts)
    assert sum(contact.company is not None for contact in contacts) > 3
    assert [words.partition(" ")[0] for words in asked] == ["POST", *["GET"] * SINGLY_MAX]


def test_of_companies_that_did_not_come_only_a_few_are_asked_for_and_the_rest_is_unknown() -> None:
    contacts, asked = looked_up(short, 40)
    assert len(asked) == 1 + SINGLY_MAX
    assert sum("company" in contact.unknown for contact in contacts) == 40 - 3 - SINGLY_MAX


def test_a_company_that_does_not_say_its_name_has_an_unknown_one() -> None:
    def nameless(_request: httpx.Request, data: Any) -> Any:
        for company in data if isinstance(data, list) else [data]:
            del company["values"]["name"]
        return data

    contacts, _ = looked_up(nameless, 2)
    assert all("company" in contact.unknown for contact in contacts)


@pytest.mark.parametrize(
    ("status", "words"), [(403, "may not read companies"), (404, "no companies to look names up in")]
)
def test_a_refused_look_up_says_how_to_go_on_without(status: int, words: str) -> None:
    refusing = httpx.MockTransport(lambda _request: httpx.Response(status, json={"code": "no"}))
    people = AttioPeople(AttioSource("key", base_url="http://attio.test", transport=refusing))
    failure = asyncio.run(people([record({"company": [value(target_record_id="c1")]})]))
    assert isinstance(failure, Failure)
    assert words in failure.message
    assert "--no-companies" in failure.message


# ── what there must be ───────────────────────────────────────────────────────────────────────


def checked(edit: Callable[[httpx.Request, Any], Any], **settings: Any) -> Failure | None:
    bench = Bench(people=1, companies=1)
    source = AttioSource(
        "key", base_url="http://attio.test", clock=TestClock(), transport=Editing(bench.fake, edit)
    )
    failure = asyncio.run(AttioPeople(source, **settings).check_source())
    assert sum(bench.fake.requests.values()) == 1
    return failure


def amiss(slug: str, **changes: Any) -> Callable[[httpx.Request, Any], Any]:
    def edit(_request: httpx.Request, data: Any) -> Any:
        kept = [attribute for attribute in data if changes or attribute["api_slug"] != slug]
        return [
            {**attribute, **changes} if attribute["api_slug"] == slug else attribute for attribute in kept
        ]

    return edit


def test_a_workspace_as_it_is_usually_is_fit() -> None:
    assert checked(lambda _request, data: data) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "phone_numbers is missing"),
        ({"is_archived": True}, "phone_numbers is archived"),
        ({"type": "text"}, "phone_numbers is of the type text, not phone-number"),
    ],
)
def test_an_attribute_that_is_not_as_it_must_be_is_named_with_the_way_on(
    changes: dict[str, Any], words: str
) -> None:
    failure = checked(amiss("phone_numbers", **changes))
    assert failure is not None
    assert failure.kind is FailureKind.UNFIT
    assert words in failure.message
    assert "--without phone_numbers" in failure.message
    assert checked(amiss("phone_numbers", **changes), without={"phone_numbers"}) is None


def test_what_is_not_looked_up_need_not_be_there() -> None:
    assert checked(amiss("company"), companies=False) is None


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_server_that_cannot_tell_its_attributes_is_believed(status: int) -> None:
    refusing = httpx.MockTransport(lambda _request: httpx.Response(status, json={}))
    people = AttioPeople(AttioSource("key", base_url="http://attio.test", transport=refusing))
    assert asyncio.run(people.check_source()) is None


@pytest.mark.parametrize(("content", "kind"), [(b"{}", "malformed"), (b"\xff", "malformed")])
def test_an_answer_that_is_none_is_a_failure_and_no_error(content: bytes, kind: str) -> None:
    odd = httpx.MockTransport(lambda _request: httpx.Response(200, content=content))
    people = AttioPeople(AttioSource("key", base_url="http://attio.test", transport=odd))
    failure = asyncio.run(people.check_source())
    assert failure is not None
    assert failure.kind == kind


def test_a_look_up_that_fails_fails_the_page_and_not_the_people() -> None:
    bench = Bench(people=0, companies=1, scopes=frozenset())
    values = {"company": [value(target_record_id="c1")]}
    failure = asyncio.run(AttioPeople(bench.source)([record(values)]))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.FORBIDDEN


def test_a_name_that_a_page_needs_is_not_forgotten_for_one_that_it_brings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Source:
        kind = "attio"

        async def company_names(self, record_ids: set[str]) -> dict[str, str | None]:
            return {record_id: f"name of {record_id}" for record_id in record_ids}

    def companies_of(*record_ids: str) -> list[str | None]:
        records = [
            Record(
                id=f"p{place}",
                key="",
                raw=msgspec.json.encode({"values": {"company": [value(target_record_id=record_id)]}}),
            )
            for place, record_id in enumerate(record_ids)
        ]
        ready = asyncio.run(people(records))
        assert isinstance(ready, Transformed)
        return [item.company for item in ready.items]

    monkeypatch.setattr("syncfsm.sources.attio.people.COMPANIES_CACHED_MAX", 3)
    people = AttioPeople(Source())  # type: ignore[arg-type]
    assert companies_of("a", "b", "c") == ["name of a", "name of b", "name of c"]
    assert companies_of("a", "d", "e") == ["name of a", "name of d", "name of e"]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "not_found", True),
        (404, "merge_in_progress", False),
        (404, "", False),
        (403, "not_found", False),
        (410, "not_found", False),
        (500, "not_found", False),
    ],
)
def test_only_a_404_that_says_so_says_that_a_record_is_gone(
    *, status: int, code: str, expected: bool
) -> None:
    refusal = Failure(kind=FailureKind.NOT_FOUND, message="no", status=status, code=code)
    assert is_gone(refusal) is expected


def test_what_pages_want_that_come_while_a_look_up_is_under_way_goes_with_the_next() -> None:
    asked: list[list[str]] = []
    known = {f"c{number}": f"Company {number}" for number in range(1200)}

    class Names(AttioSource):
        async def company_names(self, record_ids: Collection[str]) -> dict[str, str | None] | Failure:
            asked.append(sorted(record_ids))
            await asyncio.sleep(0.001)
            if len(asked) == 2:
                return Failure(kind=FailureKind.UNAVAILABLE, message="not now.")
            return {record_id: known[record_id] for record_id in record_ids}

    def page(first: int) -> list[Record]:
        links = [
            value(target_object="companies", target_record_id=f"c{first + number}") for number in range(50)
        ]
        return [record({"company": [link]}, f"r{first + number}") for number, link in enumerate(links)]

    async def run() -> None:
        people = AttioPeople(Names("key"))
        pages = [page(first) for first in range(0, 1200, 50)]
        ready = asyncio.gather(*map(people.prepare, pages))
        first = await people(pages[0])
        await ready
        assert isinstance(first, Transformed)
        assert [item.company for item in first.items] == [known[f"c{number}"] for number in range(50)]
        assert len(asked) == 4
        assert max(map(len, asked)) <= 500
        failed = set(asked[1])
        for records in pages:
            made = await people(records)
            assert isinstance(made, Transformed)
            assert all(item.company for item in made.items)
        assert {company for ids in asked[4:] for company in ids} == failed, "what failed is asked for again"

    asyncio.run(run())

"""`records/query`: orders, filters, limits, and the 400s for what makes no sense."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm_simulator.fakes.attio.errors import ApiError
from syncfsm_simulator.fakes.attio.knobs import Knobs, LimitPolicy
from syncfsm_simulator.fakes.attio.query import Query
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.world import World
from tests.effort import tries

NEWEST = [{"direction": "desc", "attribute": "created_at"}, {"direction": "asc", "attribute": "record_id"}]
OLDEST = [{"direction": "asc", "attribute": "created_at"}]


@pytest.fixture(scope="module")
def world() -> World:
    return World(3, people=120, companies=4, now=EPOCH)


def ask(world: World, **body: Any) -> list[Entity]:
    return Query(world).rows("people", body)


def naive(world: World, *, descending: bool) -> list[str]:
    """Return the ids by created_at, ties by id: sorted twice, the plain way."""
    rows = sorted(world.entities("people").values(), key=lambda entity: entity.record_id)
    rows.sort(key=lambda entity: entity.created_at, reverse=descending)
    return [entity.record_id for entity in rows]


def ids(rows: list[Entity]) -> list[str]:
    return [entity.record_id for entity in rows]


def refused(world: World, **body: Any) -> dict[str, Any]:
    with pytest.raises(ApiError) as error:
        ask(world, **body)
    assert error.value.status == 400
    return error.value.body


def test_without_sorts_records_come_by_id(world: World) -> None:
    assert ids(ask(world)) == sorted(world.entities("people"))


@pytest.mark.parametrize(("sorts", "descending"), [(NEWEST, True), (NEWEST[:1], True), (OLDEST, False)])
def test_ties_are_broken_by_ascending_id_in_either_direction(
    world: World, sorts: list[dict[str, str]], descending: bool
) -> None:
    assert ids(ask(world, sorts=sorts)) == naive(world, descending=descending)


def test_records_without_a_value_come_last_ascending_and_first_descending(world: World) -> None:
    for direction in ("asc", "desc"):
        rows = ask(world, sorts=[{"direction": direction, "attribute": "job_title"}])
        has = [bool(entity.values["job_title"]) for entity in rows]
        assert has == sorted(has, reverse=direction == "asc")


def test_a_sort_may_name_a_field(world: World) -> None:
    rows = ask(world, sorts=[{"direction": "asc", "attribute": "name", "field": "last_name"}])
    active = [next((v for v in entity.values["name"] if not v["active_until"]), None) for entity in rows]
    names = [value["last_name"] for value in active if value]
    assert names == sorted(names)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete"]), st.integers(0, 50)), max_size=30
)


@settings(max_examples=tries(60, 500), deadline=None)
@given(CHANGES)
def test_an_order_follows_the_world(changes: list[tuple[str, int]]) -> None:
    world = World(4, people=10, companies=1, now=EPOCH)
    query = Query(world)
    for verb, number in changes:
        people = list(world.entities("people"))
        if verb == "create":
            world.create_person(EPOCH, EPOCH - timedelta(days=number % 7))
        elif people and verb == "update":
            world.update_person(people[number % len(people)], EPOCH)
        elif people:
            world.delete_person(people[number % len(people)])
        assert ids(query.rows("people", {"sorts": NEWEST})) == naive(world, descending=True)
        assert ids(query.rows("people", {})) == sorted(world.entities("people"))


def test_limit_and_offset_cut_a_part_out_and_past_the_end_there_is_nothing(world: World) -> None:
    whole = ids(ask(world))
    assert ids(ask(world, limit=7, offset=3)) == whole[3:10]
    assert ids(ask(world, limit=7, offset=116)) == whole[116:]
    assert ask(world, offset=120) == []


@pytest.mark.parametrize(("policy", "rows"), [("accept", 120), ("clamp", 50), ("reject", None)])
def test_what_a_limit_above_the_maximum_does_is_a_knob(
    world: World, policy: LimitPolicy, rows: int | None
) -> None:
    query = Query(world, Knobs(limit_policy=policy, limit_max=50))
    assert len(query.rows("people", {"limit": 50})) == 50
    if rows is None:
        with pytest.raises(ApiError):
            query.rows("people", {"limit": 51})
    else:
        assert len(query.rows("people", {"limit": 200})) == rows


def some(world: World, slug: str) -> Entity:
    """Return a person who has an active value of an attribute."""
    people = world.entities("people").values()
    return next(entity for entity in people if any(not v["active_until"] for v in entity.values[slug]))


FILTERS: list[tuple[str, str, str, Any]] = [
    ("job_title", "value", "$eq", lambda text: text),
    ("job_title", "value", "$contains", lambda text: text[1:3].upper()),
    ("job_title", "value", "$starts_with", lambda text: text[:2]),
    ("job_title", "value", "$ends_with", lambda text: text[-2:]),
    ("job_title", "value", "$in", lambda text: [text, "nothing"]),
    ("strongest_connection_strength_legacy", "value", "$lte", lambda number: number),
    ("strongest_connection_strength_legacy", "value", "$gte", lambda number: number),
]


@pytest.mark.parametrize(("slug", "name", "operator", "make"), FILTERS)
def test_each_operator_finds_a_record_that_fits_and_leaves_one_that_does_not(
    world: World, slug: str, name: str, operator: str, make: Any
) -> None:
    entity = some(world, slug)
    wanted = {operator: make(entity.values[slug][0][name])}
    found = ids(ask(world, filter={slug: wanted}))
    assert found == ids(ask(world, filter={slug: {name: wanted}}))
    assert entity.record_id in found
    assert len(found) < 120
    assert not set(found) & set(ids(ask(world, filter={"$not": {slug: wanted}})))


def test_strict_bounds_leave_the_bound_itself_out(world: World) -> None:
    value = some(world, "created_at").created_at
    below, above = (ids(ask(world, filter={"created_at": {op: value}})) for op in ("$lt", "$gt"))
    equal = ids(ask(world, filter={"created_at": {"$eq": value}}))
    assert len(below) + len(above) + len(equal) == 120
    assert equal


def test_a_shorter_timestamp_means_the_same_moment(world: World) -> None:
    since = ids(ask(world, filter={"created_at": {"$gte": "2025-01-01T00:00"}}))
    assert since == ids(ask(world, filter={"created_at": {"$gte": "2025-01-01T00:00:00.000Z"}}))
    assert 0 < len(since) < 120


def test_a_timestamp_with_an_offset_means_the_same_moment_as_in_utc(world: World) -> None:
    at = some(world, "created_at").created_at
    east = datetime.fromisoformat(at[:23] + "Z").astimezone(timezone(timedelta(hours=2)))
    for wanted in (at, at[:23] + "Z", east.isoformat(timespec="milliseconds")):
        for condition in (wanted, {"$eq": wanted}, {"$in": [wanted]}, {"value": {"$eq": wanted}}):
            assert at in {row.created_at for row in ask(world, filter={"created_at": condition})}
        before = ask(world, filter={"created_at": {"$lt": wanted}})
        assert [row.record_id for row in before] == [
            record_id for record_id in ids(ask(world)) if world.entities("people")[record_id].created_at < at
        ]


def test_interactions_are_compared_as_moments(world: World) -> None:
    at = some(world, "last_interaction").values["last_interaction"][0]["interacted_at"]
    equal = ask(world, filter={"last_interaction": {"interacted_at": {"$gte": at[:23] + "Z", "$lte": at}}})
    assert {row.values["last_interaction"][0]["interacted_at"] for row in equal} == {at}


def test_text_is_searched_in_any_case_but_equal_only_as_written(world: World) -> None:
    assert ask(world, filter={"job_title": {"$contains": "care COORD"}})
    assert ask(world, filter={"job_title": "Care Coordinator"})
    assert ask(world, filter={"job_title": "care coordinator"}) == []


def test_a_name_of_the_past_is_not_found_and_one_of_several_addresses_is() -> None:
    world = World(2, people=100, now=EPOCH)
    people = world.entities("people").values()
    assert any(len(entity.values["name"]) > 1 for entity in people)
    assert ask(world, filter={"name": "Was Called"}) == []
    several = next(entity for entity in people if len(entity.values["email_addresses"]) > 1)
    second = several.values["email_addresses"][1]
    assert ask(world, filter={"email_addresses": second["email_address"]}) == [several]
    domain = {"email_domain": {"$eq": second["email_domain"]}, "email_address": second["email_address"]}
    assert ask(world, filter={"email_addresses": domain}) == [several]


def test_text_against_a_number_fits_nothing(world: World) -> None:
    assert ask(world, filter={"job_title": {"$gt": 5}}) == []
    assert ask(world, filter={"record_id": {"$in": [[], {}, None]}}) == []


def test_conditions_beside_each_other_must_all_hold(world: World) -> None:
    one, other = {"job_title": "CEO"}, {"phone_numbers": {"$not_empty": True}}
    both = ids(ask(world, filter={**one, **other}))
    assert both == ids(ask(world, filter={"$and": [one, other]}))
    assert set(both) == set(ids(ask(world, filter=one))) & set(ids(ask(world, filter=other)))
    assert 0 < len(both) < len(ask(world, filter=one))
    span = {"$gte": "2025-01-01T00:00", "$lt": "2025-07-01T00:00"}
    assert {row.created_at[:4] for row in ask(world, filter={"created_at": span})} == {"2025"}


def test_not_empty_and_logical_operators_combine(world: World) -> None:
    has, has_not = ({"phone_numbers": {"$not_empty": wanted}} for wanted in (True, False))
    assert len(ask(world, filter=has)) + len(ask(world, filter=has_not)) == 120
    assert len(ask(world, filter={"$or": [has, has_not]})) == 120
    assert ask(world, filter={"$and": [has, has_not]}) == []
    assert ids(ask(world, filter={"$not": has})) == ids(ask(world, filter=has_not))


def test_ids_that_are_not_there_are_simply_absent(world: World) -> None:
    wanted = [*list(world.entities("people"))[:3], "nobody"]
    assert set(ids(ask(world, filter={"record_id": {"$in": wanted}}))) == set(wanted[:3])


def test_people_are_found_by_their_company(world: World) -> None:
    company = some(world, "company").values["company"][0]["target_record_id"]
    found = ask(world, filter={"company": {"target_record_id": {"$eq": company}}})
    assert {entity.values["company"][0]["target_record_id"] for entity in found} == {company}


@pytest.mark.parametrize(
    ("filter_", "path"),
    [
        ({"updated_at": {"$gt": "2026-01-01T00:00:00Z"}}, ["updated_at"]),
        ({"$or": [{"name": "x"}, {"email": "y"}]}, ["$or", "1", "email"]),
        ({"$not": {"id": "x"}}, ["$not", "id"]),
    ],
)
def test_an_unknown_attribute_is_refused_with_its_place(world: World, filter_: Any, path: list[str]) -> None:
    assert refused(world, filter=filter_) == {
        "status_code": 400,
        "type": "invalid_request_error",
        "code": "unknown_filter_attribute_slug",
        "message": f"Unknown attribute slug: {path[-1]}.",
        "path": path,
    }


def test_an_unknown_sort_attribute_is_refused_too(world: World) -> None:
    body = refused(world, sorts=[{"direction": "asc", "attribute": "updated_at"}])
    assert (body["code"], body["path"]) == ("unknown_filter_attribute_slug", ["sorts", "0", "attribute"])


@pytest.mark.parametrize(
    "body",
    [
        {"limit": "ten"}, {"limit": 0}, {"limit": -1}, {"limit": 1.5}, {"limit": True}, {"limit": None},
        {"offset": -1}, {"offset": "0"}, {"offset": 0.5},
        {"sorts": {}}, {"sorts": [{"attribute": "name"}]}, {"sorts": [7]}, {"sorts": [{"direction": []}]},
        {"sorts": [{"direction": "asc", "attribute": ["name"]}]},
        {"sorts": [{"direction": "asc", "attribute": "name", "field": {}}]},
        {"filter": []}, {"filter": {"$or": {}}}, {"filter": {"record_id": {"$in": "r1"}}},
    ],
)  # fmt: skip
def test_a_body_of_the_wrong_shape_is_a_validation_error(world: World, body: dict[str, Any]) -> None:
    answer = refused(world, **body)
    assert (answer["code"], answer["message"]) == ("validation_type", "Body payload validation error.")
    assert answer["validation_errors"]


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ({"created_at": {"$gte": "2026-01-01"}}, "Invalid timestamp value"),
        ({"created_at": {"$gte": 1767225600}}, "Invalid timestamp value"),
        ({"created_at": {"$in": ["2026-13-01T00:00"]}}, "Invalid timestamp value"),
        ({"created_at": "2026-01-01T00:00 or so"}, "Invalid timestamp value"),
        ({"company": {"$contains": "x"}}, 'must be one of ("$eq", "$in")'),
        ({"name": {"$near": "x"}}, 'Invalid operator "$near"'),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_in_words(world: World, filter_: Any, words: str) -> None:
    assert words in refused(world, filter=filter_)["message"]


WORDS = st.sampled_from(
    [
        "$and", "$or", "$not", "$eq", "$in", "$lt", "$contains", "$not_empty", "name", "created_at",
        "company", "record_id", "full_name", "direction", "attribute", "field", "asc", "desc",
        "2026-01-01T00:00Z", "x",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(["filter", "sorts", "limit", "offset"]), JSON, max_size=2)
SMALL = World(3, people=10, companies=1, now=EPOCH)


@settings(max_examples=tries(200, 1000), deadline=None)
@given(BODIES)
def test_whatever_json_is_sent_the_answer_is_rows_or_a_400(body: dict[str, Any]) -> None:
    with suppress(ApiError):  # which `refused` shows to be a 400
        assert len(ask(SMALL, **body)) <= 10


def test_a_filter_is_not_nested_without_end(world: World) -> None:
    filter_: dict[str, Any] = {}
    for _ in range(150):
        filter_ = {"$not": filter_}
    assert refused(world, filter=filter_)["message"] == "The filter is nested too deeply."


@given(
    bounds=st.dictionaries(st.sampled_from(["$gte", "$gt", "$lte", "$lt"]), st.integers(-5, 45), max_size=4)
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_range_of_times_gives_the_rows_that_any_filter_would(
    direction: str, bounds: dict[str, int]
) -> None:
    world = World(1, people=40, now=EPOCH)
    times = sorted(entity.created_at for entity in world.entities("people").values())
    wanted = {
        operator: times[min(max(place, 0), 39)] if 0 <= place < 40 else f"{2000 + place}-01-01T00:00:00.000Z"
        for operator, place in bounds.items()
    }
    sorts = [{"direction": direction, "attribute": "created_at"}]
    query = Query(world)
    range_ = {"created_at": wanted}
    found = query.rows("people", {"filter": range_, "sorts": sorts})
    assert found == query.rows("people", {"filter": {"$and": [range_]}, "sorts": sorts})

"""The world behind the fake: who is in it, and that the seed alone decides."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import timedelta
from hashlib import blake2b

import msgspec
import pytest

from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.population import below
from syncfsm_simulator.world.schema import OBJECTS
from syncfsm_simulator.world.world import World


def encoded(world: World, slug: str = "people") -> list[bytes]:
    ids = world.ids_of(slug)
    return [entity.encoded(ids) for entity in world.entities(slug).values()]


@pytest.fixture(scope="module")
def people() -> list[Entity]:
    return list(World(5, people=1000, now=EPOCH).entities("people").values())


def share(people: list[Entity], slug: str) -> float:
    """Return the share of people who have a value of an attribute."""
    return sum(bool(entity.values[slug]) for entity in people) / len(people)


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    one, same, other = (World(seed, people=30, now=EPOCH) for seed in (1, 1, 2))
    assert encoded(one) == encoded(same)
    assert encoded(one, "companies") == encoded(same, "companies")
    assert not set(encoded(one)) & set(encoded(other))


def test_a_person_does_not_depend_on_how_many_follow() -> None:
    few, many = (World(1, people=count, companies=3, now=EPOCH) for count in (10, 40))
    assert encoded(many)[:10] == encoded(few)


def test_every_attribute_is_there_and_unset_ones_are_empty_lists() -> None:
    world = World(1, people=20, now=EPOCH)
    for slug, kind in OBJECTS.items():
        wanted = [attribute.slug for attribute in kind.attributes]
        for body in encoded(world, slug):
            values = msgspec.json.decode(body)["values"]
            assert list(values) == wanted
            assert all(isinstance(value, list) for value in values.values())


@pytest.mark.parametrize(("slug", "least", "most"), [("people", 2, 6), ("companies", 3, 11)])
def test_records_are_as_large_as_real_ones(slug: str, least: int, most: int) -> None:
    sizes = [len(body) / 1024 for body in encoded(World(5, people=200, companies=50, now=EPOCH), slug)]
    assert least < min(sizes) <= max(sizes) < most


def test_ids_are_uuids_and_no_two_are_the_same(people: list[Entity]) -> None:
    form = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(form.fullmatch(entity.record_id) for entity in people)
    assert len({entity.record_id for entity in people}) == 1000


def test_every_value_says_since_when_by_whom_and_what_it_is(people: list[Entity]) -> None:
    usual = {"active_from", "active_until", "created_by_actor", "attribute_type"}
    values = [value for entity in people for held in entity.values.values() for value in held]
    assert all(usual < set(value) for value in values)


def test_everybodys_company_is_there() -> None:
    world = World(2, people=100, companies=3, now=EPOCH)
    references = [entity.values["company"] for entity in world.entities("people").values()]
    wanted = {value["target_record_id"] for held in references for value in held}
    assert wanted == set(world.entities("companies"))


def test_a_world_may_be_empty() -> None:
    world = World(2, people=0, now=EPOCH)
    assert not world.entities("people")
    assert not world.entities("companies")


def test_the_attribute_created_at_lies_a_little_before_the_records_own(people: list[Entity]) -> None:
    assert all(entity.created_at < entity.recorded_at for entity in people)
    assert all(entity.values["created_at"][0]["value"] == entity.created_at for entity in people)
    assert all(len(entity.created_at) == 30 and entity.created_at.endswith("000000Z") for entity in people)


def test_some_people_share_their_created_at(people: list[Entity]) -> None:
    counts = Counter(entity.created_at for entity in people)
    assert 0.05 < sum(count - 1 for count in counts.values()) / len(people) < 0.2


@pytest.mark.parametrize(
    ("slug", "least", "most"),
    [
        ("name", 0.85, 0.97),
        ("email_addresses", 0.8, 0.95),
        ("phone_numbers", 0.5, 0.7),
        ("company", 0.6, 0.8),
        ("job_title", 0.6, 0.8),
    ],
)
def test_not_everybody_has_everything(people: list[Entity], slug: str, least: float, most: float) -> None:
    assert least < share(people, slug) < most


def test_some_people_have_several_addresses_and_some_a_name_of_the_past(people: list[Entity]) -> None:
    assert {len(entity.values["email_addresses"]) for entity in people} == {0, 1, 2, 3}
    past = [value for entity in people for value in entity.values["name"] if value["active_until"]]
    assert past


def test_names_come_in_many_scripts(people: list[Entity]) -> None:
    names = "".join(value["full_name"] for entity in people for value in entity.values["name"])
    assert set("éŁ李م田Ольה👩") <= set(names)


def test_all_domains_are_invented() -> None:
    world = World(1, people=100, now=EPOCH)
    text = b"".join([*encoded(world), *encoded(world, "companies")]).decode()
    hosts = re.findall(r"(?:https?://|@)([^/\"]+)", text)
    assert len(hosts) > 200
    assert all(host.endswith(".example") for host in hosts)
    assert not re.search(r"\.(com|net|org|io)\b", text)


def test_changes_are_seen_in_the_records_and_told_by_number() -> None:
    world = World(1, people=3, now=EPOCH)
    first, second, _ = world.entities("people")
    seen = len(world.touched("people"))
    before = dict(zip(world.entities("people"), encoded(world), strict=True))
    world.update_person(first, EPOCH + timedelta(seconds=1))
    world.delete_person(second)
    third = world.create_person(EPOCH + timedelta(seconds=5))
    assert world.touched("people", seen) == [first, second, third]
    now = dict(zip(world.entities("people"), encoded(world), strict=True))
    assert set(before) - set(now) == {second}
    assert set(now) - set(before) == {third}
    assert now[first] != before[first]
    assert world.entities("people")[first].created_at in before[first].decode()
    assert world.entities("people")[third].created_at == "2026-01-01T00:00:05.000000000Z"


def test_an_update_moves_the_title_and_nothing_else() -> None:
    world = World(1, people=1, now=EPOCH)
    (record_id,) = world.entities("people")
    before = msgspec.json.decode(encoded(world)[0])
    world.update_person(record_id, EPOCH + timedelta(seconds=1))
    after = msgspec.json.decode(encoded(world)[0])
    (title,) = after["values"].pop("job_title")
    assert title["active_from"] == "2026-01-01T00:00:01.000000000Z"
    assert [title] != before["values"].pop("job_title")
    assert after == before


def test_changes_are_the_same_for_the_same_seed() -> None:
    worlds = [World(1, people=2, now=EPOCH) for _ in range(2)]
    for world in worlds:
        world.update_person(world.create_person(EPOCH), EPOCH)
    assert encoded(worlds[0]) == encoded(worlds[1])


def test_an_import_may_set_created_at_to_the_past() -> None:
    world = World(1, people=0, now=EPOCH)
    entity = world.entities("people")[world.create_person(EPOCH, EPOCH - timedelta(days=3))]
    assert entity.values["created_at"][0]["value"] == "2025-12-29T00:00:00.000000000Z"
    assert entity.recorded_at == "2026-01-01T00:00:00.000000000Z"


def test_worlds_stay_what_they_are() -> None:
    """A seed that somebody noted is to show the same people to whoever upgrades."""
    digest = blake2b(digest_size=8)
    for options in ({}, {"updated_at": True}, {"tied": 0.6, "companies": 3}):
        world = World(3, people=300, now=EPOCH, **options)
        for body in (*encoded(world, "companies"), *encoded(world)):
            digest.update(body)
    assert digest.hexdigest() == "8c3b62bed4ed7fa6"


@pytest.mark.parametrize("slug", ["people", "companies"])
def test_records_are_written_as_an_encoder_would_write_them(slug: str) -> None:
    for body in encoded(World(5, people=300, companies=60, now=EPOCH), slug):
        assert msgspec.json.encode(msgspec.json.decode(body)) == body


@pytest.mark.parametrize("is_read", [False, True])
def test_a_change_shows_at_once_and_leaves_the_rest(is_read: bool) -> None:
    world = World(5, people=3, now=EPOCH)
    ids, (entity, *_) = world.ids_of("people"), world.entities("people").values()
    before = msgspec.json.decode(entity.encoded(ids))
    if is_read:
        assert entity.values == before["values"]
    world.update_person(entity.record_id, EPOCH)
    after = msgspec.json.decode(entity.encoded(ids))
    assert after["values"].pop("job_title") != before["values"].pop("job_title")
    assert after == before
    assert list(entity.each("job_title", "value")) == [entity.values["job_title"][0]["value"]]


def test_what_is_at_hand_of_a_record_is_what_its_values_say(people: list[Entity]) -> None:
    for entity in people[:50]:
        for slug in ("created_at", "record_id"):
            assert list(entity.each(slug, "value")) == [value["value"] for value in entity.active(slug)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 22, 200, 256, 14_700, 63_071_999_999])
def test_numbers_are_drawn_as_python_draws_them(count: int) -> None:
    ours, pythons = random.Random(1), random.Random(1)
    assert [below(ours, count) for _ in range(50)] == [pythons.randrange(count) for _ in range(50)]
    assert ours.getstate() == pythons.getstate()

"""The world behind the fake: who is in it, and that the seed alone decides."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from simulator.clock import EPOCH
from simulator.schema import OBJECTS
from simulator.world import Entity, World


def encoded(world: World, slug: str = "people") -> list[bytes]:
    ids = world.ids_of(slug)
    return [entity.encoded(ids) for entity in world.entities(slug).values()]


@pytest.fixture(scope="module")
def people() -> list[Entity]:
    return list(World(5, people=800, now=EPOCH).entities("people").values())


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


def test_records_are_as_large_as_real_ones() -> None:
    sizes = [len(body) for body in encoded(World(5, people=200, now=EPOCH))]
    assert min(sizes) > 2500
    assert max(sizes) < 7000


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


def test_names_come_in_many_scripts_and_all_domains_are_invented(people: list[Entity]) -> None:
    names = "".join(value["full_name"] for entity in people for value in entity.values["name"])
    assert set("éŁ李م田Ольה👩") <= set(names)
    domains = {value["email_domain"] for entity in people for value in entity.values["email_addresses"]}
    assert all(domain.endswith(".example") for domain in domains)


def test_changes_are_seen_in_the_records_and_told_by_number() -> None:
    world = World(1, people=3, now=EPOCH)
    first, second, _ = world.entities("people")
    seen = len(world.touched("people"))
    before = dict(zip(world.entities("people"), encoded(world), strict=True))
    world.update_person(first, EPOCH)
    world.delete_person(second)
    third = world.create_person(EPOCH + timedelta(seconds=5))
    assert world.touched("people", seen) == [first, second, third]
    now = dict(zip(world.entities("people"), encoded(world), strict=True))
    assert set(before) - set(now) == {second}
    assert set(now) - set(before) == {third}
    assert now[first] != before[first]
    assert world.entities("people")[first].created_at in before[first].decode()
    assert world.entities("people")[third].created_at == "2026-01-01T00:00:05.000000000Z"

"""Paths from a record through its references, as filters and sorts may take them.

A path is a list of pairs of an object and an attribute of it, such as `[["people", "company"],
["companies", "name"]]`. All but the last attribute are references; the last one is what is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from syncfsm_simulator.fakes.attio.errors import bad_filter, invalid, unknown_attribute
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.schema import Attribute
from syncfsm_simulator.world.world import World

STEPS_MAX = 10


class Step(msgspec.Struct, frozen=True):
    """One attribute on the way, and the object whose it is."""

    slug: str
    attribute: Attribute


def follow(world: World, slug: str, path: Any, where: list[str]) -> list[Step]:
    """Return the steps of a path that begins at an object; `where` is its place in the body.

    Raises:
        ApiError: A 400, as Attio would answer.
    """
    if not isinstance(path, list) or not 1 <= len(path) <= STEPS_MAX:
        raise invalid([*where], "Expected array", expected="array")
    steps: list[Step] = []
    for index, pair in enumerate(path):
        here = [*where, str(index)]
        step = _step(world, pair, here)
        if step.slug != (_target(world, steps) if steps else slug):
            raise bad_filter(f'The path can\'t go on with the object "{pair[0]}".', here)
        steps.append(step)
    return steps


def _step(world: World, pair: Any, where: list[str]) -> Step:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise invalid([*where], "Expected array of an object and an attribute", expected="array")
    name, attribute_name = pair
    slug = next((slug for slug, id_ in world.object_ids.items() if name in {slug, id_}), None)
    if slug is None:
        raise bad_filter(f"Unknown object slug: {name}.", [*where, "0"])
    attribute = world.attribute(slug, attribute_name)
    if attribute is None:
        raise unknown_attribute(attribute_name, [*where, "1"])
    return Step(slug, attribute)


def _target(world: World, steps: list[Step]) -> str | None:
    target = steps[-1].attribute.target
    return target if target in world.objects else None


def reached(world: World, steps: list[Step], entity: Entity) -> Iterable[Entity]:
    """Return the records whose last attribute a path means, from one record on."""
    ends: Iterable[Entity] = [entity]
    for step in steps[:-1]:
        ends = list(_referred(world, step, ends))
    return ends


def _referred(world: World, step: Step, entities: Iterable[Entity]) -> Iterator[Entity]:
    for entity in entities:
        for value in entity.active(step.attribute.slug):
            target = world.entities(value["target_object"]).get(value["target_record_id"])
            if target is not None:
                yield target

"""The ids of a workspace: of its objects, their attributes and the options of these."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from syncfsm_simulator.world.population import uuid
from syncfsm_simulator.world.schema import OBJECTS, Attribute


class Ids:
    """All ids but those of records.

    Args:
        rng: Decides the ids of the workspace, its objects and its one member.

    Attributes:
        workspace: The workspace's id.
        objects: The ids of the objects, by slug.
        member: The id of the one member.
    """

    def __init__(self, rng: random.Random) -> None:
        self.workspace = uuid(rng)
        self.objects = {slug: uuid(rng) for slug in OBJECTS}
        self.member = uuid(rng)

    def of_object(self, slug: str) -> dict[str, str]:
        """Return the ids that an object, and every record of it, carries."""
        return {"workspace_id": self.workspace, "object_id": self.objects[slug]}

    def of_attribute(self, slug: str, attribute: str) -> dict[str, str]:
        """Return the ids of an attribute: its own, its object's and its workspace's."""
        return {**self.of_object(slug), "attribute_id": _derived(f"{self.objects[slug]}:{attribute}")}

    def option(self, slug: str, attribute: Attribute, title: str) -> dict[str, Any]:
        """Return an option of a select attribute, as values have it."""
        ids = self.of_attribute(slug, attribute.slug)
        option_id = _derived(f"{ids['attribute_id']}:{title}")
        return {"id": {**ids, "option_id": option_id}, "title": title, "is_archived": False}


@cache
def _derived(purpose: str) -> str:
    """Return an id that its purpose alone decides; there are few, and they are asked for often."""
    return uuid(random.Random(purpose))

"""A fake API whose pages have numbers: `GET /people?page=3&per_page=50&order=newest`, with a total."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

import msgspec

from syncfsm.sources.numbered import NumberedApi
from syncfsm_simulator.fakes.asgi import Receive, Reply, Scope, Send
from syncfsm_simulator.fakes.flat_person import asking_with_a_key, json_reply, plain
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.world import World

PATH = "/people"
LIMIT_MAX = 100

API = NumberedApi(
    service="the numbered fake",
    kind="numbered",
    path=PATH,
    rows="people",
    orders={name: {"order": name} for name in ("newest", "oldest", "id")},
    limit_max=LIMIT_MAX,
    reads_per_s=90,
)
"""What a source needs to know of it."""


class FakeNumbered:
    """Answers with the people of a world, page by page.

    Args:
        world: Whose people.
        per_page_max: The most people in a page; a higher number is cut to it in silence, as many APIs do.
    """

    def __init__(self, world: World, *, per_page_max: int = LIMIT_MAX) -> None:
        self._world = world
        self._per_page_max = per_page_max
        self._app = asking_with_a_key(self._answer, {"message": "no such key"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope) -> Reply:
        path = unquote(scope["path"])
        if path == PATH:
            return self._page(
                {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
            )
        entity = self._world.entities("people").get(path.removeprefix(f"{PATH}/"))
        if entity is None:
            return json_reply({"message": "nothing there"}, 404)
        return json_reply(_person(entity))

    def _page(self, asked: dict[str, str]) -> Reply:
        try:
            number, size = int(asked.get("page", "1")), int(asked.get("per_page", "25"))
        except ValueError:
            number = size = 0
        if number < 1 or size < 1:
            return json_reply({"message": "page and per_page are numbers from 1"}, 400)
        size = min(size, self._per_page_max)
        people = self._ordered(asked.get("order", "newest"))
        rows = people[(number - 1) * size : number * size]
        body = {"people": [_person(entity) for entity in rows], "total": len(people), "page": number}
        return json_reply(body)

    def _ordered(self, order: str) -> list[Entity]:
        people = sorted(self._world.entities("people").values(), key=lambda entity: entity.record_id)
        if order == "id":
            return people
        return sorted(people, key=lambda entity: entity.created_at, reverse=order == "newest")


def _person(entity: Entity) -> dict[str, object]:
    person = msgspec.to_builtins(plain(entity))
    return {"id": entity.record_id, "created_at": entity.created_at, **person}

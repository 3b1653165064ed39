"""A fake AxisCare: `GET /api/clients`, by ascending id, page after page by whole URLs.

A client's number is made of the world's record id, so that it stays the same; clients come, as in the real
one, among the numbers of other people: some pages end early, and some are empty but have a next one.
"""

from __future__ import annotations

from bisect import bisect_right
from urllib.parse import parse_qs, urlencode

from syncfsm.sources.axiscare import API_VERSION, LIMIT_MAX, PATH
from syncfsm_simulator.fakes.asgi import Receive, Reply, Scope, Send, header
from syncfsm_simulator.fakes.flat_person import asking_with_a_key, json_reply, plain
from syncfsm_simulator.world.entity import Entity
from syncfsm_simulator.world.world import World

LIMIT_DEFAULT = 100


def number_of(record_id: str) -> int:
    """Return the number of the client that a person of a world is."""
    return int(record_id.replace("-", "")[:15], 16)


class FakeAxisCare:
    """Answers with the people of a world as clients.

    Args:
        world: Whose people.
        base_url: What the URLs of next pages begin with; where it was asked if empty.
        others_every: Of so many numbers, one is somebody else's, who takes a place in a page; 0 for none.
    """

    def __init__(self, world: World, *, base_url: str = "", others_every: int = 0) -> None:
        self._world = world
        self._base_url = base_url
        self._others_every = others_every
        self._app = asking_with_a_key(self._answer, {"results": None, "errors": [{"message": "no such key"}]})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope) -> Reply:
        if header(scope, b"x-axiscare-api-version") != API_VERSION:
            return _refused(400, "X-AxisCare-Api-Version is missing or unknown")
        people = sorted(
            self._world.entities("people").values(), key=lambda entity: number_of(entity.record_id)
        )
        if scope["path"] == PATH:
            return self._page(scope, people)
        number = scope["path"].removeprefix(f"{PATH}/")
        found = [entity for entity in people if str(number_of(entity.record_id)) == number]
        return _said({**_client(found[0])}) if found else _refused(404, "no such client")

    def _page(self, scope: Scope, people: list[Entity]) -> Reply:
        asked = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        try:
            limit, after = int(asked.get("limit", LIMIT_DEFAULT)), int(asked.get("startAfterId", "-1"))
        except ValueError:
            return _refused(400, "limit and startAfterId are numbers")
        if not 1 <= limit <= LIMIT_MAX:
            return _refused(400, f"limit is from 1 to {LIMIT_MAX}")
        numbers = [number_of(entity.record_id) for entity in people]
        start = bisect_right(numbers, after)
        rows = people[start : start + limit]
        body = {
            "clients": [_client(entity) for entity in rows if not self._is_other(entity)],
            "nextPage": self._next(scope, numbers[start + limit - 1], limit)
            if start + limit < len(people)
            else None,
        }
        return _said(body)

    def _is_other(self, entity: Entity) -> bool:
        return bool(self._others_every) and number_of(entity.record_id) % self._others_every == 0

    def _next(self, scope: Scope, after: int, limit: int) -> str:
        base = self._base_url or f"{scope['scheme']}://{header(scope, b'host')}"
        return f"{base}{PATH}?{urlencode({'startAfterId': after, 'limit': limit})}"


def _client(entity: Entity) -> dict[str, object]:
    person = plain(entity)
    kinds = ("homePhone", "mobilePhone", "otherPhone")
    return {
        "id": number_of(entity.record_id),
        "firstName": person.first_name,
        "lastName": person.last_name,
        "goesBy": "",
        **dict(zip(kinds, [*person.phones, None, None, None], strict=False)),
        "personalEmail": next(iter(person.emails), None),
    }


def _said(results: object) -> Reply:
    return json_reply({"results": results, "errors": None})


def _refused(status: int, words: str) -> Reply:
    return json_reply({"results": None, "errors": [{"message": words}]}, status)

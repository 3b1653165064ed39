"""Requests of every kind to the fake Attio, sensible ones and senseless ones, drawn by Hypothesis.

A request is drawn before the records it is about exist: `@people:3` in it stands for the third person there
is when it is sent, `@email:3` for an address that somebody has, `@webhook:1` for a webhook.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from hypothesis import strategies as st

from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.attio.filters import OPERATORS
from syncfsm_simulator.fakes.attio.routes import ROUTES, Route
from syncfsm_simulator.fakes.attio.webhooks import EVENT_TYPES, LATER_EVENT_TYPES
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.schema import OBJECTS, PROPERTIES
from syncfsm_simulator.world.world import World
from tests.fakes import TestClock

TOKENS = {"all": "the key", "none": None, "unknown": "another key"}


class Ask(NamedTuple):
    """One request, its placeholders not filled in yet."""

    route: Route
    params: dict[str, str]
    query: dict[str, str]
    body: Any  # bytes are sent as they are, None is no body
    token: str


class Answer(NamedTuple):
    """A request as it was sent, and what came back."""

    ask: Ask
    path: str
    response: httpx.Response


SLUGS = sorted({each.slug for kind in OBJECTS.values() for each in kind.attributes})
NAMES = sorted({name for names in PROPERTIES.values() for name in names} | {"value"})
WORDS = st.text(max_size=8) | st.sampled_from(
    [
        "@people:0", "@people:3", "@companies:1", "@email:0", "@email:2", "@domain:1",
        "new@mail.harbor1.example",
        "Ada@Work.Example", "harbor1.example", "https://www.new.example/x", "+14155550132", "+442079460018",
        "020 7946 0018", "Lovelace, Ada", "Software", "2014-06-01", "2026-01-01T00:00Z", "12.5", "GB",
        "people", "companies", "deals", "asc", "desc", "equals",
    ]
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers(-5, 600) | st.floats(-1e9, 1e9) | WORDS
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SLUGS, *NAMES, "data", "values"]), inner, max_size=3)
    ),
    max_leaves=8,
)

# ── values that can be written ───────────────────────────────────────────────────────────────

EMAIL = st.sampled_from(
    ["@email:0", "@email:4", "a@new.example", "B@New.Example", "c.d@mail.new.example", "x"]
)
DOMAIN = st.sampled_from(["@domain:0", "new.example", "https://www.old.example/", "shop.co.uk", "nowhere"])
PHONE = st.sampled_from(["+1 (415) 555-0132", "+442079460018", "+999", "020"])
VALUES = {
    "name": st.sampled_from(["Lovelace, Ada", "Ada"])
    | st.fixed_dictionaries(dict.fromkeys(("first_name", "last_name", "full_name"), st.text(max_size=5))),
    "email_addresses": st.lists(EMAIL | EMAIL.map(lambda text: {"email_address": text}), max_size=3),
    "domains": st.lists(DOMAIN | DOMAIN.map(lambda text: {"domain": text}), max_size=2),
    "phone_numbers": st.lists(
        PHONE
        | st.fixed_dictionaries(
            {"original_phone_number": PHONE, "country_code": st.sampled_from(["GB", None, "QQ"])}
        ),
        max_size=2,
    ),
    "company": st.sampled_from(
        [
            "@companies:0",
            {"target_object": "companies", "target_record_id": "@companies:1"},
            {"target_object": "companies", "domains": [{"domain": "@domain:1"}]},
            {"target_object": "people", "target_record_id": "@people:1"},
            None,
        ]
    ),
    "team": st.lists(st.sampled_from(["@people:0", "@people:1"]), max_size=2),
    "categories": st.lists(st.sampled_from(["Software", "Food", "Alchemy"]), max_size=2),
    "foundation_date": st.sampled_from(["1999-12-31", "2014-06-01T00:00:00Z", "yesterday"]),
    "funding_raised_usd": st.floats(0, 1e9) | st.just({"currency_value": 5}) | st.just("much"),
    "primary_location": st.fixed_dictionaries(
        {
            **dict.fromkeys(("line_1", "line_2", "line_3", "line_4"), st.none()),
            **dict.fromkeys(("locality", "region", "postcode"), st.text(max_size=5)),
            "country_code": st.sampled_from(["US", None, "XX"]),
            "latitude": st.sampled_from(["37.8", "-90", "91", None]),
            "longitude": st.sampled_from(["-122.27", "180.0", "east", None]),
        }
    ),
    "job_title": st.text(max_size=5) | st.fixed_dictionaries({"value": st.text(max_size=5)}) | st.none(),
    "description": st.lists(st.text(max_size=5), max_size=2),
    "linkedin": st.text(max_size=5),
    "created_at": st.just("2026-01-01T00:00:00Z"),
    "nonsense": st.text(max_size=5),
}  # fmt: skip


def _some(names: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: VALUES[name] for name in names})


WRITABLE = {
    slug: _some(
        name for name in VALUES if name in {each.slug for each in kind.attributes} and name != "created_at"
    )
    for slug, kind in OBJECTS.items()
}
WRITES = (WRITABLE["people"] | WRITABLE["companies"] | _some(VALUES)).map(
    lambda values: {"data": {"values": values}}
)

# ── queries ──────────────────────────────────────────────────────────────────────────────────

PATHS = st.sampled_from(
    [
        [["people", "company"], ["companies", "name"]],
        [["people", "job_title"]],
        [["companies", "team"], ["people", "email_addresses"]],
        [["people", "name"], ["companies", "name"]],
        [],
    ]
)
CONDITIONS = st.dictionaries(
    st.sampled_from(SLUGS),
    WORDS
    | st.dictionaries(
        st.sampled_from(OPERATORS), WORDS | st.booleans() | st.lists(WORDS, max_size=2), max_size=2
    )
    | st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=1),
    max_size=2,
)
FILTERS = st.recursive(
    CONDITIONS | st.fixed_dictionaries({"path": PATHS, "constraints": WORDS}),
    lambda inner: (
        st.fixed_dictionaries({"$or": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$and": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=3,
)
DIRECTIONS = st.sampled_from(["asc", "desc", "asc", "desc", "up"])
SORTS = st.lists(
    st.fixed_dictionaries(
        {"direction": DIRECTIONS, "attribute": st.sampled_from([*SLUGS, "updated_at"])},
        optional={"field": st.sampled_from(NAMES)},
    )
    | st.fixed_dictionaries({"direction": DIRECTIONS, "path": PATHS}),
    max_size=2,
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "filter": FILTERS,
        "sorts": SORTS,
        "limit": st.integers(-1, 501) | st.just(1.5),
        "offset": st.integers(-1, 9),
    },
)

# ── webhooks ─────────────────────────────────────────────────────────────────────────────────

COMPARISONS = st.fixed_dictionaries(
    {
        "field": st.sampled_from(["id.object_id", "actor.type", "nothing"]),
        "operator": st.sampled_from(["equals", "not_equals", "equals", "is"]),
        "value": st.sampled_from(["api-token", "x"]),
    }
)
WEBHOOKS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {},
            optional={
                "target_url": st.sampled_from(
                    ["https://hooks.example/in", "http://hooks.example", "x", "https://["]
                ),
                "subscriptions": st.lists(
                    st.fixed_dictionaries(
                        {
                            "event_type": st.sampled_from(
                                [*sorted(EVENT_TYPES - LATER_EVENT_TYPES), "record.moved"]
                            ),
                            "filter": st.none()
                            | st.fixed_dictionaries({"$or": st.lists(COMPARISONS, max_size=2)})
                            | st.fixed_dictionaries({"$and": st.lists(COMPARISONS, max_size=2)}),
                        }
                    ),
                    max_size=2,
                ),
            },
        )
    }
)
GOOD_WEBHOOK = st.just(
    {
        "data": {
            "target_url": "https://hooks.example/in",
            "subscriptions": [{"event_type": "record.updated", "filter": None}],
        }
    }
)
MERGES = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            dict.fromkeys(
                ("primary_record_id", "secondary_record_id"), st.sampled_from(["@people:0", "@people:1", "x"])
            )
        )
    }
)

# ── whole requests ───────────────────────────────────────────────────────────────────────────

OBJECT_NAMES = st.sampled_from(["people", "companies", "people", "companies", "@object:people", "deals"])
RECORD_IDS = st.sampled_from(["@people:0", "@people:1", "@companies:0", "@companies:1", "nobody"])
PARAMS = {
    "object": OBJECT_NAMES,
    "record": RECORD_IDS,
    "attribute": st.sampled_from(["name", "categories", "email_addresses", "nonsense"]),
    "webhook": st.sampled_from(["@webhook:0", "@webhook:1", "nothing"]),
}
PAGES = {"limit": st.sampled_from(["1", "5", "0", "many"]), "offset": st.sampled_from(["0", "2", "-1"])}
TOKEN = st.sampled_from(["all"] * 12 + ["none", "unknown"])


def _bodies(route: Route, published: st.SearchStrategy[Any] | None) -> st.SearchStrategy[Any]:
    """Return what may be sent: mostly what makes sense, sometimes what the schema allows, or nonsense."""
    if route.method in {"GET", "DELETE"}:
        return st.none()
    sensible = WRITES
    if route.name.endswith("/query"):
        sensible = QUERIES
    elif route.name.endswith("/merge"):
        sensible = MERGES
    elif "webhooks" in route.name:
        sensible = WEBHOOKS | GOOD_WEBHOOK
    nonsense = (
        JSON
        | st.fixed_dictionaries({"data": JSON})
        | st.sampled_from([b"", b"{", b"\xff", b'{"data":1e999}'])
    )
    return st.one_of(sensible, sensible, sensible, JSON if published is None else published, nonsense)


def _query(route: Route) -> st.SearchStrategy[dict[str, str]]:
    if route.method == "PUT" and route.name.endswith("/records"):
        names = st.sampled_from(
            ["email_addresses", "domains", "email_addresses", "domains", "name", "nonsense"]
        )
        return st.fixed_dictionaries({}, optional={"matching_attribute": names}) | st.fixed_dictionaries(
            {"matching_attribute": names}
        )
    if route.method == "GET":
        return st.fixed_dictionaries({}, optional=PAGES)
    return st.just({})


GOOD = {
    "people": {
        "name": st.just("Lovelace, Ada"),
        "email_addresses": st.lists(
            st.sampled_from(["@email:0", "a@new.example", "B@New.Example"]), min_size=1
        ),
        "company": st.sampled_from(["@companies:0", None]),
        "phone_numbers": st.just(["+14155550132"]),
    },
    "companies": {
        "name": st.just([{"value": "Harbor & Daughters"}]),
        "domains": st.lists(st.sampled_from(["@domain:0", "new.example", "b.example"]), min_size=1),
        "categories": st.just(["Software"]),
        "team": st.just(["@people:0"]),
        "foundation_date": st.just("1999-12-31"),
        "funding_raised_usd": st.just(5),
    },
}
UNIQUE = {"people": "email_addresses", "companies": "domains"}


@st.composite
def good_asks(draw: st.DrawFn, route: Route) -> Ask:
    """Requests of which most succeed: all their parts speak of the same object."""
    slug = draw(st.sampled_from(["people", "companies"]))
    params = {"object": slug, "record": f"@{slug}:{draw(st.integers(0, 3))}", "webhook": "@webhook:0"}
    params["attribute"] = draw(st.sampled_from(["name", "description"]))
    chosen = {name: params[name] for name in re.findall(r"{(\w+)}", route.name)}
    body: Any = None
    query = {}
    if route.name.endswith("/query"):
        body = draw(st.just({}) | QUERIES)
    elif route.name.endswith("/merge"):
        body = {"data": {"primary_record_id": f"@{slug}:0", "secondary_record_id": f"@{slug}:1"}}
    elif "webhooks" in route.name:
        body = draw(GOOD_WEBHOOK)
    elif route.method in {"POST", "PUT", "PATCH"}:
        is_assertion = route.method == "PUT" and route.name.endswith("/records")
        needed = {UNIQUE[slug]: GOOD[slug][UNIQUE[slug]]} if is_assertion else {}
        optional = {name: drawn for name, drawn in GOOD[slug].items() if name not in needed}
        body = {"data": {"values": draw(st.fixed_dictionaries(needed, optional=optional))}}
        query = {"matching_attribute": UNIQUE[slug]} if is_assertion else {}
    return Ask(route, chosen, query, body if route.method in {"POST", "PUT", "PATCH"} else None, "all")


def asks(route: Route, published: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Ask]:
    """Requests for one route; `published` are bodies that some schema allows."""
    params = {name: PARAMS[name] for name in re.findall(r"{(\w+)}", route.name)}
    drawn = st.builds(
        Ask, st.just(route), st.fixed_dictionaries(params), _query(route), _bodies(route, published), TOKEN
    )
    return good_asks(route) | drawn


def any_asks(
    published: Callable[[Route], st.SearchStrategy[Any] | None] = lambda _: None,
) -> st.SearchStrategy[Ask]:
    """Requests for all routes, each as often as any other."""
    each = [asks(route, published(route)) for route in ROUTES]
    return st.integers(0, len(each) - 1).flatmap(lambda index: each[index])


def whole_talks(drawn: st.SearchStrategy[Ask]) -> st.SearchStrategy[list[Ask]]:
    """Requests one after the other; a webhook is created first, so that there is one to ask about."""
    create = next(route for route in ROUTES if (route.method, route.name) == ("POST", "/v2/webhooks"))
    first = GOOD_WEBHOOK.map(lambda body: Ask(create, {}, {}, body, "all"))
    return st.builds(lambda one, others: [one, *others], first, st.lists(drawn, min_size=8, max_size=20))


class Asker:
    """Sends requests to a fake with a few people, one after the other."""

    def __init__(self, **knobs: Any) -> None:
        self.world = World(2, people=5, companies=3, now=EPOCH)
        self.clock = TestClock()
        taken = httpx.MockTransport(lambda _: httpx.Response(200))
        self.fake = FakeAttio(
            self.world, self.clock, transport=taken, api_key=TOKENS["all"], **{"writes_per_s": 1000, **knobs}
        )

    def send_all(self, asks: list[Ask]) -> list[Answer]:
        return asyncio.run(self._send_all(asks))

    async def _send_all(self, asks: list[Ask]) -> list[Answer]:
        transport = httpx.ASGITransport(self.fake)
        async with httpx.AsyncClient(transport=transport, base_url="http://fake.test") as client:
            return [await self._send(client, ask) for ask in asks]

    async def _send(self, client: httpx.AsyncClient, ask: Ask) -> Answer:
        path = ask.route.name.format(
            **{name: quote(self._filled(text), safe="") for name, text in ask.params.items()}
        )
        content = (
            ask.body if isinstance(ask.body, bytes | None) else json.dumps(self._filled(ask.body)).encode()
        )
        token = TOKENS[ask.token]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = await client.request(
            ask.route.method, path, params=ask.query, content=content, headers=headers
        )
        return Answer(ask, path, response)

    def _filled(self, value: Any) -> Any:
        """Return a value with what its placeholders stand for now."""
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        if isinstance(value, str) and re.fullmatch(r"@\w+:\w+", value):
            kind, _, which = value[1:].partition(":")
            return self._meant(kind, which)
        return value

    def _meant(self, kind: str, which: str) -> str:
        if kind == "object":
            return self.world.object_ids[which]
        there = {
            "people": list(self.world.entities("people")),
            "companies": list(self.world.entities("companies")),
            "webhook": list(self.fake.webhooks.by_id),
            "email": self._held("people", "email_addresses", "email_address"),
            "domain": self._held("companies", "domains", "domain"),
        }[kind]
        return there[int(which) % len(there)] if there else "nothing"

    def _held(self, slug: str, attribute: str, name: str) -> list[str]:
        entities = self.world.entities(slug).values()
        return [value[name] for entity in entities for value in entity.active(attribute)]

"""The routes of the fake Attio: which requests there are, what they need, what answers them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from syncfsm_simulator.fakes.asgi import Reply
from syncfsm_simulator.fakes.attio import meta, records, webhook_routes
from syncfsm_simulator.fakes.attio.request import Request
from syncfsm_simulator.fakes.attio.service import Service

CONFIGURATION = ("object_configuration:read",)
READ = ("record_permission:read", *CONFIGURATION)
WRITE = ("record_permission:read-write", *CONFIGURATION)

Handler = Callable[[Service, Request], Reply]

SELF = "/v2/self"
_OBJECT = "/v2/objects/{object}"
_RECORDS = f"{_OBJECT}/records"
_RECORD = f"{_RECORDS}/{{record}}"
_WEBHOOK = "/v2/webhooks/{webhook}"


class Route(msgspec.Struct, frozen=True):
    """One kind of request. `name` is the path's pattern, `scopes` are those its token needs."""

    method: str
    name: str
    about: str
    handler: Handler | None
    scopes: Sequence[str] = ()
    is_write: bool = False


def _write(method: str, name: str, about: str, handler: Handler, scopes: Sequence[str] = WRITE) -> Route:
    return Route(method, name, about, handler, scopes, is_write=True)


ROUTES = (
    Route("GET", SELF, "whose token it is", meta.self_),
    Route("GET", "/v2/objects", "the objects", meta.objects, CONFIGURATION),
    Route("GET", _OBJECT, "one object, by slug or id", meta.object_, CONFIGURATION),
    Route("GET", f"{_OBJECT}/attributes", "its attributes", meta.attributes, CONFIGURATION),
    Route("GET", f"{_OBJECT}/attributes/{{attribute}}", "one of them", meta.attribute, CONFIGURATION),
    Route(
        "GET",
        f"{_OBJECT}/attributes/{{attribute}}/options",
        "what a select may have",
        meta.options,
        CONFIGURATION,
    ),
    Route("POST", f"{_RECORDS}/query", "records, by filter and in order", records.query, READ),
    _write("POST", f"{_RECORDS}/merge", "make one of two", records.merge),
    _write("POST", _RECORDS, "create one", records.create),
    _write("PUT", _RECORDS, "create or update, by `matching_attribute`", records.assert_),
    Route("GET", _RECORD, "one record", records.get, READ),
    _write("PATCH", _RECORD, "update, adding to attributes with several values", records.update),
    _write("PUT", _RECORD, "update, replacing all that is named", records.overwrite),
    _write("DELETE", _RECORD, "delete", records.delete),
    Route(
        "GET", f"{_RECORD}/attributes/{{attribute}}/values", "values of one attribute", records.values, READ
    ),
    Route("GET", "/v2/webhooks", "all webhooks", webhook_routes.list_, ("webhook:read",)),
    _write("POST", "/v2/webhooks", "create one", webhook_routes.create, ("webhook:read-write",)),
    Route("GET", _WEBHOOK, "one webhook", webhook_routes.get, ("webhook:read",)),
    _write("PATCH", _WEBHOOK, "update", webhook_routes.update, ("webhook:read-write",)),
    _write("DELETE", _WEBHOOK, "delete", webhook_routes.delete, ("webhook:read-write",)),
)
_PATTERNS = [(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.name)), route) for route in ROUTES]


def match(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route that a request is for, the first that fits, and the parts of its path."""
    for pattern, route in _PATTERNS:
        if route.method == method and (found := pattern.fullmatch(path)):
            return route, found.groupdict()
    return Route(method, "other", "", None), {}

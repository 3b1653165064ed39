"""The routes of the fake Attio: which requests there are, what they need, what answers them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from simulator import errors
from simulator.asgi import Reply
from simulator.population import uuid
from simulator.schema import OBJECTS, Attribute, ObjectType

if TYPE_CHECKING:
    from simulator.attio import FakeAttio

CONFIGURATION = ("object_configuration:read",)
READ = ("record_permission:read", *CONFIGURATION)


class Request(msgspec.Struct, frozen=True):
    """What a route needs to know."""

    body: bytes
    params: dict[str, str]
    token: str | None


Handler = Callable[["FakeAttio", Request], Reply]


def _self(app: FakeAttio, request: Request) -> Reply:
    if request.token is None:
        raise errors.ApiError(400, "missing_value", "Token was not recognised, or is missing.")
    if not app.knows(request.token):
        return _json({"active": False})
    world = app.world
    return _json(
        {
            "active": True,
            "scope": " ".join(sorted(app.scopes)),
            "client_id": world.workspace_id,
            "token_type": "Bearer",
            "exp": None,
            "iat": 1_700_000_000,
            "sub": world.workspace_id,
            "aud": world.workspace_id,
            "iss": "attio.com",
            "authorized_by_workspace_member_id": world.member_id,
            "workspace_id": world.workspace_id,
            "workspace_name": "Northwind Labs",
            "workspace_slug": world.slug,
            "workspace_logo_url": None,
        }
    )


def _objects(app: FakeAttio, _request: Request) -> Reply:
    kinds = sorted(OBJECTS.values(), key=lambda kind: app.world.object_ids[kind.slug])
    return _json({"data": [_object_body(app, kind) for kind in kinds]})


def _object(app: FakeAttio, request: Request) -> Reply:
    return _json({"data": _object_body(app, app.object_type(request.params["object"]))})


def _attributes(app: FakeAttio, request: Request) -> Reply:
    kind = app.object_type(request.params["object"])
    return _json({"data": [_attribute_body(app, kind, attribute) for attribute in kind.attributes]})


def _query(app: FakeAttio, request: Request) -> Reply:
    kind = app.object_type(request.params["object"])
    try:
        body = msgspec.json.decode(request.body or b"{}")
        rows = app.query.rows(kind.slug, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.ApiError(400, "validation_type", "Body is not valid JSON.") from error
    return Reply(200, app.entity_rows(kind.slug, rows), {"x-attio-record-query-score": "0"})


def _record(app: FakeAttio, request: Request) -> Reply:
    kind, record_id = app.object_type(request.params["object"]), request.params["record"]
    entity = app.world.entities(kind.slug).get(record_id)
    if entity is None:
        raise errors.not_found(f'Record with ID "{record_id}" not found.')
    return Reply(200, b'{"data":' + entity.encoded(app.world.ids_of(kind.slug)) + b"}")


def _json(value: Any) -> Reply:
    return Reply(200, msgspec.json.encode(value))


def _object_body(app: FakeAttio, kind: ObjectType) -> dict[str, Any]:
    return {
        "id": app.world.ids_of(kind.slug),
        "api_slug": kind.slug,
        "singular_noun": kind.singular,
        "plural_noun": kind.plural,
        "created_at": "2023-11-14T22:13:20.000000000Z",
    }


_DEFAULTS = {"created_at": "PT0S", "created_by": "current-user"}


def _attribute_body(app: FakeAttio, kind: ObjectType, attribute: Attribute) -> dict[str, Any]:
    attribute_id = uuid(random.Random(f"{app.world.object_ids[kind.slug]}:{attribute.slug}"))
    default = _DEFAULTS.get(attribute.slug)
    is_reference = attribute.type == "record-reference"
    return {
        "id": {**app.world.ids_of(kind.slug), "attribute_id": attribute_id},
        "title": attribute.title,
        "description": None,
        "api_slug": attribute.slug,
        "type": attribute.type,
        "is_system_attribute": True,
        "is_writable": attribute.is_writable,
        "is_required": False,
        "is_unique": attribute.is_unique,
        "is_multiselect": attribute.is_multiselect,
        "is_default_value_enabled": default is not None,
        "is_archived": False,
        "default_value": default and {"type": "dynamic", "template": default},
        "relationship": None,
        "created_at": "2023-11-14T22:13:20.000000000Z",
        "config": {
            "currency": {"default_currency_code": "USD", "display_type": "symbol"},
            "record_reference": {"allowed_object_ids": [] if is_reference else None},
        },
    }


SELF = "/v2/self"


class Route(msgspec.Struct, frozen=True):
    """What answers a request, and the scopes that its token needs. `name` is the path's pattern."""

    name: str
    handler: Handler | None
    scopes: Sequence[str]


_ROUTES: tuple[tuple[str, str, Handler, Sequence[str]], ...] = (
    ("GET", SELF, _self, ()),
    ("GET", "/v2/objects", _objects, CONFIGURATION),
    ("GET", "/v2/objects/{object}", _object, CONFIGURATION),
    ("GET", "/v2/objects/{object}/attributes", _attributes, CONFIGURATION),
    ("POST", "/v2/objects/{object}/records/query", _query, READ),
    ("GET", "/v2/objects/{object}/records/{record}", _record, READ),
)
_PATTERNS = [
    (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", name)), Route(name, handler, scopes))
    for method, name, handler, scopes in _ROUTES
]


def match(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route that a request is for, the first that fits, and the parts of its path."""
    for wanted, pattern, route in _PATTERNS:
        if wanted == method and (found := pattern.fullmatch(path)):
            return route, found.groupdict()
    return Route("other", None, ()), {}

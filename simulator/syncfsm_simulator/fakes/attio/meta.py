"""What the fake answers about itself: whose token it is, the objects, their attributes and options."""

from __future__ import annotations

from typing import Any

from syncfsm_simulator.fakes.asgi import Reply
from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.request import Request, json_reply
from syncfsm_simulator.fakes.attio.service import Service
from syncfsm_simulator.world.schema import Attribute, ObjectType

_CREATED_AT = "2023-11-14T22:13:20.000000000Z"
_DEFAULTS = {"created_at": "PT0S", "created_by": "current-user"}


def self_(service: Service, request: Request) -> Reply:
    """Answer whose token it is; that a token is no good is an answer like any other."""
    if request.token is None:
        raise errors.missing_value("Token was not recognised, or is missing.")
    if not service.knows(request.token):
        return json_reply({"active": False})
    world = service.world
    return json_reply(
        {
            "active": True,
            "scope": " ".join(sorted(service.knobs.scopes)),
            "client_id": world.workspace_id,
            "token_type": "Bearer",
            "token_level": service.knobs.token_level,  # in later versions of the published document only
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


def objects(service: Service, _request: Request) -> Reply:
    """Answer all objects, by id."""
    kinds = sorted(service.world.objects.values(), key=lambda kind: service.world.object_ids[kind.slug])
    return json_reply({"data": [_object_body(service, kind) for kind in kinds]})


def object_(service: Service, request: Request) -> Reply:
    """Answer one object."""
    return json_reply({"data": _object_body(service, service.object_type(request.params["object"]))})


def attributes(service: Service, request: Request) -> Reply:
    """Answer the attributes of an object, in Attio's order."""
    kind = service.object_type(request.params["object"])
    bodies = [_attribute_body(service, kind, attribute) for attribute in kind.attributes]
    return json_reply({"data": request.page(bodies)})


def attribute(service: Service, request: Request) -> Reply:
    """Answer one attribute."""
    kind = service.object_type(request.params["object"])
    return json_reply({"data": _attribute_body(service, kind, _found(service, kind, request))})


def options(service: Service, request: Request) -> Reply:
    """Answer what a select attribute may have."""
    kind = service.object_type(request.params["object"])
    found = _found(service, kind, request)
    return json_reply(
        {"data": [service.world.ids.option(kind.slug, found, title) for title in found.options]}
    )


def _found(service: Service, kind: ObjectType, request: Request) -> Attribute:
    name = request.params["attribute"]
    found = service.world.attribute(kind.slug, name)
    if found is None:
        raise errors.not_found(f'Attribute with slug/ID "{name}" not found.')
    return found


def _object_body(service: Service, kind: ObjectType) -> dict[str, Any]:
    return {
        "id": service.world.ids_of(kind.slug),
        "api_slug": kind.slug,
        "singular_noun": kind.singular,
        "plural_noun": kind.plural,
        "created_at": _CREATED_AT,
    }


def _attribute_body(service: Service, kind: ObjectType, attribute: Attribute) -> dict[str, Any]:
    default = _DEFAULTS.get(attribute.slug)
    target_id = service.world.object_ids.get(attribute.target or "")
    return {
        "id": service.world.ids.of_attribute(kind.slug, attribute.slug),
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
        "created_at": _CREATED_AT,
        "config": {
            "currency": {"default_currency_code": "USD", "display_type": "symbol"},
            "record_reference": {
                "allowed_object_ids": [*filter(None, [target_id])] if attribute.target else None
            },
        },
    }

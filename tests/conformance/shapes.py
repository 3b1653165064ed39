"""The shapes of the fake's answers, in small schemas of our own; written from what was recorded of Attio."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from syncfsm_simulator.world.schema import PROPERTIES, properties
from tests.conformance.asking import Answer

TEXT = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}
UUID = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"}


def closed(**fields: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def data(schema: dict[str, Any]) -> dict[str, Any]:
    return closed(data=schema)


def listed(schema: dict[str, Any]) -> dict[str, Any]:
    return data({"type": "array", "items": schema})


ERROR = {
    "type": "object",
    "properties": {
        "status_code": {"enum": [400, 401, 403, 404, 409, 413, 429]},
        "type": {"enum": ["invalid_request_error", "auth_error", "rate_limit_error"]},
        "code": {"type": "string", "pattern": "^[a-z_]+$"},
        "message": {"type": "string", "minLength": 1},
        "path": {"type": "array", "items": TEXT},
        "validation_errors": {"type": "array", "minItems": 1},
    },
    "required": ["status_code", "type", "code", "message"],
    "additionalProperties": False,
}

ACTOR = closed(type={"enum": ["api-token", "workspace-member", "system"]}, id=TEXT_OR_NULL)
OBJECT_IDS = {"workspace_id": UUID, "object_id": UUID}
ATTRIBUTE_IDS = {**OBJECT_IDS, "attribute_id": UUID}
OPTION = closed(id=closed(**ATTRIBUTE_IDS, option_id=UUID), title=TEXT, is_archived={"const": False})
FIELDS: dict[str, dict[str, Any]] = {
    "number": {"value": {"type": "number"}},
    "currency": {"currency_value": {"type": "number"}, "currency_code": TEXT},
    "timestamp": {"value": MOMENT},
    "date": {"value": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}},
    "text": {"value": TEXT},
    "select": {"option": OPTION},
    "record-reference": {"target_object": TEXT, "target_record_id": UUID},
    "location": dict.fromkeys(properties("location"), TEXT_OR_NULL),
    "interaction": {"interaction_type": {"const": "email"}, "interacted_at": MOMENT, "owner_actor": ACTOR},
}
for type_, names in PROPERTIES.items():
    FIELDS.setdefault(type_, dict.fromkeys(names, TEXT))

VALUE = {
    "oneOf": [
        closed(
            active_from=MOMENT,
            active_until={"anyOf": [MOMENT, {"type": "null"}]},
            created_by_actor=ACTOR,
            attribute_type={"const": type_},
            **fields,
        )
        for type_, fields in FIELDS.items()
    ]
}
RECORD = closed(
    id=closed(**OBJECT_IDS, record_id=UUID),
    created_at=MOMENT,
    web_url=TEXT,
    values={"type": "object", "additionalProperties": {"type": "array", "items": VALUE}},
)
OBJECT = closed(
    id=closed(**OBJECT_IDS), api_slug=TEXT, singular_noun=TEXT, plural_noun=TEXT, created_at=MOMENT
)
ATTRIBUTE = {
    "type": "object",
    "properties": {"id": closed(**ATTRIBUTE_IDS), "type": {"enum": list(FIELDS)}, "api_slug": TEXT},
    "required": ["id", "type", "api_slug", "title", "is_unique", "is_multiselect", "is_writable", "config"],
}
WEBHOOK_FIELDS = {
    "id": closed(workspace_id=UUID, webhook_id=UUID),
    "target_url": {"type": "string", "pattern": "^https://"},
    "subscriptions": {"type": "array", "items": closed(event_type=TEXT, filter={"type": ["object", "null"]})},
    "status": {"enum": ["active", "degraded", "inactive"]},
    "created_at": MOMENT,
}
WEBHOOK = closed(**WEBHOOK_FIELDS)
SECRET = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NOTHING: dict[str, Any] = closed()

SHAPES = {
    ("GET", "/v2/self"): {"type": "object", "required": ["active"]},
    ("GET", "/v2/objects"): listed(OBJECT),
    ("GET", "/v2/objects/{object}"): data(OBJECT),
    ("GET", "/v2/objects/{object}/attributes"): listed(ATTRIBUTE),
    ("GET", "/v2/objects/{object}/attributes/{attribute}"): data(ATTRIBUTE),
    ("GET", "/v2/objects/{object}/attributes/{attribute}/options"): listed(OPTION),
    ("POST", "/v2/objects/{object}/records/query"): listed(RECORD),
    ("POST", "/v2/objects/{object}/records/merge"): data(closed(new_record_id=UUID)),
    ("POST", "/v2/objects/{object}/records"): data(RECORD),
    ("PUT", "/v2/objects/{object}/records"): data(RECORD),
    ("GET", "/v2/objects/{object}/records/{record}"): data(RECORD),
    ("PATCH", "/v2/objects/{object}/records/{record}"): data(RECORD),
    ("PUT", "/v2/objects/{object}/records/{record}"): data(RECORD),
    ("DELETE", "/v2/objects/{object}/records/{record}"): NOTHING,
    ("GET", "/v2/objects/{object}/records/{record}/attributes/{attribute}/values"): listed(VALUE),
    ("GET", "/v2/webhooks"): listed(WEBHOOK),
    ("POST", "/v2/webhooks"): data(closed(**WEBHOOK_FIELDS, secret=SECRET)),
    ("GET", "/v2/webhooks/{webhook}"): data(WEBHOOK),
    ("PATCH", "/v2/webhooks/{webhook}"): data(WEBHOOK),
    ("DELETE", "/v2/webhooks/{webhook}"): NOTHING,
}
"""What a 200 is, by method and route."""

_VALIDATORS = {key: Draft202012Validator(schema) for key, schema in SHAPES.items()}
_ERROR = Draft202012Validator(ERROR)


def problems(answer: Answer) -> list[str]:
    """Return everything that is wrong with an answer's shape."""
    response, route = answer.response, answer.ask.route
    if response.status_code == 200:
        validator = _VALIDATORS[route.method, route.name]
    elif response.status_code in {400, 401, 403, 404, 409, 413, 429}:
        validator = _ERROR
        if response.json().get("status_code") != response.status_code:
            return ["the body tells of another status"]
    else:
        return [f"the status is {response.status_code}"]
    return [f"{list(each.path)}: {each.message[:200]}" for each in validator.iter_errors(response.json())]

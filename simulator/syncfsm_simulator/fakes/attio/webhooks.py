"""Webhooks: who wants to be told of what, and the routes by which they say so."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from syncfsm_simulator.fakes.asgi import Reply
from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.request import Request, json_reply
from syncfsm_simulator.world.entity import time_text
from syncfsm_simulator.world.population import uuid

if TYPE_CHECKING:
    from syncfsm_simulator.fakes.attio.app import FakeAttio

EVENT_TYPES = frozenset(
    f"{subject}.{verb}"
    for subject, verbs in {
        "call-recording": "created",
        "comment": "created resolved unresolved deleted",
        "list": "created updated deleted",
        "list-attribute": "created updated",
        "list-entry": "created updated deleted",
        "object-attribute": "created updated",
        "note": "created updated deleted",
        "note-content": "updated",
        "record": "created updated deleted merged",
        "task": "created updated deleted",
        "workspace-member": "created",
    }.items()
    for verb in verbs.split()
)
"""What a webhook may be told of. The fake's workspace has records only, so only their events come."""

WEBHOOKS_MAX = 1000

_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1", re.ASCII)


class Subscription(msgspec.Struct, frozen=True):
    """One type of event, and which of its events."""

    event_type: str
    filter: dict[str, Any] | None

    def wants(self, event: dict[str, Any]) -> bool:
        """Whether an event is one that the subscriber wants to be told of."""
        if event["event_type"] != self.event_type:
            return False
        if self.filter is None:
            return True
        if "$or" in self.filter:
            return any(_fits(part, event) for part in self.filter["$or"])
        return all(_fits(part, event) for part in self.filter["$and"])


class Webhook(msgspec.Struct, frozen=True):
    """Somebody who wants to be told, and whether they could be."""

    webhook_id: str
    target_url: str
    subscriptions: list[Subscription]
    created_at: str
    secret: str
    status: str = "active"

    def body(self, workspace_id: str) -> dict[str, Any]:
        """Return the webhook as Attio tells of it; never with its secret."""
        return {
            "target_url": self.target_url,
            "subscriptions": self.subscriptions,
            "id": {"workspace_id": workspace_id, "webhook_id": self.webhook_id},
            "status": self.status,
            "created_at": self.created_at,
        }


class Webhooks:
    """The webhooks of a workspace, by id."""

    def __init__(self, workspace_id: str) -> None:
        self.by_id: dict[str, Webhook] = {}
        self._rng = random.Random(f"{workspace_id}:webhooks")

    def add(self, target_url: str, subscriptions: list[Subscription], created_at: str) -> Webhook:
        """Add a webhook with an id and a secret of its own."""
        webhook_id, secret = uuid(self._rng), f"{self._rng.getrandbits(256):064x}"
        webhook = Webhook(webhook_id, target_url, subscriptions, created_at, secret)
        self.by_id[webhook_id] = webhook
        return webhook

    def mark(self, webhook_id: str, status: str) -> None:
        """Change a webhook's status, if it is still there."""
        if webhook_id in self.by_id:
            self.by_id[webhook_id] = replace(self.by_id[webhook_id], status=status)


def _fits(part: dict[str, str], event: dict[str, Any]) -> bool:
    """Whether the field that a part of a filter names, with dots between the levels, is as it says."""
    value: Any = event
    for name in part["field"].split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return bool(value == part["value"]) is (part["operator"] == "equals")


# ── the routes ───────────────────────────────────────────────────────────────────────────────


def list_(app: FakeAttio, request: Request) -> Reply:
    """Answer all webhooks."""
    webhooks = request.page(list(app.webhooks.by_id.values()))
    return json_reply({"data": [webhook.body(app.world.workspace_id) for webhook in webhooks]})


def create(app: FakeAttio, request: Request) -> Reply:
    """Add a webhook; only this answer has its secret."""
    data = request.data()
    target_url = _target_url(app, data.get("target_url"))
    subscriptions = _subscriptions(data.get("subscriptions"))
    if len(app.webhooks.by_id) >= WEBHOOKS_MAX:
        raise errors.invalid(["data"], f"A workspace may have {WEBHOOKS_MAX} webhooks", "too_big")
    webhook = app.webhooks.add(target_url, subscriptions, time_text(app.now()))
    return json_reply({"data": {**webhook.body(app.world.workspace_id), "secret": webhook.secret}})


def get(app: FakeAttio, request: Request) -> Reply:
    """Answer one webhook."""
    return json_reply({"data": _found(app, request).body(app.world.workspace_id)})


def update(app: FakeAttio, request: Request) -> Reply:
    """Change where a webhook is sent, or of what it is told."""
    webhook, data = _found(app, request), request.data()
    if "target_url" in data:
        webhook = replace(webhook, target_url=_target_url(app, data["target_url"]))
    if "subscriptions" in data:
        webhook = replace(webhook, subscriptions=_subscriptions(data["subscriptions"]))
    app.webhooks.by_id[webhook.webhook_id] = webhook
    return json_reply({"data": webhook.body(app.world.workspace_id)})


def delete(app: FakeAttio, request: Request) -> Reply:
    """Take a webhook away; what was not sent yet is not sent any more."""
    del app.webhooks.by_id[_found(app, request).webhook_id]
    return json_reply({})


def _found(app: FakeAttio, request: Request) -> Webhook:
    webhook_id = request.params["webhook"]
    if webhook_id not in app.webhooks.by_id:
        raise errors.not_found(f'Webhook with ID "{webhook_id}" was not found.')
    return app.webhooks.by_id[webhook_id]


def _target_url(app: FakeAttio, url: Any) -> str:
    path: list[str | int] = ["data", "target_url"]
    if not isinstance(url, str):
        raise errors.invalid(path, "Required", expected="string")
    try:
        parts = urlsplit(url)
        is_url = bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url
    except ValueError:  # a port that is no number, a bracket that is not closed
        is_url = False
    is_here = is_url and parts.scheme == "http" and bool(_LOOPBACK.fullmatch(parts.hostname or ""))
    if not is_url or not (url.startswith("https://") or (app.knobs.http_targets and is_here)):
        raise errors.invalid(path, "Invalid URL: it must begin with https://", "invalid_string")
    return url


def _subscriptions(given: Any) -> list[Subscription]:
    if not isinstance(given, list):
        raise errors.invalid(["data", "subscriptions"], "Required", expected="array")
    return [_subscription(item, ["data", "subscriptions", index]) for index, item in enumerate(given)]


def _subscription(given: Any, path: list[str | int]) -> Subscription:
    if not isinstance(given, dict) or "filter" not in given:
        raise errors.invalid([*path, "filter"], "Required")
    event_type = given.get("event_type")
    if not isinstance(event_type, str) or event_type not in EVENT_TYPES:
        options = sorted(EVENT_TYPES)
        raise errors.invalid([*path, "event_type"], "Invalid input", "invalid_option", options=options)
    _check_filter(given["filter"], [*path, "filter"])
    return Subscription(event_type, given["filter"])


def _check_filter(given: Any, path: list[str | int]) -> None:
    """Refuse a filter that is neither null nor a list of comparisons that must all, or any, hold."""
    if given is None:
        return
    parts = given.get("$or", given.get("$and")) if isinstance(given, dict) else None
    if not isinstance(parts, list) or not {"$or", "$and"} >= given.keys() or len(given) != 1:
        raise errors.invalid(path, "Invalid input", "invalid_union")
    for index, part in enumerate(parts):
        is_comparison = (
            isinstance(part, dict)
            and part.get("operator") in ("equals", "not_equals")
            and isinstance(part.get("field"), str)
            and isinstance(part.get("value"), str)
        )
        if not is_comparison:
            raise errors.invalid([*path, index], "Invalid input", "invalid_union")

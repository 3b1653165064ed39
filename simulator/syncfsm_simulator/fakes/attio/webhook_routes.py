"""What the fake answers about webhooks: who may be told of what, and how they say so."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from syncfsm_simulator.fakes.asgi import Reply
from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.request import Request, json_reply
from syncfsm_simulator.fakes.attio.service import Service
from syncfsm_simulator.fakes.attio.webhooks import EVENT_TYPES, Subscription, Webhook
from syncfsm_simulator.world.entity import time_text

WEBHOOKS_MAX = 1000

_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1", re.ASCII)


def list_(service: Service, request: Request) -> Reply:
    """Answer all webhooks."""
    webhooks = request.page(list(service.webhooks.by_id.values()))
    return json_reply({"data": [webhook.body(service.world.workspace_id) for webhook in webhooks]})


def create(service: Service, request: Request) -> Reply:
    """Add a webhook; only this answer has its secret."""
    data = request.data()
    target_url = _target_url(service, data.get("target_url"))
    subscriptions = _subscriptions(data.get("subscriptions"))
    if len(service.webhooks.by_id) >= WEBHOOKS_MAX:
        raise errors.invalid(["data"], f"A workspace may have {WEBHOOKS_MAX} webhooks", "too_big")
    _check_new(service, target_url, subscriptions)
    webhook = service.webhooks.add(target_url, subscriptions, time_text(service.now()))
    return json_reply({"data": {**webhook.body(service.world.workspace_id), "secret": webhook.secret}})


def get(service: Service, request: Request) -> Reply:
    """Answer one webhook."""
    return json_reply({"data": _found(service, request).body(service.world.workspace_id)})


def update(service: Service, request: Request) -> Reply:
    """Change where a webhook is sent, or of what it is told."""
    webhook, data = _found(service, request), request.data()
    if "target_url" in data:
        webhook = replace(webhook, target_url=_target_url(service, data["target_url"]))
    if "subscriptions" in data:
        webhook = replace(webhook, subscriptions=_subscriptions(data["subscriptions"]))
    _check_new(service, webhook.target_url, webhook.subscriptions, webhook.webhook_id)
    service.webhooks.by_id[webhook.webhook_id] = webhook
    return json_reply({"data": webhook.body(service.world.workspace_id)})


def delete(service: Service, request: Request) -> Reply:
    """Take a webhook away; what was not sent yet is not sent any more."""
    del service.webhooks.by_id[_found(service, request).webhook_id]
    return json_reply({})


def _check_new(service: Service, target_url: str, subscriptions: list[Subscription], but: str = "") -> None:
    if service.webhooks.has(target_url, subscriptions, but):
        raise errors.doubled_webhook()


def _found(service: Service, request: Request) -> Webhook:
    webhook_id = request.params["webhook"]
    if webhook_id not in service.webhooks.by_id:
        raise errors.not_found(f'Webhook with ID "{webhook_id}" was not found.')
    return service.webhooks.by_id[webhook_id]


def _target_url(service: Service, url: Any) -> str:
    path: list[str | int] = ["data", "target_url"]
    if not isinstance(url, str):
        raise errors.invalid(path, "Required", expected="string")
    try:
        parts = urlsplit(url)
        is_url = bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url
    except ValueError:  # a port that is no number, a bracket that is not closed
        is_url = False
    is_here = is_url and parts.scheme == "http" and bool(_LOOPBACK.fullmatch(parts.hostname or ""))
    if not is_url or not (url.startswith("https://") or (service.knobs.http_targets and is_here)):
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

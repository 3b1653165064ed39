"""Webhooks: who wants to be told of what."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from syncfsm_simulator.world.population import uuid


def _types(verbs_of: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{subject}.{verb}" for subject, verbs in verbs_of.items() for verb in verbs.split())


LATER_EVENT_TYPES = _types(
    {
        "activity": "created updated deleted",
        "activity-attribute": "created updated",
        "activity-record": "created deleted",
    }
)
"""Those that only later versions of the published document have."""

EVENT_TYPES = LATER_EVENT_TYPES | _types(
    {
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
    }
)
"""What a webhook may be told of. The fake's workspace has records only, so only their events come."""


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

    def has(self, target_url: str, subscriptions: Sequence[Subscription], but: str = "") -> bool:
        """Whether another webhook than `but` tells the same URL of any of these already."""
        others = (webhook for webhook in self.by_id.values() if webhook.webhook_id != but)
        return any(
            webhook.target_url == target_url and any(each in webhook.subscriptions for each in subscriptions)
            for webhook in others
        )

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

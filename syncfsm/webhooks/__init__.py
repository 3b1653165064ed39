"""Webhooks: what is told is kept before it is answered, and seen to afterwards, whatever the order.

`WebhookReceiver` is an ASGI app that puts the ids of the records told of into the log's inbox.
`WebhookWorker` asks the source for these records: those that come are upserted, those that do not are gone
and deleted. What exactly happened to a record never matters, nor how often it was told: only that something
did.
"""

from __future__ import annotations

from syncfsm.webhooks.receiver import WebhookReceiver
from syncfsm.webhooks.worker import WebhookWorker

__all__ = ["WebhookReceiver", "WebhookWorker"]

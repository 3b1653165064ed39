"""Webhooks: what is told is kept before it is answered, and seen to afterwards, whatever the order.

`WebhookReceiver` is an ASGI app that puts the ids of the records told of into the log's inbox.
`WebhookWorker` asks the source for these records: those that come are upserted. One that does not come is
deleted only where a webhook said that it is gone and the source says so too; else it is asked for again, and
in the end left as it is. How often something was told never matters, nor in which order.
"""

from __future__ import annotations

from syncfsm.webhooks.receiver import WebhookReceiver
from syncfsm.webhooks.worker import WebhookWorker

__all__ = ["WebhookReceiver", "WebhookWorker"]

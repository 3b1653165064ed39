"""Webhooks on their way: what happened becomes messages, signed, and sent until somebody takes them.

Attio sends one event a message, signs its body, and tries again when the answer is neither 200 nor 202: ten
times more, waiting twice as long each time, for about three days in all. A message keeps its idempotency key
over all of that. Nothing is promised of the order in which messages come.

The sender takes its clock and its transport, so that it is the same in virtual time and over real HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.attio.knobs import Knobs
from syncfsm_simulator.fakes.attio.webhooks import Webhook, Webhooks
from syncfsm_simulator.world.entity import Change
from syncfsm_simulator.world.population import uuid
from syncfsm_simulator.world.world import World

RETRIES_MAX = 10
RETRY_S_BASE = 3 * 24 * 3600 / (2**RETRIES_MAX - 1)
"""The wait before the first retry; twice as long before each further one, it makes three days in all."""

TIMEOUT_S = 10.0
"""How long an answer may take; Attio's own patience is not known."""

DEGRADED = timedelta(days=7)
"""How long a webhook may be degraded before it is told of nothing any more."""

WAITING_MAX = 100_000
"""Messages under way at once; what comes beyond that is lost, and counted."""

TAKEN = (200, 202)


class Message(msgspec.Struct, frozen=True):
    """One event for one webhook, as it is sent."""

    webhook_id: str
    body: bytes
    key: str


def events_of(world: World, change: Change) -> Iterator[dict[str, Any]]:
    """Return the events that tell of a change: one for each attribute updated or record merged."""
    ids = {**world.ids_of(change.slug), "record_id": change.record_id}
    event = {"event_type": f"record.{change.kind}", "id": ids, "actor": change.actor}
    if change.kind == "updated":
        for slug in change.attributes:
            attribute_ids = world.ids.of_attribute(change.slug, slug)
            yield {**event, "id": {**ids, "attribute_id": attribute_ids["attribute_id"]}}
    elif change.kind == "merged":
        for merged in change.merged:
            yield {**event, "duplicate_object_id": ids["object_id"], "duplicate_record_id": merged}
    else:
        yield event


def signature(secret: str, body: bytes) -> str:
    """Return what the header `Attio-Signature` says of a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Deliveries:
    """Tells webhooks of a world's changes.

    Args:
        world: What changes.
        webhooks: Who wants to be told.
        clock: For waits between attempts.
        knobs: How many a second, and what goes wrong on the way.
        transport: Where requests go; the network if `None`.

    Attributes:
        counts: How many messages were `taken`, attempts `refused`, messages `given up`, `withdrawn` with
            their webhook, or `lost` for there were too many.
    """

    def __init__(
        self,
        world: World,
        webhooks: Webhooks,
        clock: Clock,
        knobs: Knobs,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._world = world
        self._webhooks = webhooks
        self._clock = clock
        self._knobs = knobs
        self._transport = transport
        self._rng = random.Random(f"{world.workspace_id}:deliveries")
        self._waiting: list[Message] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_slot: dict[str, datetime] = {}
        self._degraded_at: dict[str, datetime] = {}
        world.watch(self._tell)

    def start(self) -> None:
        """Send what waits, on the event loop that runs; each message on its own, so none holds another up."""
        loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            task = loop.create_task(self._deliver(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Return when every message has been taken or given up; in real time, that may be days."""
        self.start()
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _tell(self, change: Change) -> None:
        """Write down what is to be sent; it goes at once if an event loop runs, else with the next start."""
        if not self._webhooks.by_id:
            return
        for event in events_of(self._world, change):
            for webhook in self._webhooks.by_id.values():
                if self._is_told(webhook) and any(each.wants(event) for each in webhook.subscriptions):
                    self._put(webhook, event)
        if _is_loop_running():
            self.start()

    def _is_told(self, webhook: Webhook) -> bool:
        since = self._degraded_at.get(webhook.webhook_id)
        if since is not None and self._clock.now() - since >= DEGRADED:
            self._webhooks.mark(webhook.webhook_id, "inactive")
            return False
        return webhook.status != "inactive"

    def _put(self, webhook: Webhook, event: dict[str, Any]) -> None:
        if len(self._tasks) + len(self._waiting) >= WAITING_MAX:
            self.counts["lost"] += 1
            return
        body = msgspec.json.encode({"webhook_id": webhook.webhook_id, "events": [event]})
        self._waiting.append(Message(webhook.webhook_id, body, uuid(self._rng)))

    async def _deliver(self, message: Message) -> None:
        """Send a message until it is taken, or for good reasons no longer."""
        if self._knobs.webhook_delay_s:
            await self._clock.sleep(self._rng.uniform(0, self._knobs.webhook_delay_s))
        for attempt in range(RETRIES_MAX + 1):
            if attempt:
                await self._clock.sleep(RETRY_S_BASE * 2 ** (attempt - 1))
            webhook = self._webhooks.by_id.get(message.webhook_id)
            if webhook is None:
                self.counts["withdrawn"] += 1
                return None
            if await self._attempt(webhook, message):
                return await self._taken(webhook, message)
            self.counts["refused"] += 1
        self.counts["given up"] += 1
        self._webhooks.mark(message.webhook_id, "degraded")
        self._degraded_at.setdefault(message.webhook_id, self._clock.now())
        return None

    async def _taken(self, webhook: Webhook, message: Message) -> None:
        self.counts["taken"] += 1
        if self._degraded_at.pop(webhook.webhook_id, None) is not None:
            self._webhooks.mark(webhook.webhook_id, "active")
        if self._rng.random() < self._knobs.webhook_duplicates:
            await self._attempt(webhook, message)

    async def _attempt(self, webhook: Webhook, message: Message) -> bool:
        """Send a message once; return whether it was taken."""
        await self._slot(webhook.target_url)
        signed = signature(webhook.secret, message.body)
        headers = {
            "Content-Type": "application/json",
            "Attio-Signature": signed,
            "X-Attio-Signature": signed,
            "Idempotency-Key": message.key,
        }
        try:
            answer = await self._client.post(webhook.target_url, content=message.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.status_code in TAKEN

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """The client, made when first something is sent; it keeps no connection open between messages."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT_S, limits=limits)

    async def _slot(self, url: str) -> None:
        """Wait until one more message may be sent to a URL."""
        now = self._clock.now()
        slot = max(now, self._next_slot.get(url, now))
        self._next_slot[url] = slot + timedelta(seconds=1 / self._knobs.webhooks_per_s)
        if slot > now:
            await self._clock.sleep((slot - now).total_seconds())


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

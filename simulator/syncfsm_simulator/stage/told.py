"""What webhooks tell of a moving world, put straight into the inbox: the way there has tests of its own."""

from __future__ import annotations

import msgspec

from syncfsm.core.notices import Notice
from syncfsm.log import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.webhooks.messages import read
from syncfsm_simulator.fakes.attio.deliveries import events_of
from syncfsm_simulator.world.entity import Change
from syncfsm_simulator.world.world import World


class Told:
    """Keeps what happens to people as a receiver of webhooks does.

    Args:
        world: What happens.
        log: Where the inbox is.
        clock: Time.
        source: What the source is called.

    Attributes:
        is_heard: Whether anybody listens.
    """

    def __init__(self, world: World, log: EventLog, clock: Clock, *, source: str) -> None:
        self.is_heard = False
        self._world = world
        self._log = log
        self._clock = clock
        self._source = source
        world.watch(self._tell)

    def _tell(self, change: Change) -> None:
        if not self.is_heard or change.slug != "people":
            return
        for event in events_of(self._world, change):
            body = msgspec.json.encode({"webhook_id": "", "events": [event]})
            said = read(body, self._world.object_ids["people"])
            self._log.receive(
                Notice(
                    source=self._source,
                    object="people",
                    key=None,
                    record_ids=said.record_ids,
                    received_at=self._clock.now(),
                    gone=said.gone,
                )
            )

"""The table of faults: every kind does something at its port, and none changes what another does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from syncfsm.core.failure import Failure
from syncfsm.sinks.protocol import UpsertResult
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates, Faults, Strike, no_faults
from syncfsm_simulator.stage.faulty_ports import FaultyClock, FaultyLog, FaultySink, move_world
from syncfsm_simulator.stage.network import FaultyTransport
from syncfsm_simulator.stage.port import Crash, Fault
from syncfsm_simulator.stage.table import FAULTS
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

Story = list[object]
"""All that can be seen of what was done at a port."""


def struck_by(kind: str) -> Faults:
    return Faults(1, FaultRates(), ChangeRates(), [Strike(kind=kind, at=0)])


class Told:
    """Everything around a port, which writes down what is asked of it."""

    def __init__(self) -> None:
        self.story: Story = []
        self.clock = VirtualClock()
        self.items = [{"external_id": f"p{number}"} for number in range(3)]
        self.name = "told"

    async def another_step(self) -> None:
        self.story.append("another step")

    async def cancel(self) -> None:
        self.story.append("cancelled")

    def jump(self, by_s: float) -> None:
        self.story.append(f"the clock jumps by {by_s}")

    def append(self, events: Sequence[Any], **_: Any) -> None:
        self.story.append(f"{len(events)} events are written")

    async def upsert(self, items: Sequence[Any]) -> UpsertResult | Failure:
        self.story.append(f"{len(items)} items are taken")
        return UpsertResult(created=len(items))

    async def served(self, _: httpx.Request) -> httpx.Response:
        self.story.append("the server works")
        rows = [{"id": {"record_id": f"p{number}"}} for number in range(5)]
        return httpx.Response(200, json={"data": rows})

    @contextmanager
    def end(self) -> Iterator[None]:
        """Write down how it ends, and when."""
        try:
            yield
        except (Crash, Exception) as error:  # noqa: BLE001 - it is what is looked for
            self.story.append(repr(error))
        self.story.append(self.clock.now())


async def asks(told: Told, faults: Faults) -> None:
    transport = FaultyTransport(
        httpx.MockTransport(told.served),
        faults,
        told.clock,
        latency_ms=(10, 20),
        before_request=lambda: None,
        beside=told,
    )
    async with httpx.AsyncClient(transport=transport) as client:
        url = "http://told/v2/objects/people/records/query"
        answer = await client.post(url, json={"limit": 5}, headers={"Authorization": "Bearer key"})
    told.story += [answer.status_code, sorted(answer.headers.items()), answer.content]


async def delivers(told: Told, faults: Faults) -> None:
    sink: FaultySink[Any] = FaultySink(told, faults, told)
    told.story += [await sink.upsert(told.items), sorted(sink.refused)]


async def writes(told: Told, faults: Faults) -> None:
    log = FaultyLog(told, faults, told.story.append)
    log.append(["an event"], expected_version=0, after=None)


async def sleeps(told: Told, faults: Faults) -> None:
    await FaultyClock(told.clock, faults).sleep(10.0)


async def moves(told: Told, faults: Faults) -> None:
    world = World(1, people=20, now=EPOCH)
    peek = min(world.entities("people"))
    changes = Changes(world, told.clock, peek=lambda: peek, page_size=5)
    move_world(changes, faults)
    told.story += [dict(changes.counts), sorted(changes.deleted)]


AT: dict[str, Callable[[Told, Faults], Awaitable[None]]] = {
    "request": asks,
    "page": asks,
    "upsert": delivers,
    "append": writes,
    "sleep": sleeps,
    "world": moves,
}
"""What is done at each port."""


def story(port: str, faults: Faults) -> Story:
    async def play() -> Story:
        told = Told()
        with told.end():
            await AT[port](told, faults)
        return told.story

    return run_virtual(play())


@pytest.mark.parametrize("kind", tuple(FAULTS), ids=lambda kind: kind.kind)
def test_every_kind_does_something_at_its_port(kind: Fault) -> None:
    faults = struck_by(kind.kind)
    assert story(kind.port.name, faults) != story(kind.port.name, no_faults())
    assert faults.struck == [Strike(kind=kind.kind, at=0)]

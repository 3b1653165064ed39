"""What a page costs on a server: how often the engine waits for the log; and syncs that workers share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.commit import cancel
from syncfsm.engine.engine import Engine
from syncfsm.errors import VersionConflict
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm.telemetry import Guarded
from tests.fakes import to_items
from tests.postgres import GIVEN, OpenLog
from tests.property.test_interruptions import World
from tests.proxy import a_proxy

PAGES = 20


@pytest.mark.skipif(bool(GIVEN), reason="what is sent to somebody's server is not counted")
@pytest.mark.parametrize(("hook", "most"), [(None, 3), (Guarded(lambda *_: None), 3), (lambda *_: None, 4)])
def test_a_page_waits_three_times_for_the_log_and_once_more_where_a_hook_may_stop_it(
    newest_postgres_url: str, hook: Any, most: int
) -> None:
    """Two appends, and a look before the sink is given anything, since a transform takes its time."""
    world = World(PAGES * 10)
    with a_proxy(newest_postgres_url) as (proxy, url), open_log(url) as log:
        sent: dict[int, int] = {}

        def count(process: Process, recorded: Any) -> None:
            if recorded.type == "PageDelivered":
                sent[process.progress.pages] = proxy.sent

        hooks = [Guarded(count), *([hook] if hook else [])]
        engine = Engine(log, world.source, world.sink, to_items, clock=world.clock, hooks=hooks)
        process = engine.start(page_size=10)
        process = asyncio.run(engine.run(process.id))
        assert (process.state, process.progress.pages) == (State.COMPLETED, PAGES)
        costs = [sent[page] - sent[page - 1] for page in range(10, PAGES)]  # statements are prepared by then
        assert set(costs) == {most}


@pytest.mark.skipif(bool(GIVEN), reason="what is sent to somebody's server is not counted")
def test_an_append_and_a_load_are_one_round_trip_each_and_an_idle_look_is_one(
    newest_postgres_url: str,
) -> None:
    world = World(300)
    with a_proxy(newest_postgres_url) as (proxy, url), open_log(url) as log:
        process = world.engine(log).start(page_size=10)
        asyncio.run(world.engine(log).run(process.id))
        for ask, most in (
            (lambda: log.load(process.id), 1),
            (lambda: log.version(process.id), 1),
            (log.last_position, 1),
            (lambda: log.events_after(3), 2),
        ):
            for _ in range(8):  # until what is asked so often is prepared
                ask()
            before = proxy.sent
            ask()
            assert proxy.sent - before == most


def test_a_worker_stops_before_its_next_page_where_another_cancelled_its_process(opened: OpenLog) -> None:
    one, two, world = opened(), opened(), World(100)
    asked: list[int] = []

    def cancel_it(process: Process, recorded: Any) -> None:
        if recorded.version == 6:
            cancel(two, process.id, by="somebody", clock=world.clock)
            asked.append(len(world.source.requests))

    engine = Engine(one, world.source, world.sink, to_items, clock=world.clock, hooks=[cancel_it])
    process = asyncio.run(engine.run(engine.start(page_size=10).id))
    assert process.state is State.CANCELLED
    assert asked == [len(world.source.requests)]
    assert verify(two)[1] == []


def test_two_workers_on_one_process_deliver_everybody_and_the_second_to_write_steps_back(
    opened: OpenLog,
) -> None:
    world = World(60)
    one, two = world.engine(opened()), world.engine(opened())
    process = one.start(page_size=10)

    async def both() -> list[Any]:
        return await asyncio.gather(one.run(process.id), two.run(process.id), return_exceptions=True)

    came = asyncio.run(both())
    assert any(isinstance(one, Process) and one.state is State.COMPLETED for one in came)
    assert all(isinstance(one, Process | VersionConflict) for one in came)
    assert set(world.sink.given) == world.ids
    assert verify(opened())[1] == []

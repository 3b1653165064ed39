"""A log that another process holds: whoever shares the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from itertools import pairwise
from pathlib import Path

import pytest

from syncfsm.core.machine import State
from syncfsm.engine.engine import Engine
from syncfsm.errors import LogUnwritable
from syncfsm.log import open_log
from syncfsm.log.patience import STEP_S, patiently
from syncfsm.outside.clock import SystemClock
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items


@pytest.fixture
def path(tmp_path: Path) -> Path:
    open_log(tmp_path / "sync.db").close()
    return tmp_path / "sync.db"


class Holder:
    """Another process that holds the log until the clock has been slept by so often."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


@pytest.fixture
def holder(path: Path) -> Holder:
    return Holder(path)


class LettingGo(TestClock):
    """A clock by which the holder lets go in the end."""

    def __init__(self, holder: Holder, steps: int) -> None:
        super().__init__()
        self.holder = holder
        self.steps = steps
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self.steps:
            self.holder.let_go()
        await super().sleep(seconds)


def engine_on(log: object, clock: TestClock) -> Engine[Item]:
    return Engine(log, ListSource(clock, 120), DictSink(), to_items, clock=clock)  # type: ignore[arg-type]


def test_a_sync_waits_for_a_log_that_is_held_in_small_steps_of_the_clock(path: Path, holder: Holder) -> None:
    clock = LettingGo(holder, 40)
    began = time.monotonic()
    with open_log(path) as log:
        process = asyncio.run(engine_on(log, clock).sync())
    assert process.state is State.COMPLETED
    assert clock.slept == [STEP_S] * 40
    assert time.monotonic() - began < 2, "nobody waited in real time"


def test_a_log_that_stays_held_is_said_to_be_after_as_long_as_it_waits(path: Path, holder: Holder) -> None:
    clock = LettingGo(holder, 1000)
    with open_log(path, busy_timeout_s=2.0) as log:
        with pytest.raises(LogUnwritable, match="another program holds it locked"):
            asyncio.run(engine_on(log, clock).sync())
        assert sum(clock.slept) == pytest.approx(2.0)
        holder.let_go()
        assert log.ids() == []


def test_whoever_shares_the_event_loop_goes_on_while_the_log_is_held(path: Path, holder: Holder) -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def main() -> None:
        host = asyncio.create_task(beat())
        with open_log(path, busy_timeout_s=0.5) as log, pytest.raises(LogUnwritable):
            await patiently(log, SystemClock(), engine_on(log, TestClock()).start)
        host.cancel()

    asyncio.run(main())
    holder.let_go()
    assert max(later - earlier for earlier, later in pairwise(beats)) < 0.3
    assert beats[-1] - beats[0] > 0.4


def test_a_log_waits_again_by_itself_where_it_is_written_without_a_loop(path: Path) -> None:
    with open_log(path, busy_timeout_s=1.5) as log:
        asyncio.run(engine_on(log, TestClock()).sync())
        (timeout_ms,) = log._connection.execute("PRAGMA busy_timeout").fetchone()  # type: ignore[attr-defined]
    assert timeout_ms == 1500

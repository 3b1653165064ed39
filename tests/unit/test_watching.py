"""Syncing again and again: what each turn does, when the next one is, and what keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.watcher import BUSY_S, Watcher
from syncfsm.errors import ConfigurationError, LogUnwritable, NotActive, SyncfsmError
from syncfsm.log import open_log
from tests.crm import Desk
from tests.fakes import WRONG_KEY


class Watched(Desk):
    """A desk that is watched; keeps what came of each turn, and of what kept one."""

    def __init__(self, log: Any) -> None:
        super().__init__(log)
        self.over: list[Process] = []
        self.troubles: list[SyncfsmError] = []

    def watch(self, turns: int, **settings: Any) -> None:
        watcher = Watcher(
            self.engine,
            every_s=300.0,
            clock=self.clock,
            on_turn=self.over.append,
            on_trouble=self.troubles.append,
            **settings,
        )
        asyncio.run(watcher.run(turns_max=turns))

    @property
    def began(self) -> list[datetime]:
        return [process.started_at for process in self.over]


@pytest.fixture
def desk() -> Iterator[Watched]:
    with open_log(":memory:") as log:
        desk = Watched(log)
        for _ in range(5):
            desk.crm.create()
        yield desk


def gaps_s(desk: Watched) -> list[int]:
    return [round((last - first).total_seconds()) for first, last in pairwise(desk.began)]


def test_all_records_come_once_and_then_what_is_new(desk: Watched) -> None:
    desk.watch(3)
    assert [process.mode for process in desk.over] == ["initial", "ongoing", "ongoing"]
    assert gaps_s(desk) == [300, 300]
    desk.crm.create()
    desk.watch(1)
    assert desk.texts == desk.world


def test_a_turn_that_takes_long_is_followed_at_once(desk: Watched) -> None:
    def take_long() -> None:
        desk.clock.at += timedelta(seconds=400)

    desk.crm.before_answer = take_long
    desk.watch(2)
    assert gaps_s(desk) == [400]


def test_a_clock_that_is_set_back_makes_no_pause_longer(desk: Watched) -> None:
    def set_back() -> None:
        desk.clock.at -= timedelta(hours=6)

    desk.crm.before_answer = set_back
    desk.watch(1)
    assert desk.clock.slept_s == 300.0


def test_a_failure_waits_for_the_next_turn_which_goes_on_with_it(desk: Watched) -> None:
    desk.crm.failures = [WRONG_KEY]
    desk.watch(2)
    assert [process.state for process in desk.over] == [State.FAILED, State.COMPLETED]
    assert desk.over[0].id == desk.over[1].id
    assert round((desk.over[1].updated_at - desk.over[0].updated_at).total_seconds()) == 300


def test_while_another_sync_is_active_it_looks_again_soon(desk: Watched) -> None:
    desk.sync()
    wanted = {"mode": "webhook", "page_size": 50, "record_ids": ("r1",)}
    other = desk.engine().processes.begin(order="id", options=None, **wanted)
    slept: list[float] = []
    sleep = desk.clock.sleep

    async def end_the_other(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            await desk.engine().run(other.id)
        await sleep(seconds)

    desk.clock.sleep = end_the_other  # type: ignore[method-assign]
    desk.watch(1)
    assert slept[:3] == [BUSY_S] * 3
    assert [process.mode for process in desk.over] == ["ongoing"]
    assert [type(trouble).__name__ for trouble in desk.troubles] == ["ActiveSync"] * 3


def test_a_log_that_cannot_be_written_now_waits_for_the_next_turn(desk: Watched) -> None:
    append, calls = desk.log.append, iter([True])

    def full_once(*args: Any, **more: Any) -> None:
        if next(calls, False):
            raise LogUnwritable("the disk is full")
        append(*args, **more)

    desk.log.append = full_once  # type: ignore[method-assign]
    desk.watch(2)
    assert [str(trouble) for trouble in desk.troubles] == ["the disk is full"]
    assert [process.state for process in desk.over] == [State.COMPLETED]


def test_a_process_that_another_program_resumed_first_is_left_to_it_for_this_turn(desk: Watched) -> None:
    append, calls = desk.log.append, iter([True])

    def resumed(*args: Any, **more: Any) -> None:
        if next(calls, False):
            raise NotActive("it was resumed a moment ago")
        append(*args, **more)

    desk.log.append = resumed  # type: ignore[method-assign]
    desk.watch(2)
    assert [type(trouble) for trouble in desk.troubles] == [NotActive]
    assert [process.state for process in desk.over] == [State.COMPLETED]


def test_an_active_sync_keeps_its_own_limits_and_the_next_has_those_asked_for(desk: Watched) -> None:
    desk.engine().start()
    desk.watch(2, options=Options(attempts_max=20))
    assert [process.options.attempts_max for process in desk.over] == [8, 20]


def test_what_cannot_work_ends_it(desk: Watched) -> None:
    with pytest.raises(ConfigurationError, match="page size 0"):
        desk.watch(2, page_size=0)

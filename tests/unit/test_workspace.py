"""A key of another workspace: nothing of it comes into what the first one has filled, and nothing goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from syncfsm.core.endpoints import moved
from syncfsm.core.machine import State
from syncfsm.engine.preflight import preflight
from syncfsm.log import open_log
from tests.crm import Crm, Desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_log(":memory:") as log:
        desk = Desk(log)
        for _ in range(20):
            desk.crm.create()
        yield desk


def other_key(desk: Desk) -> Crm:
    """Exchange the key for one of another workspace, and return the first one."""
    first, desk.crm = desk.crm, Crm(desk.clock)
    desk.crm.workspace = "other"
    desk.crm.born = 100
    for _ in range(5):
        desk.crm.create()
    return first


@pytest.mark.parametrize("asked", [{"mode": "ongoing"}, {"deletes_missing": True}, {}])
def test_into_a_sink_that_another_workspace_has_filled_no_sync_begins(
    desk: Desk, asked: dict[str, object]
) -> None:
    desk.sync()
    filled = desk.texts
    other_key(desk)
    process = desk.sync(**asked)
    assert process.failure is not None
    assert (process.state, process.failure.reason) == (State.FAILED, "elsewhere")
    assert "is of the workspace other, but dict has been filled from test" in process.failure.error
    assert desk.texts == filled
    assert desk.crm.requests == []


def test_once_the_key_is_the_right_one_again_it_goes_on(desk: Desk) -> None:
    desk.sync()
    first = other_key(desk)
    failed = desk.sync()
    desk.crm = first
    process = desk.sync()
    assert (process.id, process.state) == (failed.id, State.COMPLETED)


def test_a_sync_that_was_cut_short_does_not_go_on_with_another_key(desk: Desk) -> None:
    begun = desk.engine().start(page_size=5)
    for _ in range(2):
        begun = asyncio.run(desk.engine().step(begun.id))
    came = desk.texts
    other_key(desk)
    process = desk.sync(page_size=5)
    assert (process.id, process.state) == (begun.id, State.FAILED)
    assert desk.texts == came


def test_an_engine_checks_once_for_each_process(desk: Desk) -> None:
    engine = desk.engine()
    asyncio.run(engine.sync(page_size=2))
    assert desk.crm.checks == 1
    asyncio.run(engine.sync(page_size=2))
    assert desk.crm.checks == 2


def test_before_a_sync_it_is_said_too(desk: Desk) -> None:
    desk.sync()
    other_key(desk)
    engine = desk.engine()
    found = asyncio.run(preflight(engine, lambda engine: engine.take_up(), page_size=50, order="newest"))
    assert found.source.problem is not None
    assert "is of the workspace other" in found.source.problem.words
    assert not found.source.problem.is_passing


def test_a_workspace_that_has_another_name_now_is_the_same_one() -> None:
    before = {"workspace": "old", "workspace_id": "1"}
    assert moved("crm", "dict", found={"workspace": "new", "workspace_id": "1"}, before=before) is None
    assert moved("crm", "dict", found={"workspace": "old", "workspace_id": "2"}, before=before) is not None
    assert (
        moved("crm", "dict", found={"workspace": "old", "workspace_id": "1"}, before={"workspace": "old"})
        is None
    )
    assert moved("crm", "dict", found={}, before=before) is None

"""An ongoing sync that finds nothing new: its start and one event, and nobody is lost for that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core.capture import Recorder
from syncfsm.core.events import NothingNewFound, RetryScheduled
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.judging import is_nothing_new
from syncfsm.core.legality import refusal
from syncfsm.core.machine import State
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Paging
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.first_page import FirstPage
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from tests.crm import Crm, Desk, Died
from tests.fakes import to_items

SHORT = ["SyncStarted", "NothingNewFound"]
LONG = ["SyncStarted", "FetchingBegan", "PageFetched", "PageDelivered", "SyncCompleted"]
BUSY = Failure(kind=FailureKind.RATE_LIMITED, message="too many requests.", retry_after_s=7.0)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_log(":memory:") as log:
        desk = Desk(log)
        desk.crm.create()
        desk.sync()
        hours_later(desk)
        desk.sync(mode="ongoing")  # which still asks for whom the first one brought: the overlap
        hours_later(desk)
        yield desk
        assert (verify(log)[1], check(log)[1]) == ([], [])


def hours_later(desk: Desk) -> None:
    desk.clock.at += timedelta(hours=2)


def synced(desk: Desk) -> tuple[Process, list[str]]:
    """Run an ongoing sync; return its last state, and the types of its events."""
    desk.crm.requests.clear()
    process = desk.sync(mode="ongoing")
    return process, types(desk, process)


def types(desk: Desk, process: Process) -> list[str]:
    return [recorded.type for recorded in desk.log.read(process.id)]


def test_it_is_two_events_and_one_request_and_nothing_is_delivered(desk: Desk) -> None:
    upserts, finished = desk.sink.upserts, desk.sink.finished
    process, events = synced(desk)
    assert events == SHORT
    assert (process.state, process.progress.pages, process.found) == (State.COMPLETED, 0, None)
    assert len(desk.crm.requests) == 1
    assert (desk.sink.upserts, desk.sink.finished) == (upserts, finished + 1)


def test_its_watermark_is_that_of_its_page_and_the_next_one_begins_there(desk: Desk) -> None:
    asked_at = desk.clock.at
    process, _ = synced(desk)
    assert process.watermark is not None
    assert process.watermark >= asked_at
    assert desk.engine().last_sync_time() == process.watermark
    hours_later(desk)
    following, _ = synced(desk)
    assert following.since == process.watermark - timedelta(seconds=300)


def test_the_page_that_came_with_the_checks_is_not_asked_for_again(desk: Desk) -> None:
    new = desk.crm.create()
    process, events = synced(desk)
    assert events == LONG
    assert (process.progress.created, len(desk.crm.requests)) == (1, 1)
    assert new in desk.sink.items


def test_who_comes_between_the_checks_and_the_page_comes_with_it(desk: Desk) -> None:
    born: list[str] = []
    desk.crm.before_answer = lambda: born.append(desk.crm.create())
    process, _ = synced(desk)
    assert process.progress.created == 1
    assert born[0] in desk.sink.items


def test_who_comes_right_after_the_page_comes_with_the_next_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    born: list[str] = []

    async def finish() -> None:
        born.append(desk.crm.create())

    with monkeypatch.context() as patch:
        patch.setattr(desk.sink, "finish", finish)
        assert synced(desk)[1] == SHORT
    assert born[0] not in desk.sink.items
    assert synced(desk)[1] == LONG
    assert born[0] in desk.sink.items


def test_one_that_died_between_its_two_events_is_gone_on_with(desk: Desk) -> None:
    def dies() -> None:
        raise Died

    desk.crm.before_answer = dies
    with pytest.raises(Died):
        desk.sync(mode="ongoing")
    active = desk.engine().active()
    assert active is not None
    hours_later(desk)
    desk.crm.before_answer = lambda: None
    new = desk.crm.create()
    process, events = synced(desk)
    assert (process.id, events) == (active.id, LONG)
    assert new in desk.sink.items


def test_a_page_that_fails_is_a_failure_of_the_page_and_asked_for_again_in_its_time(desk: Desk) -> None:
    desk.crm.failures = [BUSY]
    began = desk.clock.at
    process, events = synced(desk)
    assert events == ["SyncStarted", "FetchingBegan", "RetryScheduled", *LONG[2:]]
    retry = list(desk.log.read(process.id))[2].event
    assert isinstance(retry, RetryScheduled)
    assert (retry.action, retry.wait_s >= 7.0) == ("fetch", True)
    assert len(desk.crm.requests) == 2
    assert desk.clock.at >= began + timedelta(seconds=7)


def test_what_the_source_raises_for_the_page_is_a_failure_of_the_page(desk: Desk) -> None:
    def breaks() -> None:
        raise ValueError

    desk.crm.before_answer = breaks
    process, events = synced(desk)
    assert (events[1], process.failure and process.failure.action) == ("FetchingBegan", "fetch")


def test_where_the_checks_find_something_else_they_are_told_of_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found() -> dict[str, str]:
        return {"workspace": "test", "token_level": "user"}

    monkeypatch.setattr(desk.crm, "check", found)
    assert [synced(desk)[1] for _ in range(3)] == [LONG, SHORT, SHORT]


def test_another_object_of_the_source_does_not_change_what_was_found_last(desk: Desk) -> None:
    class Companies(Crm):
        object = "companies"

        async def check(self) -> dict[str, str]:
            return {"workspace": "test", "object": "companies"}

    asyncio.run(desk.engine_of(Companies(desk.clock)).sync())
    assert synced(desk)[1] == SHORT


def test_a_page_without_rows_behind_which_more_follows_is_not_the_end(desk: Desk) -> None:
    process = desk.log.load(desk.log.ids()[-1])
    process = replace(process, options=replace(process.options, pagination="cursor"), paging=Paging())
    request = PageRequest(cursor=None, offset=0, limit=50, order="newest")
    page = d.Fetched(request=request, rows=(), as_of=desk.clock.at, elapsed_ms=1)
    assert is_nothing_new(process, page)
    assert not is_nothing_new(process, replace(page, next_token="more"))


def test_no_sweep_follows_one_that_found_nothing(desk: Desk) -> None:
    desk.crm.changed_by = "edited"
    desk.sync(mode="ongoing")  # by this key from the initial sync on
    hours_later(desk)
    count = len(desk.log.ids())
    assert synced(desk)[1] == SHORT
    assert len(desk.log.ids()) == count + 1


def test_what_is_captured_is_kept_with_the_event_of_its_page(desk: Desk) -> None:
    recorder = Recorder()
    desk.crm.record = lambda: recorder  # type: ignore[attr-defined]
    engine = Engine(
        desk.log, desk.crm, desk.sink, to_items, clock=desk.clock, rng=random.Random(7), capture=True
    )
    process = asyncio.run(engine.sync(mode="ongoing"))
    assert types(desk, process) == LONG


def test_a_page_is_kept_for_the_process_as_it_is_and_used_once(desk: Desk) -> None:
    process, _ = synced(desk)
    first = FirstPage()
    first.keep(process, BUSY)
    assert (first.take(process), first.take(process)) == (BUSY, None)
    first.keep(process, BUSY)
    assert first.take(desk.log.load(desk.log.ids()[0])) is None
    first.keep(process, BUSY)
    first.drop()
    assert first.take(process) is None


def test_only_an_ongoing_sync_can_end_so(desk: Desk) -> None:
    initial = desk.engine().start()
    event = NothingNewFound(as_of=desk.clock.at, elapsed_ms=1)
    assert refusal(initial, event) == "a sync of mode initial cannot end with NothingNewFound"
    action = d.next_action(initial)
    assert isinstance(action, d.CheckSetup)
    assert action.first is None

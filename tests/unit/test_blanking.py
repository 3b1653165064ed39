"""A sync that would empty a field of too many contacts stops before it does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.blanking import Blanking, blanking_of, overrun
from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.explain import explain
from syncfsm.log import EventLog, open_log
from tests.fakes import DOWN, DictSink, Item, ListSource, TestClock, to_items


def test_only_what_had_a_value_and_has_none_is_blanked() -> None:
    before = {"role": "Boss", "emails": ("a",), "company": None}
    after = {"role": None, "emails": ("b",), "company": None}
    assert blanking_of([(before, after), (after, before)]) == Blanking(
        had={"role": 1, "emails": 2}, blanked={"role": 1}
    )


@pytest.mark.parametrize(
    ("blanked", "had", "is_too_much"),
    [(10, 10, False), (11, 11, True), (11, 22, False), (12, 23, True), (11, 1000, False), (501, 1000, True)],
)
def test_half_of_those_who_have_it_may_lose_it_and_ten_always(
    blanked: int, had: int, is_too_much: bool
) -> None:
    page = Blanking(had={"role": had, "emails": had}, blanked={"role": blanked})
    found = overrun(Blanking(), page, Options())
    assert (found is not None) is is_too_much
    halves = Blanking(had={"role": had // 2}, blanked={"role": blanked // 2})
    rest = Blanking(had={"role": had - had // 2}, blanked={"role": blanked - blanked // 2})
    assert overrun(halves, rest, Options()) == found, "the whole sync counts"


def test_a_page_that_empties_nothing_is_never_too_much() -> None:
    before = Blanking(had={"role": 30}, blanked={"role": 30})
    assert overrun(before, Blanking(had={"role": 50}), Options()) is None


class Telling(DictSink):
    """Tells which texts would be emptied."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def would_blank(self, items: Sequence[Item]) -> Blanking | Failure:
        self.asked += 1
        there = [(self.items[item.external_id], item) for item in items if item.external_id in self.items]
        return blanking_of(({"text": old.text}, {"text": new.text}) for old, new in there)


class Desk:
    def __init__(self, count: int, sink: DictSink | None = None) -> None:
        self.clock = TestClock()
        self.log: EventLog = open_log(":memory:")
        self.source = ListSource(self.clock, count)
        self.sink = sink or Telling()

    def empty(self, count: int) -> None:
        """Take the text of the first records away."""
        kept = self.source.records
        self.source.records = [replace(record, raw=b"") for record in kept[:count]] + kept[count:]

    @property
    def empties(self) -> int:
        return sum(item.text == "" for item in self.sink.items.values())

    def sync(self, **wanted: object) -> Process:
        engine = Engine(self.log, self.source, self.sink, to_items, clock=self.clock)
        return asyncio.run(engine.sync(page_size=20, **wanted))  # type: ignore[arg-type]


def test_a_sync_that_would_empty_more_than_it_may_stops_before_the_page_and_goes_on_when_allowed() -> None:
    desk = Desk(100)
    desk.sync()
    desk.empty(60)
    failed = desk.sync()
    assert failed.failure is not None
    assert (failed.failure.reason, failed.failure.resumable) == ("blanked_ratio_max", True)
    assert "20 of the 20 contacts that had a value in text would lose it" in failed.failure.error
    assert "--set blanked_ratio_max=1" in failed.failure.error
    assert desk.empties == 0
    again = desk.sync()
    assert again.failure is not None
    assert again.failure.reason == "blanked_ratio_max", "going on alone does not allow it"
    assert desk.empties == 0
    done = desk.sync(options=replace(desk.source.options, blanked_ratio_max=1.0))
    assert (done.state, desk.empties) == (State.COMPLETED, 60)
    assert done.progress.blanking == Blanking(had={"text": 100}, blanked={"text": 60})


def test_what_earlier_pages_emptied_counts() -> None:
    desk = Desk(100)
    desk.sync()
    some = [
        record if index % 20 > 8 else replace(record, raw=b"")
        for index, record in enumerate(desk.source.records)
    ]
    desk.source.records = some
    assert desk.sync().state is State.COMPLETED, "45 of 100"
    desk = Desk(100)
    desk.sync()
    most = [
        record if index % 20 > 11 else replace(record, raw=b"")
        for index, record in enumerate(desk.source.records)
    ]
    desk.source.records = most
    failed = desk.sync()
    assert failed.failure is not None
    assert "12 of the 20" in failed.failure.error


def test_the_sink_is_asked_once_for_each_page_whatever_fails_then() -> None:
    desk = Desk(20)
    desk.sync()
    desk.empty(5)
    assert isinstance(desk.sink, Telling)
    desk.sink.asked = 0
    desk.sink.failures = [DOWN, DOWN]
    done = desk.sync()
    assert (done.state, desk.sink.asked, done.progress.retries) == (State.COMPLETED, 1, 2)
    assert done.progress.blanking == Blanking(had={"text": 20}, blanked={"text": 5})


def test_a_sink_that_cannot_tell_is_not_asked() -> None:
    desk = Desk(100, DictSink())
    desk.sync()
    desk.empty(100)
    done = desk.sync()
    assert (done.state, desk.empties, done.progress.blanking) == (State.COMPLETED, 100, Blanking())


def test_the_account_says_what_to_look_at_and_how_to_allow_it() -> None:
    desk = Desk(100)
    desk.sync()
    desk.empty(100)
    failed = desk.sync()
    account = explain(desk.log, failed.id, "sync.db")
    assert account.ending is not None
    assert account.ending.place.cause == "blanked_ratio_max"
    look, allow = account.steps
    assert "nothing of this page was written" in look.words
    assert allow.command is not None
    assert "blanked_ratio_max=1" in allow.command


def test_a_failed_look_up_is_told_as_one() -> None:
    desk = Desk(5)

    async def looking(_records: object) -> Failure:
        return DOWN

    engine = Engine(desk.log, desk.source, desk.sink, looking, clock=desk.clock)
    failed = asyncio.run(engine.sync(options=replace(desk.source.options, attempts_max=2)))
    events = [recorded.event for recorded in desk.log.read(failed.id)]
    told = [event for event in events if isinstance(event, e.RetryScheduled | e.SyncFailed)]
    assert [(event.action, event.what) for event in told] == [("deliver", "look-up")] * 2
    account = explain(desk.log, failed.id, "sync.db")
    assert account.last.startswith("SyncFailed: look-up failed for good")

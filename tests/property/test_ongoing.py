"""Ongoing syncs, one after the other, while the CRM moves and engines die: nothing is lost between two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core import events as e
from syncfsm.core.options import Options, Order
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from syncfsm.sources.protocol import Record
from tests.crm import Book, Crm, Desk, Died
from tests.property.test_crash_and_resume import Died as LogDied
from tests.property.test_crash_and_resume import MortalLog

LAG_S_MAX = 250
MOVES = st.lists(
    st.tuples(st.sampled_from(["create", "create", "change", "delete", "wait"]), st.integers(0, LAG_S_MAX)),
    max_size=6,
)
PHASES = st.lists(st.tuples(MOVES, st.lists(MOVES, max_size=8)), min_size=1, max_size=4)
DEATHS = st.sets(st.integers(0, 60), max_size=6)
APPEND_DEATHS = st.sets(st.tuples(st.integers(1, 60), st.sampled_from(["before", "after"])), max_size=5)


def move(crm: Crm, moves: list[tuple[str, int]]) -> None:
    for verb, number in moves:
        people = sorted(crm.people)
        match verb:
            case "create":
                crm.create(lag_s=number)
            case "wait":
                crm.clock.at += timedelta(seconds=number)
            case "change" if people:
                crm.change(people[number % len(people)])
            case "delete" if people:
                crm.delete(people[number % len(people)])
            case _:
                pass


class Deaths:
    """Kills the engine at chosen moments, each counted once."""

    def __init__(self, at: set[int]) -> None:
        self.at = at
        self.count = -1

    def __call__(self, *_when: object) -> None:
        self.count += 1
        if self.count in self.at:
            raise Died


def scripted(desk: Desk, script: list[list[tuple[str, int]]], deaths: Deaths) -> Callable[[], None]:
    pages = iter(script)

    def before_answer() -> None:
        move(desk.crm, next(pages, []))
        deaths()

    return before_answer


def sync_until_it_is_over(desk: Desk, **asked: Any) -> e.SyncStarted:
    """Return how the last sync began that was completed."""
    while True:
        try:
            process = desk.sync_to_the_end(**asked)
        except LogDied:
            continue
        event = next(desk.log.read(process.id)).event
        assert isinstance(event, e.SyncStarted)
        return event


@pytest.mark.parametrize(
    ("order", "changed_by"),
    [("newest", None), ("oldest", None), ("id", None), ("newest", "edited"), ("id", "edited")],
)
@settings(max_examples=max(20, settings().max_examples // 4), deadline=None)
@given(
    phases=PHASES,
    people=st.integers(0, 12),
    page_size=st.integers(1, 5),
    deaths=DEATHS,
    appends=APPEND_DEATHS,
)
def test_what_was_there_before_the_last_sync_began_is_in_the_sink(  # noqa: PLR0917 - as Hypothesis names them
    changed_by: str | None,
    order: Order,
    phases: list[tuple[list[tuple[str, int]], list[list[tuple[str, int]]]]],
    people: int,
    page_size: int,
    deaths: set[int],
    appends: set[tuple[int, str]],
) -> None:
    with MortalLog(appends) as log:
        sink = Book()
        desk = Desk(log, changed_by=changed_by, sink=sink)
        sink.around = killer = Deaths(deaths)
        move(desk.crm, [("create", 0)] * people)
        for between, during in phases:
            move(desk.crm, between)
            desk.crm.before_answer = scripted(desk, during, killer)
            sync_until_it_is_over(desk, mode="ongoing", page_size=page_size, order=order)
        assert_nothing_lost(desk)
        desk.crm.before_answer = killer
        sync_until_it_is_over(desk, mode="ongoing", page_size=page_size, order=order)
        assert desk.world.keys() <= desk.sink.items.keys()  # a last one, while nothing moves
        if changed_by:
            assert desk.world.items() <= desk.texts.items()
        assert (verify(log)[1], check(log)[1]) == ([], [])


def assert_nothing_lost(desk: Desk) -> None:
    """Everybody who was seen, or last changed, before the last watermark is in the sink, and as they were.

    By a key that changes, who changes again while a sync is at it may be missed; the next one brings them.
    """
    watermark = desk.engine().last_sync_time()
    assert watermark is not None
    there = {id_: person for id_, person in desk.crm.people.items() if person.seen_at < watermark}
    if not desk.crm.changed_by:
        assert there.keys() <= desk.sink.items.keys()
    else:
        settled = {id_: person.text for id_, person in there.items() if person.changed_at < watermark}
        assert settled.items() <= desk.texts.items()


def test_without_the_overlap_somebody_who_was_seen_late_is_lost() -> None:
    """What the property above would find if an ongoing sync began at the watermark itself."""
    with open_log(":memory:") as log:
        desk = Desk(log)
        desk.crm.options = Options(overlap_s=0)
        desk.sync()
        desk.crm.create(lag_s=60)
        desk.sync(mode="ongoing")
        with pytest.raises(AssertionError):
            assert_nothing_lost(desk)


def test_rows_without_the_key_are_rejected_by_name() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log, changed_by="edited")
        desk.crm.create()
        desk.sync()
        desk.crm._record = lambda id_, _request: Record(id=id_, key="", raw=b"", problem="no key")  # type: ignore[method-assign]
        assert desk.sync(mode="ongoing").progress.rejected == 1

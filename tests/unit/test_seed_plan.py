"""The cases of the plan that this project grew from, by name."""

from __future__ import annotations

from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.core.totals import Totals
from tests.pure import PureSync, people, slice_of


def fetched(sync: PureSync) -> list[e.PageFetched]:
    return [record.event for record in sync.recorded if isinstance(record.event, e.PageFetched)]


def test_100_people_at_50_are_exactly_two_pages_with_the_cursor_null_at_the_end() -> None:
    sync = PureSync(slice_of(people(100)), page_size=50)
    process = sync.run()
    assert [(page.cursor, page.next_cursor) for page in fetched(sync)] == [(None, 50), (50, None)]
    assert (process.state, process.progress.pages, process.progress.fetched) == (State.COMPLETED, 2, 100)
    assert len(sync.requests) == 2


def test_0_people_complete_at_once_without_an_error() -> None:
    sync = PureSync(slice_of([]))
    process = sync.run()
    assert process.state is State.COMPLETED
    assert process.progress.totals == Totals(
        pages=1, fetched=0, created=0, updated=0, unchanged=0, rejected=0
    )
    assert len(sync.requests) == 1


def test_a_null_cursor_asks_from_offset_0_and_leads_to_cursor_50() -> None:
    sync = PureSync(slice_of(people(60)), page_size=50)
    sync.run()
    first = fetched(sync)[0]
    assert (first.cursor, first.offset, first.limit, first.next_cursor) == (None, 0, 51, 50)
    assert first.peek == people(60)[50].id


def test_the_totals_grow_page_by_page() -> None:
    sync = PureSync(slice_of(people(120)), page_size=50)
    totals = []
    while sync.turn():
        totals.append(sync.process.progress.fetched)
    assert sorted(set(totals)) == [0, 50, 100, 120]
    assert totals == sorted(totals)


def test_5000_people_at_50_are_100_pages_and_100_requests() -> None:
    rows = people(5000)
    sync = PureSync(slice_of(rows), page_size=50)
    process = sync.run()
    assert (process.progress.pages, len(sync.requests)) == (100, 100)
    assert sync.delivered == [row.id for row in rows]

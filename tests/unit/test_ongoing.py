"""Ongoing syncs: what is new since the last one, where they begin, and what they leave for the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core.describe import event_words
from syncfsm.core.events import SyncStarted
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.errors import ActiveSync, ConfigurationError
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from tests.crm import Desk
from tests.fakes import WRONG_KEY


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_log(":memory:") as log:
        desk = Desk(log)
        for _ in range(20):
            desk.crm.create()
        hours_later(desk)
        yield desk
        assert (verify(log)[1], check(log)[1]) == ([], [])


@pytest.fixture
def changing(desk: Desk) -> Desk:
    """A CRM that tells when a record last changed."""
    desk.crm.changed_by = "edited"
    return desk


def hours_later(desk: Desk) -> None:
    desk.clock.at += timedelta(hours=2)


def started(desk: Desk, process: Process) -> SyncStarted:
    event = next(desk.log.read(process.id)).event
    assert isinstance(event, SyncStarted)
    return event


def test_where_no_sync_was_completed_an_ongoing_one_is_of_all_records(desk: Desk) -> None:
    process = desk.sync(mode="ongoing")
    assert (process.mode, process.since, process.progress.created) == ("initial", None, 20)


def test_an_ongoing_sync_asks_for_what_is_new_and_for_nothing_else(desk: Desk) -> None:
    first = desk.sync()
    hours_later(desk)
    new = {desk.crm.create() for _ in range(3)}
    desk.crm.requests.clear()
    process = desk.sync(mode="ongoing", page_size=2)
    assert (process.mode, process.progress.fetched, process.progress.created) == ("ongoing", 3, 3)
    assert new <= desk.sink.items.keys()
    assert first.watermark is not None
    assert process.since == first.watermark - timedelta(seconds=300)
    assert {request.since for request in desk.crm.requests} == {process.since}


def test_it_begins_a_while_before_the_watermark_for_records_that_were_seen_late(desk: Desk) -> None:
    desk.sync()
    late = desk.crm.create(lag_s=120)
    too_late = desk.crm.create(lag_s=360)
    desk.sync(mode="ongoing")
    assert late in desk.sink.items
    assert too_late not in desk.sink.items
    desk.crm.options = Options(overlap_s=0)
    assert desk.sync(mode="ongoing").progress.fetched == 0


def test_the_next_one_begins_at_the_watermark_of_the_last(desk: Desk) -> None:
    desk.sync()
    hours_later(desk)
    second = desk.sync(mode="ongoing")
    hours_later(desk)
    third = desk.sync(mode="ongoing")
    assert second.watermark is not None
    assert third.since == second.watermark - timedelta(seconds=300)
    assert third.watermark == desk.engine().last_sync_time()


def test_one_that_failed_is_gone_on_with(desk: Desk) -> None:
    desk.sync()
    hours_later(desk)
    for _ in range(5):
        desk.crm.create()
    desk.crm.failures = [WRONG_KEY]
    failed = desk.sync(mode="ongoing", page_size=2)
    assert failed.state is State.FAILED
    process = desk.sync(mode="ongoing", page_size=2)
    assert (process.id, process.state, process.progress.created) == (failed.id, State.COMPLETED, 5)


def test_one_that_failed_is_left_where_another_sync_was_completed_since(desk: Desk) -> None:
    desk.sync()
    hours_later(desk)
    desk.crm.failures = [WRONG_KEY]
    failed = desk.sync(mode="ongoing")
    hours_later(desk)
    whole = desk.sync()
    process = desk.sync(mode="ongoing")
    assert process.id != failed.id
    assert whole.watermark is not None
    assert process.since == whole.watermark - timedelta(seconds=300)


def test_a_sync_of_all_records_that_is_active_is_gone_on_with_first(desk: Desk) -> None:
    desk.sync()
    active = desk.engine().start()
    assert desk.sync(mode="ongoing").id == active.id


def test_a_sync_of_all_records_does_not_go_on_with_an_ongoing_one(desk: Desk) -> None:
    desk.sync()
    ongoing = desk.engine().take_up(mode="ongoing")
    with pytest.raises(
        ActiveSync, match=f"an ongoing sync of crm people is active already: {'process'} {ongoing.id}"
    ):
        desk.sync()
    assert desk.run(ongoing).state is State.COMPLETED


def test_what_changed_comes_where_the_source_can_tell(changing: Desk) -> None:
    desk = changing
    desk.sync()
    hours_later(desk)
    changed = sorted(desk.crm.people)[7]
    desk.crm.change(changed)
    process = desk.sync(mode="ongoing")
    assert desk.texts == desk.world
    first = desk.log.load(process.parent or "")
    assert (first.progress.updated, first.changed_by) == (1, "edited")
    assert {request.changed_by for request in desk.crm.requests if request.since} == {"edited"}


def test_without_that_what_changed_does_not_come(desk: Desk) -> None:
    desk.sync()
    hours_later(desk)
    desk.crm.change(sorted(desk.crm.people)[7])
    assert desk.sync(mode="ongoing").progress.fetched == 0


def test_asked_for_what_changed_it_begins_where_that_was_last_asked_for(desk: Desk) -> None:
    """An ongoing sync of who is new has seen nobody change: its watermark says nothing of changes."""
    desk.sync()
    hours_later(desk)
    changed, new = min(desk.crm.people), desk.crm.create()
    desk.crm.change(changed)
    hours_later(desk)
    by_creation = desk.sync(mode="ongoing")
    hours_later(desk)
    desk.crm.changed_by = "edited"
    desk.sync(mode="ongoing")
    assert desk.texts == desk.world
    hours_later(desk)
    desk.crm.change(new)
    desk.crm.changed_by = None
    process = desk.sync(mode="ongoing")
    assert by_creation.watermark is not None
    assert process.since == by_creation.watermark - timedelta(seconds=300)


def test_a_watermark_that_a_clock_ahead_has_made_is_mended_by_a_sync_of_all_records(desk: Desk) -> None:
    desk.clock.at += timedelta(days=1)
    desk.sync()
    desk.clock.at -= timedelta(days=1)
    whole = desk.sync()
    assert desk.engine().last_sync_time() == whole.watermark
    hours_later(desk)
    new = desk.crm.create()
    desk.sync(mode="ongoing")
    assert new in desk.sink.items


def test_a_source_that_says_its_pages_are_of_a_time_to_come_is_not_believed(desk: Desk) -> None:
    fetch = desk.crm.fetch

    async def ahead(request):
        page = await fetch(request)
        return replace(page, as_of=page.as_of + timedelta(days=1))

    desk.crm.fetch = ahead  # type: ignore[method-assign]
    desk.sync()
    hours_later(desk)
    desk.crm.create()
    desk.sync(mode="ongoing")
    assert desk.texts == desk.world


def test_a_record_that_moves_away_from_its_page_comes_with_the_sweep(changing: Desk) -> None:
    """Of six that changed, the fourth changes again when the first page has come: it is now before it."""
    desk = changing
    desk.sync()
    hours_later(desk)
    changed = sorted(desk.crm.people)[:6]
    for record_id in changed:
        desk.crm.change(record_id)
        desk.clock.at += timedelta(minutes=1)
    hours_later(desk)
    moves = iter([[], [changed[2]]])
    desk.crm.before_answer = lambda: [desk.crm.change(record_id) for record_id in next(moves, [])]
    last = desk.sync(mode="ongoing", page_size=2)
    assert desk.texts == desk.world
    sweeps = [desk.log.load(process_id) for process_id in desk.log.ids()[1:]]
    assert [process.progress.fetched for process in sweeps] == [5, 1, 1]
    assert [process.progress.updated for process in sweeps] == [5, 1, 0]
    assert [process.parent for process in sweeps] == [None, sweeps[0].id, sweeps[1].id]
    assert last.id == sweeps[-1].id
    assert f"behind process {sweeps[0].id} began" in event_words(started(desk, sweeps[1]))


def test_sweeps_have_an_end_though_the_world_has_none(changing: Desk) -> None:
    desk = changing
    desk.sync()
    hours_later(desk)
    desk.crm.before_answer = lambda: desk.crm.change(min(desk.crm.people))
    desk.sync(mode="ongoing", options=Options(sweeps_max=3))
    assert len(desk.log.ids()) == 1 + 1 + 3


def test_sweeps_have_an_end_though_each_is_cut_short_and_gone_on_with(changing: Desk) -> None:
    """The limit is of all that follow each other, not of those that one engine ran."""
    desk = changing
    desk.sync()
    hours_later(desk)
    desk.crm.change(min(desk.crm.people))
    processes = [desk.run(desk.engine().take_up(mode="ongoing"))]
    while (following := desk.engine().start_sweep(processes[-1])) is not None:
        desk.crm.change(min(desk.crm.people))
        processes.append(desk.run(following))
    assert len(processes) == 1 + Options().sweeps_max
    assert desk.engine().start_sweep(processes[-1]) is None


def test_by_a_key_that_changes_it_does_not_go_from_the_oldest(changing: Desk) -> None:
    with pytest.raises(ConfigurationError, match="might never end"):
        changing.sync(mode="ongoing", order="oldest")
    assert changing.sync(order="oldest").state is State.COMPLETED
    assert changing.sync(mode="ongoing", order="id").state is State.COMPLETED


def test_a_failed_one_that_went_by_another_key_is_left(changing: Desk) -> None:
    desk = changing
    desk.sync()
    hours_later(desk)
    desk.crm.failures = [Failure(kind=FailureKind.BAD_REQUEST, message="no such attribute.")]
    failed = desk.sync(mode="ongoing")
    desk.crm.changed_by = "updated"
    process = desk.sync(mode="ongoing")
    assert (process.id != failed.id, process.changed_by, process.since) == (True, "updated", failed.since)


def test_an_ongoing_sync_cannot_tell_what_is_missing(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="cannot tell what is missing"):
        desk.sync(mode="ongoing", deletes_missing=True)


def test_in_words_it_says_since_when(desk: Desk) -> None:
    desk.sync()
    process = desk.sync(mode="ongoing")
    words = event_words(started(desk, process))
    assert words.startswith(
        "an ongoing sync of people from crm into dict, of those created since 2026-01-01 01:55"
    )
    assert event_words(replace(started(desk, process), changed_by="edited")).count("changed (by edited)") == 1

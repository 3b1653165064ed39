"""Absent means unknown: what it takes until a contact is deleted, and what comes of thin evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest

from syncfsm.core.describe import event_words
from syncfsm.core.events import MissingFound, PageFetched, RecordRejected, RetryScheduled, SyncCompleted
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.options import Options
from syncfsm.core.paging.by_id import NOT_YET
from syncfsm.core.paging.pages import PageRequest, Told
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.paging.told import gone_of
from syncfsm.core.process import Process
from syncfsm.core.shortfall import shortfall_words
from syncfsm.engine.engine import Engine
from syncfsm.engine.preflight import preflight
from syncfsm.explain import explain, lines
from syncfsm.history.rejects import rejects_of
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from tests.crm import Book, Crm, Desk
from tests.fakes import WRONG_KEY, Item, to_items


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_log(":memory:") as log:
        desk = Desk(log)
        for _ in range(20):
            desk.crm.create()
        desk.sync()
        desk.crm.requests.clear()
        yield desk
        assert (verify(log)[1], check(log)[1]) == ([], [])


def told(desk: Desk, *record_ids: str, gone: Iterable[ToldGone] | None = ()) -> Process:
    """Return the process that saw to a notice of these records."""
    desk.log.receive(
        Notice(
            source="crm",
            object="people",
            key=None,
            record_ids=record_ids,
            received_at=desk.clock.now(),
            gone=None if gone is None else tuple(gone),
        )
    )
    process = desk.engine().take_up_webhooks(page_size=3)
    assert process is not None
    return desk.run(process)


def hide(desk: Desk, record_ids: Iterable[str], requests: int) -> None:
    """Let these records be missing in so many answers, as an index that lags behind leaves them out."""
    hidden, wanted, left = frozenset(record_ids), desk.crm._wanted, iter(range(requests))

    def lagging(request: PageRequest) -> list[str]:
        lags = next(left, None) is not None
        return [id_ for id_ in wanted(request) if not (lags and id_ in hidden)]

    desk.crm._wanted = lagging  # type: ignore[method-assign]


def rejects(desk: Desk, process: Process) -> dict[str, str]:
    return {reject.record_id: reject.reason for reject in rejects_of(desk.log, process)}


def completed(desk: Desk, process: Process) -> SyncCompleted:
    event = next(reversed(list(desk.log.read(process.id)))).event
    assert isinstance(event, SyncCompleted)
    return event


# ── a whole sync ─────────────────────────────────────────────────────────────────────────────


def test_a_page_that_was_short_for_a_moment_is_not_the_end_of_a_sync_that_deletes(desk: Desk) -> None:
    fetch, calls = desk.crm.fetch, iter(range(100))

    async def short(request: PageRequest):
        page = await fetch(request)
        if next(calls) == 1:
            page = type(page)(records=page.records[:-3], as_of=page.as_of)
        return page

    desk.crm.fetch = short  # type: ignore[method-assign]
    process = desk.sync(deletes_missing=True, page_size=5)
    assert (process.progress.fetched, process.progress.missing) == (20, 0)
    assert desk.texts == desk.world


def test_who_came_in_no_page_and_comes_by_id_is_delivered_and_the_listing_said_to_be_short(
    desk: Desk,
) -> None:
    hidden = sorted(desk.crm.people)[:7]
    (really_gone,) = sorted(desk.crm.people)[-1:]
    desk.crm.delete(really_gone)
    for record_id in hidden:
        desk.crm.change(record_id)
    wanted = desk.crm._wanted
    desk.crm._wanted = lambda request: [  # type: ignore[method-assign]
        id_ for id_ in wanted(request) if request.record_ids or id_ not in hidden
    ]
    process = desk.sync(deletes_missing=True, page_size=5)
    assert desk.texts == desk.world
    event = completed(desk, process)
    assert (event.missing, event.asked, event.came) == (1, 8, 7)
    assert "7 records that no page had came by id and stayed: the listing was short" in event_words(event)
    assert [len(request.record_ids) for request in desk.crm.requests if request.record_ids] == [5, 3]
    found = [one.event for one in desk.log.read(process.id) if isinstance(one.event, MissingFound)]
    assert [len(event.record_ids) for event in found] == [5, 3, 0]
    pages = [one.event for one in desk.log.read(process.id) if isinstance(one.event, PageFetched)]
    assert [page.confirmed or () for page in pages[-2:]] == [(), (really_gone,)]


@pytest.mark.parametrize("read_ahead", [1, 4])
def test_what_it_costs_to_delete_is_one_request_and_one_for_each_page_of_missing(
    desk: Desk, read_ahead: int
) -> None:
    def requests(**asked: bool) -> int:
        desk.crm.requests.clear()
        engine = Engine(
            desk.log, desk.crm, desk.sink, own_items, clock=desk.clock, rng=desk.rng, read_ahead=read_ahead
        )
        asyncio.run(engine.sync(page_size=5, **asked))
        return len(desk.crm.requests)

    async def own_items(records):
        ready = await to_items(records)
        items = tuple(Item(external_id=it.external_id, text=it.text, source="crm") for it in ready.items)
        return type(ready)(items=items, rejects=ready.rejects)

    plain = requests()
    assert requests(deletes_missing=True) == plain + 1
    for record_id in sorted(desk.crm.people)[:7]:
        desk.crm.delete(record_id)
    plain = requests()
    assert requests(deletes_missing=True) == plain + 1 + 2
    assert len(desk.sink.items) == 13


def test_a_failure_in_the_end_lets_what_is_missing_be_found_anew(desk: Desk) -> None:
    gone = sorted(desk.crm.people)[:12]
    people = {record_id: desk.crm.people.pop(record_id) for record_id in gone}
    failed = desk.sync(deletes_missing=True)
    assert failed.failure is not None
    assert failed.failure.reason == "missing_ratio_max"
    desk.crm.people |= dict(list(people.items())[:9])  # who was thought to be gone is there again
    process = desk.sync()
    assert (process.id, process.state, process.progress.missing) == (failed.id, State.COMPLETED, 3)
    assert desk.texts == desk.world


def test_only_those_who_do_not_come_by_id_either_count_for_the_guard(desk: Desk) -> None:
    hidden = sorted(desk.crm.people)[:15]
    wanted = desk.crm._wanted
    desk.crm._wanted = lambda request: [  # type: ignore[method-assign]
        id_ for id_ in wanted(request) if request.record_ids or id_ not in hidden
    ]
    process = desk.sync(deletes_missing=True)
    assert (process.state, completed(desk, process).came) == (State.COMPLETED, 15)
    assert sink_deletions(desk) == []


@pytest.mark.parametrize("step", range(1, 14))
def test_a_worker_that_stops_anywhere_is_gone_on_with(desk: Desk, step: int) -> None:
    gone = sorted(desk.crm.people)[:7]
    for record_id in gone:
        desk.crm.delete(record_id)
    process = desk.engine().start(deletes_missing=True, page_size=5)
    for _ in range(step):
        process = asyncio.run(desk.engine().step(process.id))
    assert desk.run(process).progress.missing == 7
    assert desk.texts == desk.world


def sink_deletions(desk: Desk) -> list[str]:
    assert isinstance(desk.sink, Book)
    return desk.sink.deletions


def test_a_sync_that_brings_far_fewer_than_the_one_before_says_so_whether_it_deletes_or_not(
    desk: Desk,
) -> None:
    wanted = desk.crm._wanted
    desk.crm._wanted = lambda request: list(wanted(request))[:8]  # type: ignore[method-assign]
    process = desk.sync()
    words = "It brought 8 records, and syncs before had left 20 in the sink"
    assert completed(desk, process).before == 20
    assert words in shortfall_words(process)
    assert any(words in line for line in lines(explain(desk.log, process.id, "x")))
    flight = asyncio.run(preflight(desk.engine(), lambda engine: engine.take_up()))
    assert words in flight.shortfall


def test_one_that_brings_about_as_many_says_nothing(desk: Desk) -> None:
    for record_id in sorted(desk.crm.people)[:9]:
        desk.crm.delete(record_id)
    assert shortfall_words(desk.sync()) == ""
    assert desk.sync(mode="ongoing").progress.before == 0


def test_an_offset_that_is_refused_deep_in_is_named_with_the_way_on(desk: Desk) -> None:
    refused = Failure(kind=FailureKind.BAD_REQUEST, message="The CRM answered 400.", status=400)
    calls = iter(range(100))
    desk.crm.before_answer = lambda: desk.crm.failures.extend([refused] if next(calls) == 2 else [])
    process = desk.sync(page_size=5)
    assert process.failure is not None
    assert "It refused rows from offset 10 on, and not what came before" in process.failure.error
    assert "by another order" in process.failure.error
    assert desk.sync(page_size=5).state is State.COMPLETED


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────


def test_who_was_said_to_be_changed_and_does_not_come_is_asked_for_until_they_do(desk: Desk) -> None:
    changed = sorted(desk.crm.people)[:4]
    for record_id in changed:
        desk.crm.change(record_id)
    hide(desk, changed, requests=5)
    process = told(desk, *changed)
    assert (process.progress.updated, process.progress.deleted, process.progress.rejected) == (4, 0, 0)
    assert desk.texts == desk.world
    waits = [one.event for one in desk.log.read(process.id) if isinstance(one.event, RetryScheduled)]
    assert [event.cause for event in waits] == ["not_yet"] * len(waits)
    assert [event.attempt for event in waits] == list(range(1, len(waits) + 1))


def test_in_the_end_they_are_left_as_they_are_and_named(desk: Desk) -> None:
    record_id = min(desk.crm.people)
    hide(desk, [record_id], requests=1000)
    process = told(desk, record_id, max(desk.crm.people))
    assert (process.state, process.progress.deleted, process.progress.unchanged) == (State.COMPLETED, 0, 1)
    assert rejects(desk, process) == {record_id: NOT_YET}
    assert record_id in desk.sink.items
    assert len(desk.crm.requests) == Options().asks_max
    retry = desk.engine().retry_rejects()
    assert retry is not None
    assert retry.record_ids == (record_id,)


def test_of_a_notice_of_which_it_was_not_kept_what_it_said_nobody_is_deleted_unconfirmed(desk: Desk) -> None:
    record_id = min(desk.crm.people)
    desk.crm.delete(record_id)
    process = told(desk, record_id, gone=None)
    assert (process.progress.deleted, process.progress.rejected) == (0, 1)
    assert record_id in desk.sink.items


class Stating(Crm):
    """A CRM that says of few records that there are none such; of those in `merging`, only: not yet."""

    merging: frozenset[str] = frozenset()

    async def fetch(self, request: PageRequest):
        page = await super().fetch(request)
        came = {record.id for record in page.records}
        absent = [id_ for id_ in request.record_ids if id_ not in came]
        if not 0 < len(absent) <= request.singly_max:
            return page
        not_found = tuple(id_ for id_ in absent if id_ not in self.merging)
        return type(page)(records=page.records, as_of=page.as_of, not_found=not_found)


def test_who_was_said_to_be_deleted_is_only_if_the_source_says_so_too(desk: Desk) -> None:
    stating = Stating(desk.clock)
    stating.people, desk.crm = desk.crm.people, stating
    deleted, merging = sorted(desk.crm.people)[:2]
    desk.crm.delete(deleted)
    hide(desk, [merging], requests=1000)
    stating.merging = frozenset({merging})
    process = told(desk, deleted, merging, gone=map(deletion, (deleted, merging)))
    assert sink_deletions(desk) == [deleted]
    assert rejects(desk, process).keys() == {merging}


def deletion(record_id: str) -> ToldGone:
    return ToldGone(record_id=record_id)


def test_the_new_record_of_a_merge_comes_before_the_old_ones_go(desk: Desk) -> None:
    one, other = sorted(desk.crm.people)[:2]
    desk.crm.delete(one)
    desk.crm.delete(other)
    new = desk.crm.create()
    hide(desk, [new], requests=6)
    seen: list[tuple[bool, bool]] = []
    desk.crm.before_answer = lambda: seen.append((one in desk.sink.items, new in desk.sink.items))
    process = told(
        desk, new, one, other, gone=(ToldGone(record_id=one, into=new), ToldGone(record_id=other, into=new))
    )
    assert all(has_old or has_new for has_old, has_new in seen)
    assert (process.progress.created, process.progress.deleted) == (1, 2)
    assert desk.texts == desk.world


def test_where_the_new_record_never_comes_the_old_ones_stay(desk: Desk) -> None:
    one, new = min(desk.crm.people), "r-new"
    desk.crm.delete(one)
    process = told(desk, new, one, gone=[ToldGone(record_id=one, into=new)])
    assert process.state is State.COMPLETED
    assert rejects(desk, process).keys() == {one, new}
    assert one in desk.sink.items


def test_more_deletions_than_can_be_believed_end_it_with_none(desk: Desk) -> None:
    gone = sorted(desk.crm.people)[:11]
    for record_id in gone:
        desk.crm.delete(record_id)
    desk.log.receive(
        Notice(
            source="crm",
            object="people",
            key=None,
            record_ids=tuple(gone),
            received_at=desk.clock.now(),
            gone=tuple(map(deletion, gone)),
        )
    )
    engine = desk.engine()
    begun = engine.take_up_webhooks()
    assert begun is not None
    process = desk.run(begun)
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("missing_ratio_max", True)
    assert "webhooks told that 11 of the 20 contacts" in process.failure.error
    assert sink_deletions(desk) == []
    allowed = desk.engine().take_up_webhooks(options=Options(missing_ratio_max=1.0))
    assert allowed is not None
    assert desk.run(allowed).progress.deleted == 11


def test_a_failure_meanwhile_is_tried_again_as_any_other(desk: Desk) -> None:
    record_id = min(desk.crm.people)
    hide(desk, [record_id], requests=2)
    desk.crm.failures = [WRONG_KEY]
    assert told(desk, record_id).state is State.FAILED
    desk.clock.at += timedelta(minutes=1)
    again = desk.engine().take_up_webhooks()
    assert again is not None
    assert desk.run(again).progress.unchanged == 1


# ── the rule itself ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("missing", "came", "gone", "not_found", "expected"),
    [
        ("a", "", [("a", "")], None, "a"),
        ("a", "", [("a", "")], "", ""),
        ("a", "", [("a", "")], "a", "a"),
        ("ab", "", [("a", "")], "ab", "a"),
        ("a", "b", [("a", "b")], None, "a"),
        ("ab", "", [("a", "b")], None, ""),
        ("ab", "", [("a", "b")], "ab", ""),
        ("ab", "", [("a", "b"), ("b", "")], "ab", "ab"),
        ("ab", "c", [("a", "b"), ("b", "c")], "ab", "ab"),
        ("ab", "", [("a", "b"), ("b", "a")], "ab", ""),
        ("a", "b", [("a", ""), ("a", "b")], None, "a"),
        ("a", "", [("a", ""), ("a", "u")], None, ""),
        ("a", "", None, None, ""),
        ("ab", "", None, "b", "b"),
    ],
)
def test_who_is_gone_by_what_was_told(
    missing: str, came: str, gone: list[tuple[str, str]] | None, not_found: str | None, expected: str
) -> None:
    may_be_gone = None if gone is None else tuple(ToldGone(record_id=one, into=into) for one, into in gone)
    rule = Told(may_be_gone=may_be_gone, unsettled=frozenset(missing + "u"))
    assert gone_of(frozenset(missing), frozenset(came), rule, not_found) == frozenset(expected)


def test_whoever_was_rejected_in_the_end_is_named_with_what_was_done(desk: Desk) -> None:
    process = told(desk, "never-there")
    (reject,) = [one.event for one in desk.log.read(process.id) if isinstance(one.event, RecordRejected)]
    assert "left as it is" in reject.reason

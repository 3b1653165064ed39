"""What is gone from the source: deleted where webhooks told of it, or where a whole sync missed it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import pytest

from syncfsm.core.decide import next_action
from syncfsm.core.describe import action_words, event_words
from syncfsm.core.events import Event, RecordRejected, SyncCompleted
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.options import Options
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.process import Process
from syncfsm.core.summary import summary
from syncfsm.errors import ConfigurationError, VersionConflict
from syncfsm.explain import explain, lines
from syncfsm.history.missing import UNDELETABLE
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.protocol import Record, Transformed
from tests.crm import Book, Crm, Desk, Died
from tests.fakes import DOWN, WRONG_KEY, DictSink, Item, to_items


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_log(":memory:") as log:
        desk = Desk(log)
        for _ in range(20):
            desk.crm.create()
        yield desk
        assert (verify(log)[1], check(log)[1]) == ([], [])


def sink_of(desk: Desk) -> Book:
    assert isinstance(desk.sink, Book)
    return desk.sink


def tell(desk: Desk, *record_ids: str, gone: Iterable[str] | None = None) -> None:
    """Let a webhook tell of records: who is not there, it says was deleted, unless it says otherwise."""
    said = (id_ for id_ in record_ids if id_ not in desk.crm.people) if gone is None else gone
    desk.log.receive(
        Notice(
            source="crm",
            object="people",
            key=None,
            record_ids=record_ids,
            received_at=desk.clock.now(),
            gone=tuple(ToldGone(record_id=record_id) for record_id in said),
        )
    )


def told(desk: Desk, *record_ids: str) -> Process:
    """Return the process that saw to a notice of these records."""
    tell(desk, *record_ids)
    process = desk.engine().take_up_webhooks(page_size=2)
    assert process is not None
    return desk.run(process)


def gone(desk: Desk, count: int) -> list[str]:
    record_ids = sorted(desk.crm.people)[:count]
    for record_id in record_ids:
        desk.crm.delete(record_id)
    return record_ids


def events(desk: Desk, process: Process, type_: type[Event]) -> list[Event]:
    return [record.event for record in desk.log.read(process.id) if isinstance(record.event, type_)]


# ── what webhooks told of ────────────────────────────────────────────────────────────────────


def test_whom_a_webhook_deletes_while_their_page_is_being_written_does_not_come_back(desk: Desk) -> None:
    """The sync of the page is cancelled in the middle, so that the webhook need not wait for it."""
    process = desk.engine().start(page_size=20)
    left = min(desk.crm.people)

    class Slow(Book):
        is_first = True

        async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
            if self.is_first:
                self.is_first = False
                desk.engine().cancel(process.id)
                desk.crm.delete(left)
                tell(desk, left)
                beside = desk.engine()
                following = beside.take_up_webhooks()
                assert following is not None
                assert (await beside.run(following.id)).state is State.COMPLETED
            return await super().upsert(items)

    desk.sink = Slow()
    assert desk.run(process).state is State.CANCELLED
    assert desk.texts == desk.world
    assert len(desk.texts) == 19


def test_records_that_come_are_upserted_and_those_that_do_not_are_deleted(desk: Desk) -> None:
    desk.sync()
    changed, new, (deleted,) = max(desk.crm.people), desk.crm.create(), gone(desk, 1)
    desk.crm.change(changed)
    progress = told(desk, changed, new, deleted, "never-there", min(desk.crm.people)).progress
    assert desk.texts == desk.world
    assert (progress.created, progress.updated, progress.deleted, progress.unchanged) == (1, 1, 1, 2)
    assert progress.fetched == progress.delivered == 5


def test_a_few_records_say_nothing_of_the_rest_and_so_set_no_watermark(desk: Desk) -> None:
    watermark = desk.sync().watermark
    desk.clock.at += timedelta(hours=1)
    assert told(desk, min(desk.crm.people)).watermark is None
    assert desk.engine().last_sync_time() == watermark


def test_the_same_again_changes_nothing(desk: Desk) -> None:
    desk.sync()
    deleted = gone(desk, 2)
    assert told(desk, *deleted).progress.deleted == 2
    progress = told(desk, *deleted).progress
    assert (progress.deleted, progress.unchanged, progress.fetched) == (0, 2, 2)


def test_a_sink_that_cannot_delete_rejects_what_is_gone_and_says_why(desk: Desk) -> None:
    desk.sink = DictSink()
    desk.sync()
    kept, (deleted,) = max(desk.crm.people), gone(desk, 1)
    process = told(desk, kept, deleted)
    (reject,) = events(desk, process, RecordRejected)
    assert isinstance(reject, RecordRejected)
    assert (reject.record_id, reject.reason) == (deleted, UNDELETABLE)
    assert (process.state, process.progress.rejected, process.progress.unchanged) == (State.COMPLETED, 1, 1)


def test_where_a_row_came_without_an_id_nobody_is_taken_for_gone(desk: Desk) -> None:
    desk.sync()
    nameless, other = sorted(desk.crm.people)[:2]
    named = desk.crm._record

    def record(record_id, request):
        whole = named(record_id, request)
        return Record(id="", key="", raw=whole.raw, problem="no id") if record_id == nameless else whole

    desk.crm._record = record  # type: ignore[method-assign]
    process = told(desk, nameless, other)
    assert (process.progress.rejected, process.progress.unchanged, process.progress.deleted) == (1, 1, 0)
    assert sink_of(desk).deletions == []


@pytest.mark.parametrize("when", ["before delete", "after delete"])
def test_a_deletion_that_a_crash_cut_short_is_done_again(desk: Desk, when: str) -> None:
    desk.sync()
    deleted = gone(desk, 3)
    deaths = iter([when])

    def around(now: str) -> None:
        nonlocal deaths
        if now == when and next(deaths, None):
            raise Died

    sink_of(desk).around = around
    with pytest.raises(Died):
        told(desk, *deleted)
    process = desk.engine().take_up_webhooks()
    assert process is not None
    assert desk.run(process).state is State.COMPLETED
    assert desk.texts == desk.world
    assert sorted(sink_of(desk).deletions) == deleted


def test_a_worker_that_was_overtaken_writes_no_old_data_behind_the_other(desk: Desk) -> None:
    """Its transform takes its time; meanwhile another worker delivers, and then sees to a deletion."""
    desk.sync()
    record_id = min(desk.crm.people)
    desk.crm.change(record_id)
    tell(desk, record_id)

    async def overtaken(records: Sequence[Record]) -> Transformed[Item] | Failure:
        other = desk.engine()
        await other.run(slow.id)
        desk.crm.delete(record_id)
        tell(desk, record_id)
        following = other.take_up_webhooks()
        assert following is not None
        await other.run(following.id)
        return await to_items(records)

    engine = desk.engine_of(desk.crm, overtaken)
    taken = engine.take_up_webhooks()
    assert taken is not None
    slow = taken
    with pytest.raises(VersionConflict):
        asyncio.run(engine.run(slow.id))
    assert desk.texts == desk.world


# ── what a whole sync missed ─────────────────────────────────────────────────────────────────


def test_where_a_deletion_fails_the_page_is_counted_as_if_it_had_gone_through_at_once(desk: Desk) -> None:
    desk.sync()
    new, (deleted,) = desk.crm.create(), gone(desk, 1)
    failures = [Failure(kind=FailureKind.UNAVAILABLE, message="It is ill.")] * 2
    book, delete, upserts = sink_of(desk), sink_of(desk).delete, sink_of(desk).upserts

    async def ill(source: str, record_ids: list[str]) -> int | Failure:
        return failures.pop() if failures else await delete(source, record_ids)

    book.delete = ill  # type: ignore[method-assign]
    progress = told(desk, new, deleted).progress
    assert (progress.retries, progress.created, progress.deleted, progress.unchanged) == (2, 1, 1, 0)
    assert book.upserts == upserts + 1
    assert desk.texts == desk.world
    book.delete = delete  # type: ignore[method-assign]
    desk.crm.change(new)
    assert told(desk, new).progress.updated == 1, "what was remembered of a page is of that page only"


def test_nothing_is_deleted_unless_that_is_asked_for(desk: Desk) -> None:
    desk.sync()
    gone(desk, 3)
    assert desk.sync().progress.missing == 0
    assert len(desk.sink.items) == 20


def test_what_no_page_had_is_deleted_and_said_to_be(desk: Desk) -> None:
    desk.sync()
    deleted = gone(desk, 3)
    process = desk.sync(deletes_missing=True, page_size=4)
    assert sorted(sink_of(desk).deletions) == deleted
    assert desk.texts == desk.world
    (completed,) = events(desk, process, SyncCompleted)
    assert isinstance(completed, SyncCompleted)
    assert (completed.missing, completed.kept, summary(process)["missing"]) == (3, "", 3)
    assert "3 contacts that no page had deleted" in event_words(completed)
    assert any(
        "3 contacts that no page had were deleted." in line
        for line in lines(explain(desk.log, process.id, "x"))
    )


def test_before_it_finishes_it_says_that_it_will_delete(desk: Desk) -> None:
    process = desk.engine().start(deletes_missing=True)
    while process.is_active:
        words = action_words(process, next_action(process))
        process = asyncio.run(desk.engine().step(process.id))
    assert words == "delete what no page had from the sink, and finish: every page is delivered"


def test_records_that_were_rejected_are_not_missing(desk: Desk) -> None:
    desk.sync()
    desk.sink.refused = {min(desk.crm.people)}
    assert desk.sync(deletes_missing=True).progress.missing == 0


def test_a_record_that_cannot_be_delivered_is_there_all_the_same(desk: Desk) -> None:
    desk.sync()
    spoiled, named = min(desk.crm.people), desk.crm._record
    desk.crm._record = lambda id_, request: (  # type: ignore[method-assign]
        Record(id=id_, key="", raw=b"", problem="no key") if id_ == spoiled else named(id_, request)
    )
    process = desk.sync(deletes_missing=True)
    assert (process.progress.rejected, process.progress.missing) == (1, 0)
    assert spoiled in desk.sink.items


def test_where_a_row_came_without_an_id_nothing_is_deleted_and_it_says_so(desk: Desk) -> None:
    desk.sync()
    gone(desk, 2)
    nameless = min(desk.crm.people)
    named = desk.crm._record
    desk.crm._record = lambda id_, request: (  # type: ignore[method-assign]
        Record(id="", key="", raw=b"", problem="no id") if id_ == nameless else named(id_, request)
    )
    process = desk.sync(deletes_missing=True)
    (completed,) = events(desk, process, SyncCompleted)
    assert isinstance(completed, SyncCompleted)
    assert (completed.missing, completed.kept) == (0, "a row came without an id, and nobody knows whose")
    assert "nothing that is missing was deleted: a row came without an id" in event_words(completed)
    assert sink_of(desk).deletions == []


def test_whom_another_sync_delivered_while_this_one_had_failed_is_not_missing(desk: Desk) -> None:
    desk.sync()
    desk.clock.at += timedelta(days=1)
    pages = iter(range(3))

    def fail_at_the_third() -> None:
        if next(pages, 3) == 2:
            desk.crm.failures = [WRONG_KEY]

    desk.crm.before_answer = fail_at_the_third
    failed = desk.sync(deletes_missing=True, page_size=5)
    assert failed.state is State.FAILED
    new = desk.crm.create()
    told(desk, new)
    process = desk.sync(deletes_missing=True, page_size=5)
    assert (process.id, process.state, process.progress.missing) == (failed.id, State.COMPLETED, 0)
    assert new in desk.sink.items


def test_too_many_to_be_believed_fail_the_sync_until_they_are_allowed(desk: Desk) -> None:
    desk.sync()
    gone(desk, 12)
    failed = desk.sync(deletes_missing=True)
    assert failed.failure is not None
    assert (failed.failure.reason, failed.is_resumable) == ("missing_ratio_max", True)
    assert "no page had 12 of the 20 contacts" in failed.failure.error
    assert "--set missing_ratio_max=1" in failed.failure.error
    assert sink_of(desk).deletions == []
    process = desk.sync(options=Options(missing_ratio_max=0.6))
    assert (process.id, process.state, process.progress.missing) == (failed.id, State.COMPLETED, 12)


@pytest.mark.parametrize("when", ["before delete", "after delete"])
def test_a_crash_at_the_end_repeats_it(desk: Desk, when: str) -> None:
    desk.sync()
    deleted = gone(desk, 3)
    deaths = iter([when])

    def around(now: str) -> None:
        if now == when and next(deaths, None):
            raise Died

    sink_of(desk).around = around
    with pytest.raises(Died):
        desk.sync(deletes_missing=True)
    process = desk.sync()
    assert (process.state, process.deletes_missing) == (State.COMPLETED, True)
    assert sorted(sink_of(desk).deletions) == deleted


def test_a_sink_that_cannot_tell_what_it_has_is_refused(desk: Desk) -> None:
    desk.sink = DictSink()
    with pytest.raises(ConfigurationError, match="cannot delete what is missing"):
        desk.sync(deletes_missing=True)
    assert desk.log.ids() == []


def test_a_sink_that_has_records_of_another_object_is_refused(desk: Desk) -> None:
    desk.sync()
    desk.crm.object = "companies"
    with pytest.raises(ConfigurationError, match="dict has people of crm too"):
        desk.sync(deletes_missing=True)


def test_a_sink_that_another_object_has_come_into_since_is_left_as_it_is(desk: Desk) -> None:
    """It was looked at when the sync began; what counts is what is in it when something is deleted."""
    begun = desk.engine().start(deletes_missing=True)
    companies = Crm(desk.clock)
    companies.object = "companies"
    company = f"c{companies.create()}"
    companies.people = {company: companies.people.popitem()[1]}
    asyncio.run(desk.engine_of(companies).sync())
    process = desk.run(begun)
    (completed,) = events(desk, process, SyncCompleted)
    assert isinstance(completed, SyncCompleted)
    assert (process.state, completed.missing) == (State.COMPLETED, 0)
    assert "dict has companies of crm too" in completed.kept
    assert company in desk.sink.items


def test_items_of_another_source_are_never_missing(desk: Desk) -> None:
    desk.sink.items["x1"] = Item(external_id="x1", text="from elsewhere", source="other")
    desk.sync()
    gone(desk, 1)
    assert desk.sync(deletes_missing=True).progress.missing == 1
    assert "x1" in desk.sink.items


def test_what_was_deleted_before_the_end_failed_is_counted_once_the_end_is_tried_again(desk: Desk) -> None:
    desk.sync()
    gone(desk, 3)
    failures = [DOWN, DOWN]

    async def finish() -> Failure | None:
        return failures.pop() if failures else None

    desk.sink.finish = finish  # type: ignore[method-assign]
    process = desk.sync(deletes_missing=True)
    assert (process.progress.retries, process.progress.missing) == (2, 3)
    gone(desk, 2)
    assert desk.sync(deletes_missing=True).progress.missing == 2


def test_whom_another_sync_delivered_just_before_is_not_missing_where_queries_lag_behind(desk: Desk) -> None:
    desk.sync()
    desk.clock.at += timedelta(hours=1)
    new = desk.crm.create()
    told(desk, new)
    desk.clock.at += timedelta(seconds=2)
    wanted = desk.crm._wanted
    desk.crm._wanted = lambda request: [id_ for id_ in wanted(request) if id_ != new]  # type: ignore[method-assign]
    assert desk.sync(deletes_missing=True).progress.missing == 0
    desk.clock.at += timedelta(minutes=6)
    assert desk.sync(deletes_missing=True).progress.missing == 1


def test_one_that_began_without_cannot_go_on_with_it(desk: Desk) -> None:
    desk.engine().start()
    with pytest.raises(ConfigurationError, match="began without deleting what is missing"):
        desk.sync(deletes_missing=True)
    assert desk.sync().state is State.COMPLETED

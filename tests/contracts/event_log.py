"""What every event log must do. A backend's test module subclasses this and says how to open one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.capture import Exchange, Recorder
from syncfsm.core.notices import RECORD_IDS_MAX, Notice
from syncfsm.core.options import Options
from syncfsm.core.process import Process, fold
from syncfsm.core.state import Route
from syncfsm.core.totals import Totals
from syncfsm.engine.commit import cancel, commit
from syncfsm.errors import ActiveSync, InvalidTransition, ProcessNotFound, VersionConflict
from syncfsm.log import EventLog, StoredEvent, open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from syncfsm.log.codec import from_row
from tests.contracts.routes import COUNTS, a_page, agrees, written
from tests.crm import Desk
from tests.pure import EPOCH, PureSync, people, slice_of

STARTED = e.SyncStarted(
    source="attio",
    object="people",
    sink="list",
    mode="initial",
    page_size=50,
    order="newest",
    options=Options(),
)
RETRY = e.SyncStarted(
    source="attio",
    object="people",
    sink="list",
    mode="rejects",
    page_size=50,
    order="id",
    options=Options(),
    parent="p1",
    record_ids=("r1", "r2"),
)
RETRY_DONE = e.SyncCompleted(
    totals=Totals(pages=0, fetched=0, created=0, updated=0, unchanged=0, rejected=0),
    watermark=None,
    digest="",
)
TOLD = replace(RETRY, mode="webhook", parent=None)
BEGAN = e.FetchingBegan(found={"workspace": "northwind"})
CANCELLED = e.SyncCancelled(by="test", why="")


PAGE = Exchange(request="POST /people", as_of="2026-01-01T00:00:00Z", body=b'{"data":["Ada"]}')
LOOK_UP = Exchange(request="POST /companies", as_of="", body=b"")


def add(
    log: EventLog,
    process: Process | None,
    *events: e.Event,
    process_id: str = "p1",
    exchanges: Sequence[Exchange] = (),
) -> Process:
    recorder = Recorder()
    for exchange in exchanges:
        recorder.keep(exchange)
    process = commit(log, process, process_id, events, at=EPOCH, recorder=recorder)
    assert recorder.pending() == ()
    return process


def notice(key: str | None, *record_ids: str) -> Notice:
    return Notice(source="attio", object="people", key=key, record_ids=record_ids, received_at=EPOCH)


def copy_of(sync: PureSync, log: EventLog) -> None:
    """Append a whole sync to a log, event by event."""
    process = None
    for recorded in sync.recorded:
        process = commit(log, process, recorded.stream, (recorded.event,), at=recorded.at)


NONE = dict.fromkeys(COUNTS, 0)
BUSY = [
    (("ongoing", "people", "list", None, 0), "completed", NONE | {"created": 9}, 90),
    (("initial", "people", "list", None, 10), "completed", NONE | {"created": 7}, 80),  # by a wrong clock
    (("initial", "people", "list", None, 5), "late", NONE | {"updated": 2}, 6),
    (("initial", "people", "list", None, 20), "completed", NONE | {"created": 1, "updated": 2}, 20),
    (("webhook", "people", "list", None, 30), "completed", NONE | {"created": 3, "deleted": 1}, 31),
    (("ongoing", "people", "list", "updated_at", 40), "completed", NONE | {"created": 1}, 70),
    (("ongoing", "people", "list", None, 35), "completed", NONE | {"updated": 4, "missing": 1}, 35),
    (("ongoing", "people", "list", None, 50), "late", NONE | {"created": 2}, 50),
    (("ongoing", "people", "list", None, 60), "cancelled", NONE, 60),
    (("initial", "people", "other", None, 61), "failed", NONE | {"created": 5}, 62),
    (("initial", "companies", "list", None, 63), "completed", NONE | {"created": 4}, 64),
    (("rejects", "people", "list", None, 65), "completed", NONE | {"unchanged": 2}, 66),
]
"""Processes of a few routes: what the clock says is not the order in which they came. See `written`."""


def _completed(*, missing: int = 0, **counts: int) -> tuple[e.Event, ...]:
    """Return a page of so many records, delivered, and the end of the sync that it is all of."""
    counts = dict.fromkeys(("created", "updated", "unchanged", "deleted"), 0) | counts
    fetched = sum(counts.values())
    totals = Totals(pages=1, fetched=fetched, rejected=0, **counts)
    return (
        a_page(fetched),
        e.PageDelivered(cursor=None, rejected=0, elapsed_ms=0, **counts),
        e.SyncCompleted(totals=totals, watermark=EPOCH, digest="", missing=missing),
    )


class EventLogContract:
    """Subclass it with a fixture `log`."""

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        raise NotImplementedError

    def test_what_was_appended_is_read_in_order_with_places_and_digests(self, log: EventLog) -> None:
        add(log, add(log, None, STARTED), BEGAN)
        recorded = list(log.read("p1"))
        assert [(record.version, record.event) for record in recorded] == [(1, STARTED), (2, BEGAN)]
        assert [record.position for record in recorded] == [1, 2]
        assert len({record.digest for record in recorded}) == 2
        assert {record.at for record in recorded} == {EPOCH}

    def test_what_is_read_is_what_its_rows_say(self, log: EventLog) -> None:
        copy_of(_done(120), log)
        add(log, None, _started(object="companies"), process_id="p2")
        for process_id in ("p1", "p2"):
            assert list(log.read(process_id)) == [from_row(row) for row in log.stored_events(process_id)]

    def test_a_part_of_a_stream_can_be_read(self, log: EventLog) -> None:
        copy_of(_done(120), log)
        assert [record.version for record in log.read("p1", after=3, until=5)] == [4, 5]

    def test_every_event_of_a_sync_comes_back_as_it_was(self, log: EventLog) -> None:
        sync = _done(120)
        copy_of(sync, log)
        assert [record.event for record in log.read("p1")] == [record.event for record in sync.recorded]

    def test_of_two_writers_at_one_version_the_second_is_refused_and_nothing_of_it_is_written(
        self, log: EventLog
    ) -> None:
        process = add(log, None, STARTED)
        add(log, process, BEGAN)
        with pytest.raises(VersionConflict, match="at version 2, not at 1"):
            add(log, process, CANCELLED)
        assert [record.type for record in log.read("p1")] == ["SyncStarted", "FetchingBegan"]
        assert log.load("p1").version == 2
        add(log, log.load("p1"), CANCELLED)
        assert [record.position for record in log.read("p1")] == [1, 2, 3]

    def test_an_append_that_expects_a_version_to_come_is_refused(self, log: EventLog) -> None:
        ahead = add_in_memory(None, STARTED, BEGAN)
        add(log, None, STARTED)
        with pytest.raises(VersionConflict):
            add(log, ahead, CANCELLED)

    def test_a_stream_begins_once(self, log: EventLog) -> None:
        add(log, None, STARTED, BEGAN, CANCELLED)
        with pytest.raises(VersionConflict):
            add(log, None, STARTED)

    def test_an_illegal_event_never_reaches_the_log(self, log: EventLog) -> None:
        process = add(log, None, STARTED)
        with pytest.raises(InvalidTransition):
            add(log, process, BEGAN, BEGAN)
        assert [record.version for record in log.read("p1")] == [1]

    def test_a_second_active_sync_of_the_same_source_object_is_refused(self, log: EventLog) -> None:
        add(log, None, STARTED)
        with pytest.raises(ActiveSync, match="process p1") as refused:
            add(log, None, STARTED, process_id="p2")
        assert refused.value.process_id == "p1"
        assert log.ids() == ["p1"]

    def test_syncs_of_other_objects_and_sources_may_be_active_beside_it(self, log: EventLog) -> None:
        add(log, None, STARTED)
        add(log, None, _started(object="companies"), process_id="p2")
        add(log, None, _started(source="attio:other"), process_id="p3")
        assert log.ids() == ["p1", "p2", "p3"]
        assert log.ids(last=2) == ["p2", "p3"]
        assert log.ids(begin_with="p2") == ["p2"]
        assert log.ids(begin_with="p", last=1) == ["p3"]
        assert log.ids(begin_with="q") == []

    def test_a_new_sync_may_begin_when_the_last_one_is_over(self, log: EventLog) -> None:
        process = add(log, None, STARTED)
        cancel(log, process.id, by="test")
        add(log, None, STARTED, process_id="p2")
        active = log.active("attio", "people")
        assert active is not None
        assert active.id == "p2"

    def test_the_read_model_answers_what_is_active_latest_and_last_synced(self, log: EventLog) -> None:
        assert log.active("model", "people") is None
        assert log.latest("model", "people", "list") is None
        assert log.last_sync_time("model", "people", "list") is None
        sync = _done(3)
        copy_of(sync, log)
        assert log.active("model", "people") is None
        assert log.latest("model", "people", "list") == sync.process
        assert log.last_sync_time("model", "people", "list") == sync.process.watermark
        assert log.last_sync_time("model", "people", "other") is None
        assert log.last_completed("model", "people", "list") == sync.process
        assert log.last_completed("model", "people", "other") is None

    def test_the_last_sync_is_found_however_many_of_webhooks_came_after_it(self, log: EventLog) -> None:
        sync = _done(3)
        copy_of(sync, log)
        told = replace(TOLD, source="model")
        for number in range(101):
            add(log, None, told, BEGAN, RETRY_DONE, process_id=f"w{number}")
        assert log.last_completed("model", "people", "list") == sync.process

    def test_what_was_brought_where_is_told_once_each(self, log: EventLog) -> None:
        assert log.routes() == []
        for process_id, started in (("p1", STARTED), ("p2", RETRY), ("p3", replace(STARTED, sink="b"))):
            add(log, add(log, None, started, process_id=process_id), CANCELLED, process_id=process_id)
        ours = Route(source="attio", object="people", sink="list")
        assert set(log.routes()) == {ours, replace(ours, sink="b")}
        assert log.webhook_sink("attio", "people") is None
        for process_id, sink in (("w1", "list"), ("w2", "b")):
            add(
                log,
                add(log, None, replace(TOLD, sink=sink), process_id=process_id),
                CANCELLED,
                process_id=process_id,
            )
        assert log.webhook_sink("attio", "people") == "list"
        assert log.webhook_sink("attio", "companies") is None

    def test_the_latest_process_is_the_one_that_began_last_whatever_the_clock_said(
        self, log: EventLog
    ) -> None:
        cancel(log, add(log, None, STARTED).id, by="test")
        earlier = EPOCH - timedelta(days=1)
        commit(log, None, "p2", (STARTED,), at=earlier)
        latest = log.latest("attio", "people", "list")
        assert latest is not None
        assert latest.id == "p2"

    def test_a_retry_of_rejects_is_told_from_a_sync_of_all_and_moves_no_watermark(
        self, log: EventLog
    ) -> None:
        add(log, None, RETRY, BEGAN, RETRY_DONE, process_id="p2")
        latest = log.latest("attio", "people", "list", mode="rejects")
        assert latest == log.load("p2")
        assert latest is not None
        assert (latest.mode, latest.parent, latest.record_ids) == ("rejects", "p1", ("r1", "r2"))
        assert log.latest("attio", "people", "list") is None
        assert log.last_sync_time("attio", "people", "list") is None

    def test_a_retry_and_a_sync_of_all_are_not_active_together(self, log: EventLog) -> None:
        add(log, None, RETRY, process_id="p2")
        with pytest.raises(
            ActiveSync, match="a retry of the rejects of attio people is active already: process p2"
        ):
            add(log, None, STARTED)
        cancel(log, "p2", by="test")
        add(log, None, STARTED)
        with pytest.raises(ActiveSync, match="a sync of attio people is active already: process p1"):
            add(log, None, RETRY, process_id="p3")

    def test_what_came_into_a_sink_is_counted_from_the_last_initial_sync_on(self, log: EventLog) -> None:
        initial = replace(STARTED, mode="initial")
        ongoing = replace(STARTED, mode="ongoing", since=EPOCH)
        ours = ("attio", "people", "list")
        assert log.items_left_by_syncs(*ours) == 0
        syncs = [
            (ongoing, _completed(created=9), 0),  # behind no initial one
            (initial, _completed(created=7), 7),
            (initial, _completed(created=1, updated=2, unchanged=3, missing=5), 6),
            (ongoing, _completed(created=2, updated=4, unchanged=4), 8),
            (TOLD, _completed(unchanged=3, deleted=7), 1),
            (replace(initial, sink="other"), _completed(created=50), 1),
        ]
        for number, (started, done, count) in enumerate(syncs):
            add(log, None, started, BEGAN, *done, process_id=f"p{number}")
            assert log.items_left_by_syncs(*ours) == count
        add(log, None, initial, BEGAN, process_id="active")
        assert log.items_left_by_syncs(*ours) == 1

    def test_what_is_told_of_routes_follows_from_the_events_also_once_they_are_restored(
        self, log: EventLog
    ) -> None:
        with open_log(":memory:") as source:
            written(source, BUSY)
            states = [source.load(process_id) for process_id in source.ids()]
            log.restore(source.stored_events(), lambda: states)
        agrees(log)
        written(log, [(("initial", "people", "list", None, 90), "late", NONE, 1)], prefix="q")
        agrees(log)
        assert verify(log)[1] == []

    def test_an_ongoing_sync_that_finds_nothing_new_moves_the_watermark_and_nothing_else(
        self, log: EventLog
    ) -> None:
        desk = Desk(log)
        desk.crm.create()
        for _ in range(3):
            process = desk.sync(mode="ongoing")
            desk.clock.at += timedelta(hours=2)
        first, last = (list(log.stored_events(id_)) for id_ in (log.ids()[0], process.id))
        assert [(row.type, row.schema) for row in last] == [("SyncStarted", 2), ("NothingNewFound", 1)]
        assert first[0].schema == 1
        route = (process.source, process.object, process.sink)
        assert log.last_sync_time(*route) == process.watermark
        assert log.last_found(process.source, process.sink) == {"workspace": "test", "sink": "dict"}
        assert log.items_left_by_syncs(*route) == 1
        assert log.load(process.id) == process
        assert (verify(log)[1], check(log)[1]) == ([], [])

    def test_a_cancelled_sync_sets_no_watermark(self, log: EventLog) -> None:
        cancel(log, add(log, None, STARTED, BEGAN).id, by="test")
        assert log.last_sync_time("attio", "people", "list") is None

    def test_the_loaded_state_is_the_fold_of_all_events_at_every_version(self, log: EventLog) -> None:
        process = None
        for recorded in _done(120).recorded:
            process = commit(log, process, recorded.stream, (recorded.event,), at=recorded.at)
            assert log.load("p1") == process == fold(None, log.read("p1"))

    def test_many_states_come_together_in_the_order_in_which_they_are_asked_for(self, log: EventLog) -> None:
        ids = [f"p{number}" for number in range(230)]  # more than a part
        for process_id in ids:
            add(log, None, replace(STARTED, object=process_id), process_id=process_id)
        asked = [*ids[::-1], "p7", "p7"]
        assert list(log.loaded(asked)) == [log.load(process_id) for process_id in asked]
        assert list(log.loaded([])) == []
        with pytest.raises(ProcessNotFound):
            list(log.loaded(["p1", "nobody"]))
        assert next(iter(log.loaded(["p1", "nobody"]))).id == "p1"

    def test_the_version_of_a_process_is_that_of_its_last_event(self, log: EventLog) -> None:
        assert log.version("p1") == 0
        add(log, add(log, None, STARTED), BEGAN)
        add(log, None, _started(object="companies"), process_id="p2")
        assert (log.version("p1"), log.version("p2")) == (2, 1)

    def test_whoever_follows_reads_on_behind_the_position_that_was_reached(self, log: EventLog) -> None:
        assert (log.last_position(), log.events_after(0), log.last_events(9)) == (0, [], [])
        process = add(log, None, STARTED)
        add(log, None, _started(object="companies"), process_id="p2")
        assert log.last_position() == 2
        add(log, process, BEGAN, CANCELLED)
        assert log.last_position() == 4
        assert [record.type for record in log.events_after(2)] == ["FetchingBegan", "SyncCancelled"]
        assert log.events_after(2) == list(log.read("p1", after=1))
        assert log.events_after(4) == []

    def test_whoever_follows_can_do_so_a_few_events_at_a_time_and_one_process_alone(
        self, log: EventLog
    ) -> None:
        add(log, add(log, None, STARTED), BEGAN)
        add(log, None, _started(object="companies"), BEGAN, process_id="p2")
        assert [record.position for record in log.events_after(1, count_max=2)] == [2, 3]
        assert [record.stream for record in log.events_after(1, process_id="p2")] == ["p2", "p2"]
        assert [record.position for record in log.events_after(0, process_id="p1", count_max=1)] == [1]
        assert log.events_after(0, process_id="p9") == []

    def test_the_last_events_come_in_order(self, log: EventLog) -> None:
        add(log, add(log, None, STARTED), BEGAN)
        add(log, None, _started(object="companies"), process_id="p2")
        assert [record.position for record in log.last_events(2)] == [2, 3]
        assert [record.position for record in log.last_events(2, process_id="p1")] == [1, 2]
        assert [record.position for record in log.last_events(9)] == [1, 2, 3]
        assert log.last_events(0) == []

    def test_the_position_before_a_moment_is_that_of_the_last_earlier_event(self, log: EventLog) -> None:
        copy_of(_done(120), log)
        third = next(iter(log.read("p1", after=2)))
        assert log.last_position(before=third.at) == 2
        assert log.last_position(before=third.at + timedelta(microseconds=1)) == 3
        assert log.last_position(before=EPOCH - timedelta(days=1)) == 0

    def test_recent_processes_are_the_active_ones_and_the_last_that_are_over(self, log: EventLog) -> None:
        assert log.recent(over_max=9) == []
        for index, object_ in enumerate("abc"):
            process = commit(
                log, None, object_, (_started(object=object_),), at=EPOCH + timedelta(seconds=index)
            )
            if object_ != "b":
                commit(log, process, object_, (CANCELLED,), at=EPOCH + timedelta(minutes=index))
        add(log, None, _started(object="d"), process_id="d")
        assert [process.id for process in log.recent(over_max=9)] == ["d", "b", "c", "a"]
        assert [process.id for process in log.recent(over_max=1)] == ["d", "b", "c"]
        assert log.recent(over_max=9)[1] == log.load("b")

    def test_an_unknown_process_is_said_to_be_unknown(self, log: EventLog) -> None:
        with pytest.raises(ProcessNotFound, match="p9"):
            log.load("p9")

    def test_what_was_captured_comes_with_the_events_it_led_to(self, log: EventLog) -> None:
        process = add(log, add(log, None, STARTED), BEGAN, exchanges=(PAGE, LOOK_UP))
        add(log, None, _started(object="companies"), process_id="p2", exchanges=(PAGE,))
        kept = log.captures("p1")
        assert [(capture.version, capture.request) for capture in kept] == [
            (2, "POST /people"),
            (2, "POST /companies"),
        ]
        assert [log.exchange(capture.id) for capture in kept] == [PAGE, LOOK_UP]
        assert log.capture_counts() == {"p1": 2, "p2": 1}
        assert log.load("p1") == process

    def test_of_an_append_that_is_refused_nothing_is_captured(self, log: EventLog) -> None:
        process = add(log, None, STARTED)
        add(log, process, BEGAN)
        with pytest.raises(VersionConflict):
            add(log, process, CANCELLED, exchanges=(PAGE,))
        assert log.captures("p1") == []

    def test_captures_are_forgotten_by_age_and_process_and_events_are_not(self, log: EventLog) -> None:
        add(log, None, STARTED, exchanges=(PAGE, LOOK_UP))
        add(log, None, _started(object="companies"), process_id="p2", exchanges=(PAGE,))
        later = EPOCH + timedelta(microseconds=1)
        before = list(log.stored_events())
        assert log.forget(before=EPOCH).exchanges == 0
        assert log.forget(before=later, process_id="p1").exchanges == 2
        assert log.capture_counts() == {"p2": 1}
        assert log.forget(before=later).exchanges == 1
        assert (log.capture_counts(), log.captures("p2")) == ({}, [])
        assert list(log.stored_events()) == before

    def test_a_capture_that_was_forgotten_meanwhile_is_said_to_be(self, log: EventLog) -> None:
        add(log, None, STARTED, exchanges=(PAGE,))
        (capture,) = log.captures("p1")
        log.forget(before=EPOCH + timedelta(days=1))
        with pytest.raises(ProcessNotFound, match="was forgotten meanwhile"):
            log.exchange(capture.id)

    def test_a_notice_waits_and_its_key_counts_once(self, log: EventLog) -> None:
        assert log.receive(notice("k1", "r1"))
        assert not log.receive(notice("k1", "r1"))
        assert log.receive(notice("k2", "r2", "r1"))
        assert log.waiting("attio", "people").record_ids == ("r1", "r2")
        assert len(log.waiting("attio", "people").notices) == 2

    def test_notices_without_a_key_all_count(self, log: EventLog) -> None:
        assert [log.receive(notice(None, "r1")), log.receive(notice(None, "r1"))] == [True, True]
        assert len(log.waiting("attio", "people").notices) == 2

    def test_notices_of_another_source_object_and_later_ones_are_left_out(self, log: EventLog) -> None:
        log.receive(notice("k1", "r1"))
        log.receive(replace(notice("k1", "c1"), object="companies"))
        log.receive(replace(notice("k2", "r2"), received_at=EPOCH + timedelta(seconds=2)))
        assert log.waiting("attio", "people", until=EPOCH + timedelta(seconds=1)).record_ids == ("r1",)
        assert log.waiting("attio", "companies").record_ids == ("c1",)

    def test_what_a_process_took_waits_no_more_unless_it_is_cancelled(self, log: EventLog) -> None:
        log.receive(notice("k1", "r1"))
        log.receive(notice("k2", "r2"))
        first, _ = log.waiting("attio", "people").notices
        process = commit(log, None, "p1", (TOLD,), at=EPOCH, notices=(first,))
        assert log.waiting("attio", "people").record_ids == ("r2",)
        add(log, process, CANCELLED)
        assert log.waiting("attio", "people").record_ids == ("r1", "r2")

    def test_a_process_that_does_not_begin_takes_nothing(self, log: EventLog) -> None:
        log.receive(notice("k1", "r1"))
        waiting = log.waiting("attio", "people")
        add(log, None, STARTED)
        with pytest.raises(ActiveSync):
            commit(log, None, "p2", (TOLD,), at=EPOCH, notices=waiting.notices)
        assert log.waiting("attio", "people") == waiting

    def test_one_process_takes_no_more_records_than_it_may(self, log: EventLog) -> None:
        for index in range(3):
            log.receive(notice(f"k{index}", *(f"r{index}-{number}" for number in range(400))))
        assert len(log.waiting("attio", "people").record_ids) == 800
        log.receive(replace(notice("k9", *map(str, range(2 * RECORD_IDS_MAX))), object="companies"))
        assert len(log.waiting("attio", "companies").record_ids) == 2 * RECORD_IDS_MAX

    def test_only_notices_that_were_seen_to_are_cleared(self, log: EventLog) -> None:
        log.receive(notice("k1", "r1"))
        process = commit(
            log, None, "p1", (TOLD, BEGAN), at=EPOCH, notices=log.waiting("attio", "people").notices
        )
        later = EPOCH + timedelta(days=8)
        assert log.clear_inbox(later) == 0
        add(log, process, RETRY_DONE)
        log.receive(notice("k2", "r2"))
        assert [log.clear_inbox(EPOCH), log.clear_inbox(later), log.clear_inbox(later)] == [0, 1, 0]
        assert log.waiting("attio", "people").record_ids == ("r2",)

    def test_every_place_is_scanned_with_its_row(self, log: EventLog) -> None:
        add(log, add(log, None, STARTED), BEGAN)
        places = list(log.scan())
        assert [place.position for place in places] == [1, 2]
        assert [place.row for place in places] == list(log.stored_events())
        assert not any(place.problem or place.is_doubtful for place in places)
        assert log.position_given() == 2
        assert log.damages() == []

    def test_an_empty_log_is_scanned_and_sound(self, log: EventLog) -> None:
        assert list(log.scan()) == []
        assert not log.position_given()
        assert verify(log) == (0, [])

    def test_reading_can_be_left_and_entered_again_and_writes_go_on(self, log: EventLog) -> None:
        with log.reading():
            assert list(log.scan()) == []
        process = add(log, None, STARTED)
        with log.reading():
            assert len(list(log.scan())) == 1
        add(log, process, BEGAN)
        assert log.version("p1") == 2

    def test_the_read_model_is_compared_with_the_state_by_the_events(self, log: EventLog) -> None:
        process = add(log, None, STARTED)
        assert log.model_doubt(process, position=1, fetching_position=None) is None
        other = add_in_memory(process, BEGAN)
        doubt = log.model_doubt(other, position=1, fetching_position=None)
        assert doubt is not None
        assert "state, version" in doubt
        doubt = log.model_doubt(process, position=2, fetching_position=3)
        assert doubt is not None
        assert "position, fetching_position" in doubt

    def test_restored_rows_keep_their_digests_and_make_the_read_model(self, log: EventLog) -> None:
        sync = _done(120)
        with open_log(":memory:") as source:
            copy_of(sync, source)
            rows = list(source.stored_events())
        log.restore(iter(rows), lambda: [sync.process])
        assert list(log.stored_events()) == rows
        assert log.load("p1") == sync.process
        assert verify(log) == (len(rows), [])

    def test_a_restore_that_fails_midway_writes_nothing(self, log: EventLog) -> None:
        process = add(log, None, STARTED)
        with open_log(":memory:") as source:
            other = add(source, None, STARTED, BEGAN, process_id="p2")
            rows = list(source.stored_events())

        def interrupted() -> Iterator[StoredEvent]:
            yield from rows
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            log.restore(interrupted(), lambda: [other])
        with pytest.raises(ActiveSync):
            log.restore(iter(rows), lambda: [other])
        with pytest.raises(VersionConflict):
            log.restore([*rows, *log.stored_events("p1")], lambda: [other])
        assert log.ids() == ["p1"]
        add(log, process, BEGAN)
        assert verify(log) == (2, [])

    def test_a_sound_log_verifies(self, log: EventLog) -> None:
        sync = _done(120)
        copy_of(sync, log)
        assert verify(log) == (len(sync.recorded), [])


def add_in_memory(process: Process | None, *events: e.Event) -> Process:
    version = process.version if process else 0
    recorded = [
        e.Recorded(stream="p1", version=version + index, at=EPOCH + timedelta(seconds=index), event=event)
        for index, event in enumerate(events, start=1)
    ]
    after = fold(process, recorded)
    assert after is not None
    return after


def _started(**changes: str) -> e.SyncStarted:
    values: dict[str, object] = {name: getattr(STARTED, name) for name in STARTED.__struct_fields__}
    return e.SyncStarted(**{**values, **changes})  # type: ignore[arg-type]


def _done(count: int) -> PureSync:
    sync = PureSync(slice_of(people(count)))
    sync.run()
    return sync

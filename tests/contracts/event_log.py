"""What every event log must do. A backend's test module subclasses this and says how to open one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from syncfsm import events as e
from syncfsm.capture import Exchange, Recorder
from syncfsm.errors import ActiveSync, InvalidTransition, ProcessNotFound, VersionConflict
from syncfsm.lifecycle import cancel, commit
from syncfsm.log import EventLog
from syncfsm.log.verify import verify
from syncfsm.process import Process, fold
from tests.pure import EPOCH, PureSync, people, slice_of

STARTED = e.SyncStarted(
    source="attio",
    object="people",
    sink="list",
    mode="initial",
    page_size=50,
    order="newest",
    options=e.Options(),
)
RETRY = e.SyncStarted(
    source="attio",
    object="people",
    sink="list",
    mode="rejects",
    page_size=50,
    order="id",
    options=e.Options(),
    parent="p1",
    record_ids=("r1", "r2"),
)
RETRY_DONE = e.SyncCompleted(
    totals=e.Totals(pages=0, fetched=0, created=0, updated=0, unchanged=0, rejected=0),
    watermark=None,
    digest="",
)
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


def copy_of(sync: PureSync, log: EventLog) -> None:
    """Append a whole sync to a log, event by event."""
    process = None
    for recorded in sync.recorded:
        process = commit(log, process, recorded.stream, (recorded.event,), at=recorded.at)


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

    def test_a_cancelled_sync_sets_no_watermark(self, log: EventLog) -> None:
        cancel(log, add(log, None, STARTED, BEGAN).id, by="test")
        assert log.last_sync_time("attio", "people", "list") is None

    def test_the_loaded_state_is_the_fold_of_all_events_at_every_version(self, log: EventLog) -> None:
        process = None
        for recorded in _done(120).recorded:
            process = commit(log, process, recorded.stream, (recorded.event,), at=recorded.at)
            assert log.load("p1") == process == fold(None, log.read("p1"))

    def test_the_version_of_a_process_is_that_of_its_last_event(self, log: EventLog) -> None:
        assert log.version("p1") == 0
        add(log, add(log, None, STARTED), BEGAN)
        add(log, None, _started(object="companies"), process_id="p2")
        assert (log.version("p1"), log.version("p2")) == (2, 1)

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
        before = list(log.rows())
        assert log.forget(before=EPOCH).exchanges == 0
        assert log.forget(before=later, process_id="p1").exchanges == 2
        assert log.capture_counts() == {"p2": 1}
        assert log.forget(before=later).exchanges == 1
        assert (log.capture_counts(), log.captures("p2")) == ({}, [])
        assert list(log.rows()) == before

    def test_a_capture_that_was_forgotten_meanwhile_is_said_to_be(self, log: EventLog) -> None:
        add(log, None, STARTED, exchanges=(PAGE,))
        (capture,) = log.captures("p1")
        log.forget(before=EPOCH + timedelta(days=1))
        with pytest.raises(ProcessNotFound, match="was forgotten meanwhile"):
            log.exchange(capture.id)

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

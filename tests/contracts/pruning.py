"""What any log must keep of what was pruned from it, and what it must say of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.notices import Notice
from syncfsm.core.process import Process
from syncfsm.engine.commit import commit
from syncfsm.errors import ConfigurationError, LogError, ProcessNotFound
from syncfsm.history.missing import ids_seen_since
from syncfsm.history.rejects import open_ids, rejects_of
from syncfsm.history.replay import find
from syncfsm.log import EventLog, open_log, prune
from syncfsm.log.checks.verify import verify
from syncfsm.log.pruning import choosing
from syncfsm.log.pruning.choosing import Choice
from syncfsm.log.pruning.pruning import in_portions
from syncfsm.log.tail import Follower
from syncfsm.log.transfer.exporting import Export
from syncfsm.log.transfer.importing import import_lines
from syncfsm.log.transfer.redact import Redaction
from tests.contracts.routes import (
    CANCELLED,
    COUNTS,
    FAILED,
    KEYS,
    MODES,
    OBJECTS,
    SINKS,
    a_page,
    started,
    written,
)
from tests.crm import Crm
from tests.fakes import TestClock
from tests.pure import EPOCH

EVER = EPOCH + timedelta(days=365)
LATER = EVER + timedelta(days=1)
NONE = dict.fromkeys(COUNTS, 0)
INITIAL: tuple[Any, ...] = ("initial", "people", "list", None)
ONGOING: tuple[Any, ...] = ("ongoing", "people", "list", None)


def a_sync(beginning: tuple[Any, ...], at_s: int, end: str = "completed", **counts: int) -> Any:
    """Return what `written` makes a sync of."""
    return ((*beginning, at_s), end, NONE | counts, at_s)


def turns(count: int, first_s: int = 10) -> list[Any]:
    """Return ongoing syncs that found nothing."""
    return [a_sync(ONGOING, first_s + number) for number in range(count)]


def answers(log: EventLog) -> dict[str, Any]:
    """Return all that a log is asked of its routes."""
    told: dict[str, Any] = {"routes": set(log.routes())}
    for object_ in OBJECTS:
        told[object_] = log.webhook_sink("attio", object_), log.active("attio", object_)
        for sink in SINKS:
            route = ("attio", object_, sink)
            told[f"{object_} {sink}"] = (
                sorted(map(repr, log.sides(*route))),
                [log.last_sync_time(*route, changed_by=key) for key in KEYS],
                [log.latest(*route, mode=mode) for mode in (*MODES, None)],
                log.last_begun(*route),
                log.last_completed(*route),
                log.items_left_by_syncs(*route),
                log.last_found("attio", sink),
            )
    return told


def lines_of(log: EventLog, redaction: Redaction | None = None) -> list[bytes]:
    return list(Export(log, redaction=redaction).lines())


def rejected(log: EventLog, process_id: str, *record_ids: str, at: datetime = EPOCH) -> Process:
    """Write a sync of all records that could not deliver some."""
    page = replace(a_page(len(record_ids)), record_ids=record_ids)
    process = commit(log, None, process_id, (started(*INITIAL),), at=at)
    process = commit(log, process, process_id, (e.FetchingBegan(found={}), page), at=at)
    refused = tuple(e.RecordRejected(record_id=one, reason="no", cursor=None) for one in record_ids)
    counts = dict.fromkeys(("created", "updated", "unchanged", "deleted"), 0)
    over = e.PageDelivered(cursor=None, rejected=len(refused), elapsed_ms=0, **counts)
    process = commit(log, process, process_id, (*refused, over), at=at)
    done = e.SyncCompleted(totals=process.progress.totals, watermark=at, digest="")
    return commit(log, process, process_id, (done,), at=at)


class PruningContract:
    """Subclass it with a fixture `log`."""

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        raise NotImplementedError

    @pytest.fixture
    def idle(self, log: EventLog) -> EventLog:
        """A log of a sync of all records and of twenty turns that found nothing."""
        written(log, [a_sync(INITIAL, 1, created=3), *turns(20)])
        return log

    def test_what_is_over_goes_and_all_that_is_asked_of_it_stays(self, idle: EventLog) -> None:
        before = answers(idle)
        pruned = prune(idle, before=EVER, now=LATER)
        assert (pruned.processes, pruned.events, pruned.kept) == (19, 19 * 5, 2)
        assert idle.ids() == ["p0", "p20"]
        assert answers(idle) == before
        assert verify(idle) == (10, [])

    def test_what_ended_later_stays(self, idle: EventLog) -> None:
        pruned = prune(idle, before=EPOCH + timedelta(seconds=12), now=LATER)
        assert pruned.processes == 2
        assert verify(idle)[1] == []

    def test_the_log_says_what_was_pruned_when_and_by_whom(self, idle: EventLog) -> None:
        prune(idle, before=EVER, now=LATER, by="cli")
        ((pruning, _),) = idle.prunings()
        assert (pruning.at, pruning.deeds.by, pruning.deeds.events) == (LATER, "cli", 95)
        assert (pruning.deeds.since, pruning.deeds.until) == (
            EPOCH + timedelta(seconds=10),
            EPOCH + timedelta(seconds=28),
        )
        assert idle.pruned_at() == LATER
        with pytest.raises(ProcessNotFound, match=r"process p3 was pruned from .* on .* by cli"):
            idle.load("p3")
        with pytest.raises(ProcessNotFound, match="process p3 was pruned"):
            find(idle, "p3")
        with pytest.raises(ProcessNotFound, match="no process begins with 'nobody'"):
            find(idle, "nobody")

    def test_a_second_pruning_chains_to_the_first(self, idle: EventLog) -> None:
        prune(idle, before=EPOCH + timedelta(seconds=12), now=LATER)
        prune(idle, before=EVER, now=LATER)
        assert [stored.pruning.number for stored in idle.prunings()] == [1, 2]
        assert verify(idle)[1] == []
        assert prune(idle, before=EVER, now=LATER).processes == 0

    def test_it_goes_on_where_it_was_stopped(self, idle: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choosing, "EVENTS_MAX", 12)
        before = answers(idle)
        portions = in_portions(idle, Choice(idle, before=EVER), before=EVER, by="test", now=LATER)
        assert len(next(portions).deeds.processes) == 2
        portions.close()
        assert verify(idle)[1] == []
        assert answers(idle) == before
        assert prune(idle, before=EVER, now=LATER).processes == 17
        assert len(idle.prunings()) == 10
        assert answers(idle) == before

    def test_who_has_moved_on_meanwhile_stays(self, log: EventLog) -> None:
        written(log, [a_sync(INITIAL, 1, "failed"), a_sync(INITIAL, 2, created=1)])
        choice = Choice(log, before=EVER)
        assert [one.id for one in choice.processes] == ["p0"]
        resumed = e.SyncResumed(by="test", why="", to="FETCHING")
        commit(log, log.load("p0"), "p0", (resumed,), at=LATER)
        assert list(in_portions(log, choice, before=EVER, by="test")) == []
        assert log.ids() == ["p0", "p1"]
        assert verify(log)[1] == []

    def test_the_last_event_of_all_stays(self, log: EventLog) -> None:
        written(log, [a_sync(INITIAL, 1, "failed"), a_sync(INITIAL, 2)])
        resumed = e.SyncResumed(by="test", why="", to="FETCHING")
        commit(log, commit(log, log.load("p0"), "p0", (resumed,), at=EPOCH), "p0", (CANCELLED,), at=EPOCH)
        last = log.last_position()
        assert prune(log, before=EVER, now=LATER).processes == 0
        assert (log.last_position(), verify(log)[1]) == (last, [])

    def test_failed_ones_stay_if_that_is_wanted(self, log: EventLog) -> None:
        written(log, [a_sync(INITIAL, 1, "failed"), a_sync(INITIAL, 2), *turns(2)])
        assert prune(log, before=EVER, keep_failed=True, now=LATER).processes == 1
        assert log.ids() == ["p0", "p1", "p3"]
        assert prune(log, before=EVER, now=LATER).processes == 1

    def test_what_would_be_gone_on_with_stays(self, log: EventLog) -> None:
        written(log, [a_sync(INITIAL, 1, created=2), *turns(3), a_sync(ONGOING, 90, "failed")])
        prune(log, before=EVER, now=LATER)
        assert log.ids() == ["p0", "p3", "p4"]

    def test_a_reject_that_is_open_keeps_its_process(self, log: EventLog) -> None:
        rejected(log, "a", "r1", "r2")
        rejected(log, "b", "r2")
        written(log, [a_sync(INITIAL, 50), a_sync(INITIAL, 60)])
        assert prune(log, before=EVER, now=LATER).processes == 1  # p0
        assert open_ids(rejects_of(log, log.load("a"))) == ("r1", "r2")
        assert open_ids(rejects_of(log, log.load("b"))) == ("r2",)

    def test_a_reject_that_was_delivered_keeps_nobody(self, log: EventLog) -> None:
        rejected(log, "a", "r0")
        written(log, [a_sync(INITIAL, 50, created=1), *(a_sync(INITIAL, 60 + n) for n in range(2))])
        assert prune(log, before=EVER, now=LATER).processes == 3
        assert log.ids() == ["p2"]

    def test_who_delivered_a_reject_stays_for_as_long_as_that_does(self, log: EventLog) -> None:
        rejected(log, "a", "r0", at=EPOCH)
        written(log, [a_sync(INITIAL, 50, created=1), *(a_sync(INITIAL, 60 + n) for n in range(2))])
        rejected(log, "z", "r9")
        told = rejects_of(log, log.load("a"))
        child = replace(started("rejects", "people", "list", None), parent="a")
        commit(log, commit(log, None, "child", (child,), at=EPOCH), "child", (CANCELLED,), at=LATER)
        assert prune(log, before=EVER, now=LATER).processes == 1  # p1
        assert log.ids() == ["a", "p0", "p2", "z", "child"]
        assert rejects_of(log, log.load("a")) == told

    def test_the_parent_of_who_stays_stays(self, log: EventLog) -> None:
        written(log, [a_sync(INITIAL, 1), *turns(3)])
        sweep = replace(started(*ONGOING), parent="p2")
        commit(log, commit(log, None, "sweep", (sweep,), at=EPOCH), "sweep", (FAILED,), at=LATER)
        prune(log, before=EVER, now=LATER)
        assert log.ids() == ["p0", "p2", "p3", "sweep"]

    def test_who_took_a_notice_stays_until_the_inbox_is_cleared(self, log: EventLog) -> None:
        notice = Notice(source="attio", object="people", key="k", record_ids=("r1",), received_at=EPOCH)
        log.receive(notice)
        waiting = log.waiting("attio", "people")
        written(log, [a_sync(INITIAL, 1)])
        process = commit(
            log, None, "w1", (started("webhook", "people", "list", None),), at=EPOCH, notices=waiting.notices
        )
        commit(log, process, "w1", (CANCELLED,), at=EPOCH)
        written(log, [a_sync(("webhook", "people", "list", None), 30), *turns(2)], prefix="q")
        prune(log, before=EVER, now=LATER)
        assert "w1" in log.ids()
        assert not log.receive(notice)
        assert log.waiting("attio", "people") == waiting

    def test_what_proves_who_is_not_missing_stays(self, log: EventLog) -> None:
        deleting = replace(started(*INITIAL), deletes_missing=True)
        commit(log, commit(log, None, "first", (deleting,), at=EPOCH), "first", (FAILED,), at=EPOCH)
        written(log, [a_sync(("webhook", "people", "list", None), 9 + n, created=2) for n in range(3)])
        crm = Crm(TestClock())
        crm.name, crm.object = "attio", "people"
        assert prune(log, before=EVER, now=LATER).processes == 0
        seen = ids_seen_since(log, crm, log.load("first"))
        assert (seen.record_ids, seen.doubt) == ({"r0", "r1"}, "")

    def test_where_the_proof_was_pruned_it_is_doubted(self, log: EventLog) -> None:
        deleting = replace(started(*INITIAL), deletes_missing=True)
        commit(log, commit(log, None, "old", (deleting,), at=EPOCH), "old", (FAILED,), at=EPOCH)
        written(log, [a_sync(("webhook", "people", "list", None), 9 + n, created=2) for n in range(3)])
        written(log, [a_sync(INITIAL, 50, created=1)], prefix="q")
        assert prune(log, before=EVER, keep_failed=True, now=LATER).processes == 2
        crm = Crm(TestClock())
        crm.name, crm.object = "attio", "people"
        assert "was pruned" in ids_seen_since(log, crm, log.load("old")).doubt

    def test_a_sync_of_all_records_that_is_done_late_counts_what_was_pruned(self, log: EventLog) -> None:
        syncs = [a_sync(INITIAL, 1, "failed", created=5), a_sync(INITIAL, 2, "cancelled")]
        with open_log(":memory:") as whole:
            for each in (log, whole):
                written(each, [*syncs, *(a_sync(ONGOING, 10 + n, created=n) for n in range(5))])
            assert prune(log, before=EVER, keep_failed=True, now=LATER).processes == 4
            for each in (log, whole):
                process = each.load("p0")
                resumed = e.SyncResumed(by="test", why="", to="FETCHING")
                process = commit(each, process, "p0", (resumed,), at=LATER)
                done = e.SyncCompleted(totals=process.progress.totals, watermark=EPOCH, digest="")
                commit(each, process, "p0", (done,), at=LATER)
            assert log.items_left_by_syncs("attio", "people", "list") == 15
            assert whole.items_left_by_syncs("attio", "people", "list") == 15
        assert verify(log)[1] == []

    def test_a_pruning_does_not_mix_what_came_before_a_sync_of_all_records_and_after(
        self, log: EventLog
    ) -> None:
        ongoing = (a_sync(ONGOING, 10 + count, created=count) for count in (1, 2, 4, 8, 16))
        first, second, *rest = ongoing
        written(log, [a_sync(INITIAL, 1, created=9), first, second, a_sync(INITIAL, 5, "failed"), *rest])
        assert prune(log, before=EVER, keep_failed=True, now=LATER).processes == 4
        resumed = e.SyncResumed(by="test", why="", to="FETCHING")
        process = commit(log, log.load("p3"), "p3", (resumed,), at=LATER)
        done = e.SyncCompleted(totals=process.progress.totals, watermark=EPOCH, digest="")
        commit(log, process, "p3", (done,), at=LATER)
        assert log.items_left_by_syncs("attio", "people", "list") == 4 + 8 + 16
        assert verify(log)[1] == []

    def test_an_export_of_what_is_left_is_imported_as_it_is(self, idle: EventLog, log: EventLog) -> None:
        prune(idle, before=EVER, now=LATER)
        lines = lines_of(idle)
        with open_log(":memory:") as copy:
            import_lines(copy, lines)
            assert answers(copy) == answers(idle)
            assert copy.prunings() == idle.prunings()
            assert verify(copy) == (10, [])
            assert import_lines(copy, lines).events == 0
            written(copy, turns(2, 200), prefix="q")
            assert verify(copy)[1] == []
        with open_log(":memory:") as other:
            written(other, [a_sync(INITIAL, 1)], prefix="other")
            with pytest.raises(LogError, match="import it into a new one"):
                import_lines(other, lines)

    def test_a_log_takes_the_export_of_a_pruned_one(self, log: EventLog) -> None:
        with open_log(":memory:") as pruned:
            written(pruned, [a_sync(INITIAL, 1, created=3), *turns(20)])
            prune(pruned, before=EVER, now=LATER)
            import_lines(log, lines_of(pruned))
            assert answers(log) == answers(pruned)
        assert verify(log) == (10, [])
        written(log, turns(3, 200), prefix="q")
        assert verify(log)[1] == []

    def test_a_redacted_export_says_nobodys_name_and_is_imported(self, idle: EventLog) -> None:
        prune(idle, before=EVER, now=LATER)
        lines = lines_of(idle, Redaction(b"k" * 32))
        assert b"p3" not in b"".join(lines)
        with open_log(":memory:") as copy:
            assert import_lines(copy, lines).redacted
            assert verify(copy) == (10, [])

    def test_what_goes_is_exported_first(self, idle: EventLog, tmp_path: Path) -> None:
        whole = [row.digest for row in idle.stored_events()]
        file = tmp_path / "archive.jsonl"
        prune(idle, before=EVER, to=file, now=LATER)
        left = {row.digest for row in idle.stored_events()}
        with open_log(":memory:") as copy:
            import_lines(copy, file.read_bytes().splitlines())
            assert [row.digest for row in copy.stored_events()] == [one for one in whole if one not in left]
            assert verify(copy)[1] == []
        with pytest.raises(ProcessNotFound, match=r"exported to archive\.jsonl first"):
            idle.load("p3")
        with pytest.raises(LogError, match="was pruned from this log"):
            import_lines(idle, file.read_bytes().splitlines())

    def test_nothing_goes_that_could_not_be_written_elsewhere(self, idle: EventLog, tmp_path: Path) -> None:
        file = tmp_path / "archive.jsonl"
        file.touch()
        for to in (file, tmp_path / "nowhere" / "archive.jsonl"):
            with pytest.raises(ConfigurationError):
                prune(idle, before=EVER, to=to, now=LATER)
        assert len(idle.ids()) == 21

    def test_who_follows_the_log_sees_what_comes_and_not_all_of_it_anew(self, idle: EventLog) -> None:
        follower = Follower()
        follower.begin(idle)
        written(idle, [a_sync(INITIAL, 100)], prefix="again")
        follower.news(idle)
        prune(idle, before=EVER, now=LATER)
        assert "p0" not in idle.ids()
        written(idle, turns(1, 200), prefix="q")
        assert {recorded.stream for recorded in follower.news(idle)} == {"q0"}
        assert follower.anew == 0

"""What each event leaves behind in the state of a process."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.place import Frontier, FrontierMark, Paging, Reject
from syncfsm.core.process import Process, apply
from syncfsm.core.state import FailureReason, Progress, Retry
from syncfsm.errors import InvalidTransition
from tests.pure import EPOCH, PureSync, people, slice_of

LATER = EPOCH + timedelta(minutes=5)
STARTED = e.SyncStarted(
    source="attio",
    object="people",
    sink="jsonl",
    mode="initial",
    page_size=20,
    order="oldest",
    options=Options(attempts_max=3),
    parent="p0",
)
FAILED = e.SyncFailed(action="deliver", reason="unwritable", error="disk full.", resumable=True, cursor=3)
WAIT = e.RetryScheduled(
    action="fetch",
    cause="rate_limited",
    error="slow down.",
    attempt=2,
    wait_s=7.5,
    retry_at=LATER,
    cursor=3,
)


def after(turns: int) -> Process:
    """Seven people at three a page: after the checks, the first fetch, the first delivery, and so on."""
    sync = PureSync(slice_of(people(7)), page_size=3)
    for _ in range(turns):
        assert sync.turn()
    return sync.process


def then(process: Process, *events: e.Event) -> Process:
    for event in events:
        record = e.Recorded(stream="p1", version=process.version + 1, at=LATER, event=event)
        process = apply(process, record)
    return process


def page(**changes: object) -> e.PageFetched:
    fetched = after(4).pending
    assert fetched is not None
    return replace(fetched, **changes)


def delivered(
    *, created: int = 0, updated: int = 0, unchanged: int = 0, rejected: int = 0
) -> e.PageDelivered:
    return e.PageDelivered(
        cursor=3, created=created, updated=updated, unchanged=unchanged, rejected=rejected, elapsed_ms=1
    )


def test_what_a_sink_left_out_adds_up_by_its_words() -> None:
    process = after(4)
    assert process.progress.left_out == {}
    for left_out in ({"phones": 2}, {}, {"phones": 1, "people": 4}, {"people": 1}):
        process = then(process, page(), replace(delivered(), left_out=left_out))
    assert process.progress.left_out == {"people": 5, "phones": 3}


def test_a_start_leaves_what_was_asked_for() -> None:
    assert apply(None, e.Recorded(stream="p1", version=1, at=EPOCH, event=STARTED)) == Process(
        id="p1",
        version=1,
        state=State.INITIALIZING,
        source="attio",
        object="people",
        sink="jsonl",
        mode="initial",
        page_size=20,
        order="oldest",
        options=Options(attempts_max=3),
        parent="p0",
        record_ids=(),
        started_at=EPOCH,
        updated_at=EPOCH,
    )


def test_every_event_moves_the_version_and_the_time_of_the_last_change() -> None:
    process = after(1)
    cancelled = then(process, e.SyncCancelled(by="ada", why="enough"))
    assert cancelled == replace(process, version=process.version + 1, state=State.CANCELLED, updated_at=LATER)


def test_checks_in_order_leave_what_they_found_and_end_the_retries() -> None:
    process = then(after(0), replace(WAIT, action="check"), e.FetchingBegan(found={"workspace": "acme"}))
    assert (process.state, process.found, process.retry) == (State.FETCHING, {"workspace": "acme"}, None)


def test_an_illegal_event_is_refused_with_all_that_would_be_legal() -> None:
    legal = "FetchingBegan, NothingNewFound, RetryScheduled, SyncCancelled, SyncFailed"
    with pytest.raises(
        InvalidTransition, match=rf"at version 1, which is INITIALIZING; legal here: {legal}$"
    ):
        then(after(0), delivered())


def test_the_watermark_is_the_instant_of_the_first_page() -> None:
    process = then(after(1), page(as_of=EPOCH), delivered(), page(as_of=LATER))
    assert process.watermark == EPOCH


def test_a_delivery_adds_to_the_totals_and_remembers_its_page() -> None:
    reject = Reject(record_id="r9", reason="no name")
    process = then(
        after(1), page(malformed=(reject,)), delivered(created=1, updated=1, unchanged=1, rejected=1)
    )
    process = then(process, page(cursor=6, ids_digest="f0"), delivered(created=1, updated=2))
    assert process.progress == Progress(
        pages=2,
        fetched=7,
        created=2,
        updated=3,
        unchanged=1,
        rejected=1,
        last_cursor=6,
        ids_digest="f0",
    )


def test_a_delivery_ends_the_retries_and_lets_go_of_the_page() -> None:
    process = then(after(1), page(), replace(WAIT, action="deliver"), delivered())
    assert (process.retry, process.pending) == (None, None)


def test_a_delivery_moves_the_paging_to_where_its_page_said() -> None:
    process = then(after(1), page(margin=2), delivered())
    assert process.paging == Paging(
        offset=6, frontier=Frontier(key="00002", ids=frozenset({"r00005"})), peek="r00006", margin=2
    )


def test_after_the_last_page_the_offset_stays_where_it_was() -> None:
    process = then(after(3), page(has_more=False, next_cursor=None), delivered())
    assert (process.paging.offset, process.paging.has_more) == (3, False)


def test_the_ids_of_a_frontier_add_up_only_while_its_key_stays_the_same() -> None:
    same = page(frontier=FrontierMark(key="k", ids=("a", "b")))
    more = page(frontier=FrontierMark(key="k", ids=("c",)))
    other = page(frontier=FrontierMark(key="j", ids=("d",)))
    process = then(after(1), same, delivered(), more, delivered(), page(frontier=None), delivered())
    assert process.paging.frontier == Frontier(key="k", ids=frozenset("abc"))
    assert then(process, other, delivered()).paging.frontier == Frontier(key="j", ids=frozenset("d"))


def test_rows_without_a_new_one_add_up_until_one_comes_or_a_malformed_one_is_behind_us() -> None:
    reject = Reject(record_id="", reason="has no record id")
    nothing = page(record_ids=(), malformed=(), count=40)
    process = then(after(1), nothing, delivered(), nothing, delivered())
    assert process.paging.stalled_rows == 80
    there = process.paging.offset
    behind = page(record_ids=(), malformed=(reject,), next_cursor=there + 1)
    for new in (page(), behind, page(malformed=(reject,), next_cursor=there)):
        assert then(process, new, delivered()).paging.stalled_rows == 0
    for stuck in (there, None):
        still = page(record_ids=(), malformed=(reject,), next_cursor=stuck, count=40)
        assert then(process, still, delivered()).paging.stalled_rows == 120


def test_retries_leave_the_last_one_and_their_sums() -> None:
    timeout = replace(WAIT, cause="timeout", error="no answer.", attempt=1, wait_s=0.5, retry_at=EPOCH)
    process = then(after(1), timeout, WAIT)
    assert process.retry == Retry(
        action="fetch", cause="rate_limited", error="slow down.", attempt=2, retry_at=LATER
    )
    assert process.progress == Progress(retries=2, rate_limited=1, waited_s=8.0)
    assert then(process, WAIT).progress == Progress(retries=3, rate_limited=2, waited_s=15.5)


def test_a_shift_goes_back_is_counted_and_lets_go_of_a_page_fetched_before_it() -> None:
    shifted = e.PagesShifted(cursor=3, offset=3, expected="r00003", found="r00005", step_back=3, elapsed_ms=1)
    process = then(after(4), shifted, replace(shifted, step_back=6))
    assert process.pending is None
    assert (process.paging.step_back, process.paging.step_backs, process.progress.shifts) == (6, 2, 2)
    assert process.paging.offset == 3


def test_a_failure_leaves_its_reason_and_whether_a_resume_can_help() -> None:
    process = then(after(1), FAILED)
    assert process.failure == FailureReason(
        action="deliver", reason="unwritable", error="disk full.", resumable=True
    )
    assert process.is_resumable
    assert not then(after(1), replace(FAILED, resumable=False)).is_resumable


def stuck() -> Process:
    """A sync that failed with a page in hand, after retries, steps back and rows that led nowhere."""
    process = then(after(4), WAIT, FAILED)
    return replace(
        process, paging=replace(process.paging, step_back=6, step_backs=2, stalled_rows=90, stalled_pages=7)
    )


@pytest.mark.parametrize("to", ["FETCHING", "INITIALIZING"])
def test_a_resume_forgets_the_troubles_and_nothing_else(to: e.ResumeTo) -> None:
    before = stuck()
    resumed = then(before, e.SyncResumed(by="ada", why="disk is larger", to=to))
    assert resumed == replace(
        before,
        version=before.version + 1,
        state=State(to),
        updated_at=LATER,
        failure=None,
        retry=None,
        pending=None,
        paging=replace(before.paging, step_back=0, step_backs=0, stalled_rows=0, stalled_pages=0),
        budget_from=before.progress,
    )
    assert resumed.progress.waited_s == 7.5


def test_a_resume_may_change_the_page_size() -> None:
    resumed = then(stuck(), e.SyncResumed(by="ada", why="smaller", to="FETCHING", page_size=2))
    assert resumed.page_size == 2


def test_a_process_shows_its_cursor_while_it_fetches_and_only_then() -> None:
    assert repr(after(0)) == "<Process p1 people INITIALIZING v1>"
    assert repr(after(3)) == "<Process p1 people FETCHING v4 cursor=3>"
    assert repr(then(after(3), FAILED)) == "<Process p1 people FAILED v5>"


def test_the_pace_is_people_over_the_time_from_first_event_to_last() -> None:
    process = replace(after(3), started_at=EPOCH, updated_at=EPOCH + timedelta(seconds=2))
    assert process.records_per_s == 1.5
    assert replace(process, updated_at=EPOCH).records_per_s == 0.0


def test_a_resume_keeps_the_limits_or_takes_those_it_is_given() -> None:
    failed = then(after(1), e.SyncFailed(action="fetch", reason="x", error="x", resumable=True, cursor=None))
    kept = then(failed, e.SyncResumed(by="ada", why="", to="FETCHING"))
    raised = Options(attempts_max=9)
    given = then(failed, e.SyncResumed(by="ada", why="", to="FETCHING", options=raised))
    assert (kept.options, given.options) == (failed.options, raised)


def test_a_start_leaves_since_when_records_are_asked_for_and_whether_the_missing_are_deleted() -> None:
    started = replace(STARTED, since=LATER, changed_by="updated_at", deletes_missing=True)
    process = apply(None, e.Recorded(stream="p1", version=1, at=EPOCH, event=started))
    assert (process.since, process.changed_by, process.deletes_missing) == (LATER, "updated_at", True)


def test_what_is_gone_counts_as_fetched_and_what_was_deleted_adds_up() -> None:
    gone = page(record_ids=("r1",), gone=("r2", "r3"))
    process = then(after(1), gone, replace(delivered(created=1), deleted=2))
    process = then(process, gone, replace(delivered(updated=1, unchanged=1), deleted=1))
    assert (process.progress.fetched, process.progress.deleted) == (6, 3)


def test_the_total_is_the_one_that_the_source_said_last() -> None:
    process = then(after(1), page(total=70), delivered(), page(total=None), delivered())
    assert process.progress.total == 70
    assert then(process, page(total=71)).progress.total == 71


def test_an_end_leaves_how_many_were_missing() -> None:
    process = after(7)
    assert process.paging.has_more is False
    completed = e.SyncCompleted(totals=process.progress.totals, watermark=EPOCH, digest="", missing=4)
    done = then(process, completed)
    assert done == replace(
        process,
        version=process.version + 1,
        state=State.COMPLETED,
        updated_at=LATER,
        progress=replace(process.progress, missing=4),
    )


def test_a_delivery_moves_to_the_cursor_that_its_page_led_to() -> None:
    process = then(by_cursor(), page(next_token="b"), delivered())
    assert process.paging.token == "b"
    assert then(process, page(next_token=None), delivered()).paging.token is None


def by_cursor() -> Process:
    process = after(1)
    return replace(process, options=replace(process.options, pagination="cursor"))


def test_pages_by_cursors_stall_until_one_has_a_record_or_a_row_with_a_place_in_the_order() -> None:
    reject = Reject(record_id="", reason="has no record id")
    nothing = page(record_ids=(), malformed=(reject,), frontier=None, count=40)
    process = then(by_cursor(), nothing, delivered(), nothing, delivered())
    assert (process.paging.stalled_pages, process.paging.stalled_rows) == (2, 80)
    mark = FrontierMark(key="k", ids=("a",))
    for new in (page(), page(record_ids=("a",), frontier=None), replace(nothing, frontier=mark)):
        assert then(process, new, delivered()).paging.stalled_pages == 0

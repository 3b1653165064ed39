"""The page rule, case by case; tests/property/test_moving_rows.py has the promise as a whole."""

from __future__ import annotations

import pytest

from syncfsm.core import events as e
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest
from tests.pure import PureSync, Row, listed_of, people, slice_of


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 99, 100, 101, 150, 4980])
def test_at_every_page_boundary_all_people_come_once_and_no_request_is_wasted(count: int) -> None:
    sync = PureSync(slice_of(people(count)), page_size=50)
    sync.run()
    assert sync.delivered == [row.id for row in people(count)]
    assert len(sync.requests) == max(1, -(-count // 50))


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (49, 1), (50, 2), (99, 3), (100, 3)])
def test_a_short_page_ends_the_plain_rule_and_an_exact_multiple_costs_one_request(
    count: int, requests: int
) -> None:
    sync = PureSync(slice_of(people(count)), page_size=50, options=Options(termination="short_page"))
    assert sync.run().state is State.COMPLETED
    assert sync.delivered == [row.id for row in people(count)]
    assert len(sync.requests) == requests
    assert {request.limit for request in sync.requests} == {50}


def test_a_silent_cap_does_not_pass_for_the_end_where_the_end_is_confirmed() -> None:
    rows = people(100)
    sync = PureSync(
        lambda request: rows[request.offset : request.offset + min(20, request.limit)],
        page_size=50,
        options=Options(confirm_end=True),
    )
    assert sync.run().state is State.COMPLETED
    assert sync.delivered == [row.id for row in rows]


def test_a_source_that_ignores_the_order_fails_the_sync_at_once_and_says_what_to_do() -> None:
    rows = list(reversed(people(10)))
    process = PureSync(slice_of(rows)).run()
    assert process.state is State.FAILED
    assert process.failure is not None
    assert (process.failure.reason, process.failure.resumable) == ("unordered", False)
    assert "Start anew with another order" in process.failure.error
    assert process.progress.fetched == 0


def test_rows_that_went_away_before_the_cursor_make_the_next_page_step_back() -> None:
    rows = people(30)

    def answer(request: PageRequest) -> list[Row]:
        if len(sync.requests) == 2:
            del rows[3:8]
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=10)
    process = sync.run()
    shifted = [record.event for record in sync.recorded if isinstance(record.event, e.PagesShifted)]
    assert [(event.offset, event.expected, event.step_back) for event in shifted] == [(10, "r00010", 10)]
    assert set(sync.delivered) == {row.id for row in people(30)}
    assert process.progress.shifts == 1


def test_the_margin_grows_to_twice_the_shift_and_shrinks_by_one_a_page() -> None:
    rows = people(200)

    def answer(request: PageRequest) -> list[Row]:
        if len(sync.requests) == 2:
            del rows[0:3]
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=20)
    sync.run()
    margins = [record.event.margin for record in sync.recorded if isinstance(record.event, e.PageFetched)]
    assert margins[:5] == [0, 6, 5, 4, 3]


def test_a_row_without_id_is_rejected_once_and_the_page_goes_on() -> None:
    rows = people(30)
    rows[4] = Row(id="", key="", problem="has no record id")
    sync = PureSync(slice_of(rows), page_size=10)
    process = sync.run()
    rejected = [record.event for record in sync.recorded if isinstance(record.event, e.RecordRejected)]
    assert [(event.record_id, event.reason) for event in rejected] == [("", "has no record id")]
    assert (process.progress.fetched, process.progress.rejected) == (30, 1)


def test_a_row_that_comes_twice_in_a_page_is_taken_once() -> None:
    rows = people(5)
    sync = PureSync(slice_of([rows[0], rows[1], rows[1], *rows[2:]]), page_size=10)
    sync.run()
    assert sync.delivered == [row.id for row in rows]


def test_a_margin_never_leaves_less_than_half_of_the_limit_for_new_rows() -> None:
    rows = people(400)

    def answer(request: PageRequest) -> list[Row]:
        del rows[:15]
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=20, options=Options(limit_max=21))
    assert sync.run().state is State.COMPLETED
    assert all(request.limit <= 21 for request in sync.requests)
    margins = [record.event.margin for record in sync.recorded if isinstance(record.event, e.PageFetched)]
    assert max(margins) == 10


def test_rows_that_move_faster_than_they_can_be_read_fail_the_sync_resumable() -> None:
    rows = people(1000)

    def answer(request: PageRequest) -> list[Row]:
        if request.offset:  # always a row that was never seen: the world is new at each look
            return [Row(id=f"new{len(sync.requests)}", key="00000")]
        return rows[: request.limit]

    sync = PureSync(answer, page_size=10, options=Options(step_backs_max=0))
    process = sync.run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("step_backs_max", True)


def test_an_empty_page_where_rows_were_promised_is_a_shift_and_not_the_end() -> None:
    rows = people(30)

    def answer(request: PageRequest) -> list[Row]:
        if len(sync.requests) == 2:
            del rows[:25]
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=10)
    sync.run()
    assert set(sync.delivered) >= {row.id for row in rows}


def test_a_failed_request_is_asked_again_with_the_same_offset() -> None:
    rows = people(30)

    def answer(request: PageRequest) -> list[Row] | Failure:
        if len(sync.requests) == 2:
            return Failure(kind=FailureKind.TIMEOUT, message="no answer")
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=10)
    sync.run()
    assert [request.offset for request in sync.requests] == [0, 10, 10, 20]


def listed(rows: list[Row], *record_ids: str, page_size: int = 2) -> PureSync:
    return PureSync(listed_of(rows), page_size=page_size, order="id", record_ids=record_ids)


def test_listed_records_are_asked_for_a_page_of_the_list_at_a_time_and_it_ends_with_the_list() -> None:
    sync = listed(people(9), "r00007", "r00001", "r00004", "r00002", "r00008")
    assert sync.run().state is State.COMPLETED
    assert sync.delivered == ["r00007", "r00001", "r00004", "r00002", "r00008"]
    assert [(request.offset, request.limit, request.record_ids) for request in sync.requests] == [
        (0, 2, ("r00007", "r00001")),
        (2, 2, ("r00004", "r00002")),
        (4, 1, ("r00008",)),
    ]


def test_a_list_that_fills_its_pages_costs_no_request_beyond_them() -> None:
    sync = listed(people(9), "r00001", "r00002", "r00003", "r00004")
    assert sync.run().state is State.COMPLETED
    assert len(sync.requests) == 2


def test_a_listed_record_that_does_not_come_is_rejected_and_said_to_be_gone() -> None:
    sync = listed(people(3), "r00001", "r7", "r8", "r9")
    process = sync.run()
    rejects = [record.event for record in sync.recorded if isinstance(record.event, e.RecordRejected)]
    assert [reject.record_id for reject in rejects] == ["r7", "r8", "r9"]
    assert {reject.reason for reject in rejects} == {"the source has no such record any more"}
    assert (process.state, process.progress.fetched, process.progress.rejected) == (State.COMPLETED, 4, 3)


def test_a_listed_record_with_a_problem_is_rejected_with_it() -> None:
    sync = listed([Row(id="r1", key="1", problem="its id is odd"), Row(id="r2", key="2")], "r1", "r2")
    sync.run()
    (reject,) = [record.event for record in sync.recorded if isinstance(record.event, e.RecordRejected)]
    assert (reject.record_id, reject.reason) == ("r1", "its id is odd")
    assert sync.delivered == ["r2"]


def test_a_retry_moves_no_watermark() -> None:
    sync = listed(people(3), "r00001")
    process = sync.run()
    completed = sync.recorded[-1].event
    assert isinstance(completed, e.SyncCompleted)
    assert (process.watermark, completed.watermark) == (None, None)


def test_a_source_that_answers_with_other_records_than_those_listed_fails_the_retry() -> None:
    rows = people(3)
    process = PureSync(slice_of(rows), page_size=2, order="id", record_ids=("r00001",)).run()
    assert process.failure is not None
    assert (process.failure.reason, process.failure.resumable) == ("unasked", False)
    assert "returned r00000, though only other records were asked for" in process.failure.error


def test_a_source_that_ignores_the_offset_fails_the_sync_instead_of_asking_for_ever() -> None:
    rows = people(100)
    options = Options(stalled_rows_max=500)
    sync = PureSync(lambda request: rows[: request.limit], page_size=10, options=options)
    process = sync.run()
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("stalled_rows_max", True)
    assert len(sync.requests) < 60

"""What comes next, and which events an outcome makes: every field of them, since a replay reads them all."""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2b

import pytest
from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.outcomes import add_to_digest
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import FrontierMark, Reject, ToldGone
from syncfsm.core.process import Process
from syncfsm.core.state import Missing, Progress, Retry
from syncfsm.core.totals import Totals
from tests.pure import EPOCH, PureSync, Row, people, slice_of

RETRY_AT = EPOCH + timedelta(hours=1)
RETRY = Retry(action="fetch", cause="timeout", error="no answer.", attempt=3, retry_at=RETRY_AT)


def after(turns: int, *, count: int = 7, page_size: int = 3) -> Process:
    """A sync of a few people after its checks, after its first fetch, its first delivery, and so on."""
    sync = PureSync(slice_of(people(count)), page_size=page_size)
    for _ in range(turns):
        assert sync.turn()
    return sync.process


def fetched(process: Process, rows: list[Row], *, offset: int, limit: int = 4) -> d.Fetched:
    request = PageRequest(cursor=process.paging.cursor, offset=offset, limit=limit, order="newest")
    return d.Fetched(request=request, rows=rows, as_of=EPOCH, elapsed_ms=120)


@pytest.mark.parametrize(
    ("turns", "action"), [(0, d.CheckSetup), (1, d.FetchPage), (2, d.DeliverPage), (3, d.FinishSync)]
)
def test_every_action_waits_for_the_retry_that_is_scheduled_and_for_nothing_else(
    turns: int, action: type[d.Action]
) -> None:
    process = after(turns, count=3)
    for retry, not_before in ((None, None), (RETRY, RETRY_AT)):
        waiting = d.next_action(replace(process, retry=retry))
        assert isinstance(waiting, action)
        assert waiting.not_before == not_before


def test_checks_in_order_begin_the_fetching_and_say_what_they_found() -> None:
    found = {"workspace": "acme"}
    assert d.decide(after(0), d.Checked(found=found)) == (e.FetchingBegan(found=found),)


def test_a_delivery_knows_its_records_and_how_to_get_them_again() -> None:
    assert d.next_action(after(4)) == d.DeliverPage(
        record_ids=("r00003", "r00004", "r00005"),
        refetch=PageRequest(cursor=3, offset=3, limit=4, order="newest"),
        not_before=None,
    )


def test_a_page_is_written_down_whole() -> None:
    process = after(3)
    rows = [*people(7)[2:5], Row(id="bad", key="", problem="has no sort key")]
    assert d.decide(process, fetched(process, rows, offset=2)) == (
        e.PageFetched(
            cursor=3,
            offset=2,
            limit=4,
            count=4,
            record_ids=("r00003", "r00004"),
            malformed=(Reject(record_id="bad", reason="has no sort key"),),
            frontier=FrontierMark(key="00003", ids=("r00004",)),
            peek=None,
            has_more=True,
            next_cursor=6,
            margin=0,
            shift=0,
            as_of=EPOCH,
            ids_digest=add_to_digest("", [row.id for row in people(5)]),
            elapsed_ms=120,
        ),
    )


def test_the_digest_of_ids_is_the_sum_of_their_hashes_in_32_hex_digits() -> None:
    hashes = [int(blake2b(name, digest_size=16).hexdigest(), 16) for name in (b"a", b"b")]
    assert add_to_digest("", ["a", "b"]) == f"{sum(hashes) % 2**128:032x}"
    assert add_to_digest("", ["a"]) == "27c35e6e9373877f29e562464e46497e"


def test_the_digest_of_ids_minds_neither_order_nor_pages() -> None:
    names = [row.id for row in people(20)]
    whole = add_to_digest("", names)
    assert add_to_digest(add_to_digest("", names[12:]), names[:12]) == whole
    assert add_to_digest("", names[1:]) != whole


def test_the_digest_of_ids_stays_as_long_as_it_is_when_it_overflows() -> None:
    start = add_to_digest("", ["a"])
    assert add_to_digest("f" * 32, ["a"]) == f"{int(start, 16) - 1:032x}"


@pytest.mark.parametrize(("stalled_rows", "fails"), [(500, False), (501, True)])
def test_a_page_past_the_limit_of_stalled_rows_fails_the_sync(stalled_rows: int, *, fails: bool) -> None:
    process = after(3)
    process = replace(
        process,
        paging=replace(process.paging, stalled_rows=stalled_rows),
        options=Options(stalled_rows_max=500),
    )
    (event,) = d.decide(process, fetched(process, people(7)[:3], offset=0))
    assert isinstance(event, e.SyncFailed) is fails
    if fails:
        assert event == e.SyncFailed(
            action="fetch",
            reason="stalled_rows_max",
            error="501 rows came without a new one: model does not page by offset, or its rows move faster "
            "than they can be read; going on when it is calmer may help. The limit stalled_rows_max is 500: "
            "to raise stalled_rows_max, run again with --set stalled_rows_max=1000.",
            resumable=True,
            cursor=3,
        )


def test_a_page_that_is_not_anchored_is_written_down_as_a_shift() -> None:
    process = after(3)
    assert d.decide(process, fetched(process, people(7)[5:], offset=3)) == (
        e.PagesShifted(cursor=3, offset=3, expected="r00003", found="r00005", step_back=3, elapsed_ms=120),
    )


@pytest.mark.parametrize(("step_backs", "fails"), [(4, False), (5, True)])
def test_as_many_steps_back_as_the_limit_allows_and_no_more(step_backs: int, *, fails: bool) -> None:
    process = after(3)
    process = replace(
        process,
        paging=replace(process.paging, step_backs=step_backs),
        options=Options(step_backs_max=5),
    )
    (event,) = d.decide(process, fetched(process, people(7)[5:], offset=3))
    assert isinstance(event, e.SyncFailed) is fails
    if fails:
        assert event == e.SyncFailed(
            action="fetch",
            reason="step_backs_max",
            error="5 steps back did not find a row that was seen before: model does not page by offset, "
            "or its rows move faster than they can be read; going on when it is calmer may help. The limit "
            "step_backs_max is 5: to raise step_backs_max, run again with --set step_backs_max=10.",
            resumable=True,
            cursor=3,
        )


def test_rows_in_the_wrong_order_end_the_sync_for_good_and_are_named() -> None:
    process = after(3)
    rows = people(7)
    assert d.decide(process, fetched(process, [rows[3], rows[5], rows[4]], offset=3)) == (
        e.SyncFailed(
            action="fetch",
            reason="unordered",
            error="model returned r00005 before r00004, which is not the order asked for (newest); going on "
            "could lose records. Start anew with another order, for instance 'id'.",
            resumable=False,
            cursor=3,
        ),
    )


def test_the_end_carries_the_totals_the_digest_and_where_a_next_sync_takes_up() -> None:
    process = after(7)
    totals = Totals(pages=3, fetched=7, created=7, updated=0, unchanged=0, rejected=0)
    digest = add_to_digest("", [row.id for row in people(7)])
    assert process.watermark is not None
    assert d.decide(process, d.Finished()) == (
        e.SyncCompleted(totals=totals, watermark=process.watermark, digest=digest),
    )


def test_nothing_can_be_delivered_that_was_not_fetched_and_nothing_ends_before_its_first_page() -> None:
    delivered = d.Delivered(created=0, updated=0, unchanged=0, rejects=(), elapsed_ms=1)
    with pytest.raises(AssertionError, match=r"^only a page that was fetched can be delivered$"):
        d.decide(after(1), delivered)
    with pytest.raises(AssertionError, match=r"^a page was fetched before the end$"):
        d.decide(after(1), d.Finished())


REJECT = Reject(record_id="r1", reason="no name")


def delivery(rejects: int) -> d.Delivered:
    return d.Delivered(created=1, updated=2, unchanged=3, rejects=(REJECT,) * rejects, elapsed_ms=40)


def with_rejects(*, before: int, fetched_before: int, page: int, malformed: int = 0) -> Process:
    """A process about to deliver a page of so many rows, after so many others since it was resumed."""
    process = after(4)
    assert process.pending is not None
    ids = tuple(f"x{number}" for number in range(page - malformed))
    return replace(
        process,
        pending=replace(process.pending, record_ids=ids, malformed=(REJECT,) * malformed),
        progress=Progress(fetched=1000 + fetched_before, rejected=100 + before),
        budget_from=Progress(fetched=1000, rejected=100),
        options=Options(reject_min=2, reject_ratio_max=0.25),
    )


def overrun(process: Process, rejects: int) -> e.SyncFailed | None:
    last = d.decide(process, delivery(rejects))[-1]
    return last if isinstance(last, e.SyncFailed) else None


def test_a_delivery_names_each_reject_the_malformed_first_and_then_counts() -> None:
    process = with_rejects(before=0, fetched_before=100, page=3, malformed=1)
    assert d.decide(process, delivery(1)) == (
        e.RecordRejected(record_id="r1", reason="no name", cursor=3),
        e.RecordRejected(record_id="r1", reason="no name", cursor=3),
        e.PageDelivered(cursor=3, created=1, updated=2, unchanged=3, rejected=2, elapsed_ms=40),
    )


def test_what_the_sink_left_out_is_in_the_delivery() -> None:
    process = with_rejects(before=0, fetched_before=100, page=3)
    (delivered,) = d.decide(process, replace(delivery(0), left_out={"phones": 2}))
    assert isinstance(delivered, e.PageDelivered)
    assert delivered.left_out == {"phones": 2}


def test_rejects_past_the_error_budget_end_the_sync_and_say_how_many_of_how_many() -> None:
    process = with_rejects(before=9, fetched_before=32, page=8)
    assert overrun(process, 2) == e.SyncFailed(
        action="deliver",
        reason="reject_ratio_max",
        error="11 of 40 records were rejected, more than 0.25 of them and more than 2. `syncfsm log rejects` "
        "names them and says why: mend that, then go on. The limit reject_ratio_max is 0.25: to raise "
        "reject_ratio_max, run again with --set reject_ratio_max=0.5.",
        resumable=True,
        cursor=3,
    )


def test_the_error_budget_may_be_spent_to_the_last_reject() -> None:
    process = with_rejects(before=9, fetched_before=32, page=8)
    assert overrun(process, 1) is None
    assert overrun(with_rejects(before=9, fetched_before=31, page=8), 1) is not None


def test_malformed_rows_count_as_fetched_and_as_rejected() -> None:
    assert overrun(with_rejects(before=9, fetched_before=32, page=8, malformed=1), 0) is None
    assert overrun(with_rejects(before=9, fetched_before=32, page=8, malformed=1), 1) is not None


def test_a_few_rejects_are_always_allowed() -> None:
    assert overrun(with_rejects(before=0, fetched_before=0, page=2), 2) is None
    assert overrun(with_rejects(before=0, fetched_before=0, page=3), 3) is not None


def test_a_page_without_a_reject_does_not_end_the_sync_and_a_single_reject_can() -> None:
    process = with_rejects(before=40, fetched_before=32, page=8)
    assert overrun(process, 0) is None
    assert overrun(process, 1) is not None


def test_an_error_budget_is_raised_to_the_whole_percent_that_would_have_been_enough() -> None:
    event = overrun(with_rejects(before=20, fetched_before=32, page=8), 10)
    assert event is not None
    assert "--set reject_ratio_max=0.75" in event.error
    event = overrun(with_rejects(before=25, fetched_before=37, page=4), 0 + 1)
    assert event is not None
    assert "--set reject_ratio_max=0.64" in event.error


def test_a_page_by_a_cursor_is_written_down_with_both_cursors_and_the_total() -> None:
    process = after(3)
    process = replace(process, options=Options(pagination="cursor"))
    request = PageRequest(cursor=3, offset=3, limit=3, order="newest", token="a")
    outcome = d.Fetched(
        request=request, rows=people(7)[3:6], as_of=EPOCH, elapsed_ms=120, total=7, next_token="b"
    )
    (event,) = d.decide(process, outcome)
    assert isinstance(event, e.PageFetched)
    assert (event.token, event.next_token, event.total) == ("a", "b", 7)


def webhook() -> Process:
    """A sync of two records that webhooks told of."""
    process = PureSync(slice_of([]), page_size=2, record_ids=("r1", "r2")).process
    return replace(process, state=State.FETCHING, mode="webhook")


def test_what_webhooks_told_of_and_is_gone_is_written_down_and_given_to_the_sink_to_delete() -> None:
    process = replace(webhook(), may_be_gone=(ToldGone(record_id="r1"),))
    action = d.next_action(process)
    assert isinstance(action, d.FetchPage)
    outcome = d.Fetched(request=action.request, rows=[Row("r2", "2")], as_of=EPOCH, elapsed_ms=1)
    (event,) = d.decide(process, outcome)
    assert isinstance(event, e.PageFetched)
    assert (event.record_ids, event.gone, event.malformed) == (("r2",), ("r1",), ())
    delivery = d.next_action(replace(process, pending=event))
    assert isinstance(delivery, d.DeliverPage)
    assert (delivery.record_ids, delivery.gone) == (("r2",), ("r1",))


def test_a_delivery_is_written_down_with_what_was_left_out_and_deleted() -> None:
    outcome = d.Delivered(
        created=1, updated=0, unchanged=0, rejects=(), elapsed_ms=5, left_out={"phones": 2}, deleted=2
    )
    (event,) = d.decide(after(4), outcome)
    assert isinstance(event, e.PageDelivered)
    assert (event.left_out, event.deleted) == ({"phones": 2}, 2)


def test_an_end_says_how_many_were_missing_and_why_none_was_deleted() -> None:
    (event,) = d.decide(after(7), d.Finished(missing=4, kept="a row came without an id"))
    assert isinstance(event, e.SyncCompleted)
    assert (event.missing, event.kept) == (4, "a row came without an id")
    assert event.totals == after(7).progress.totals


@pytest.mark.parametrize("deletes_missing", [True, False])
def test_the_sink_deletes_the_missing_in_the_end_only_where_it_was_asked_to(*, deletes_missing: bool) -> None:
    process = replace(after(7), deletes_missing=deletes_missing)
    if deletes_missing:
        assert d.next_action(process) == d.FindMissing(after="", limit=3, not_before=None)
        process = replace(process, missing=Missing(known=9, is_over=True))
    assert d.next_action(process) == d.FinishSync(not_before=None, deletes_missing=deletes_missing)

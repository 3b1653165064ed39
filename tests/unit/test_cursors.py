"""Pages that name the next one: what is asked for, what is taken, what is refused."""

from __future__ import annotations

from syncfsm.core.paging.cursors import accept_by_cursor, plan_by_cursor
from syncfsm.core.paging.offsets import plan
from syncfsm.core.paging.pages import PageRequest, PageRule, Taken, Unsafe
from syncfsm.core.paging.place import Frontier, FrontierMark, Paging, Reject
from tests.pure import EPOCH, Row

RULE = PageRule(
    page_size=3,
    order="id",
    limit_max=100,
    confirm_end=False,
    since=EPOCH,
    changed_by="updated_at",
    pagination="cursor",
)
PAGING = Paging(offset=7, frontier=Frontier(key="c", ids=frozenset({"r3"})), token="after-r3")
ASKED = PageRequest(
    cursor=7, offset=7, limit=3, order="id", since=EPOCH, changed_by="updated_at", token="after-r3"
)
NAMELESS = Row(id="", key="", problem="has no id")
D, E = Row("r4", "d"), Row("r5", "e")


def taken(*rows: Row, next_token: str | None = "next") -> Taken:
    verdict = accept_by_cursor(PAGING, ASKED, rows, RULE, next_token)
    assert isinstance(verdict, Taken)
    return verdict


def test_a_page_is_asked_for_by_its_cursor_with_all_that_the_sync_asks_for() -> None:
    assert plan_by_cursor(PAGING, RULE) == ASKED
    assert plan(PAGING, RULE) == ASKED


def test_the_first_page_has_no_cursor_yet() -> None:
    first = plan_by_cursor(Paging(), RULE)
    assert (first.cursor, first.offset, first.token, first.limit) == (None, 0, None, 3)


def test_all_new_rows_are_taken_and_the_place_moves_by_as_many() -> None:
    seen = Row("r3", "c")
    assert taken(seen, D, NAMELESS, E) == Taken(
        record_ids=("r4", "r5"),
        malformed=(Reject(record_id="", reason="has no id"),),
        frontier=FrontierMark(key="e", ids=("r5",)),
        peek=None,
        has_more=True,
        next_cursor=10,
        margin=0,
        shift=0,
        next_token="next",
    )


def test_a_page_without_a_next_cursor_is_the_last_however_full_it_is() -> None:
    last = taken(D, E, Row("r6", "f"), next_token=None)
    assert (last.has_more, last.next_cursor, last.next_token) == (False, None, None)
    assert last.record_ids == ("r4", "r5", "r6")


def test_an_empty_page_leads_on_and_stays_where_it_is() -> None:
    empty = taken()
    assert (empty.record_ids, empty.frontier) == ((), None)
    assert (empty.has_more, empty.next_cursor) == (True, 7)


def test_the_cursor_that_was_asked_with_is_no_next_one() -> None:
    assert accept_by_cursor(PAGING, ASKED, [D], RULE, "after-r3") == Unsafe(
        reason="cursor_repeats", what="answered with the cursor that it was asked with"
    )


def test_a_row_from_before_the_frontier_is_refused_and_named() -> None:
    assert accept_by_cursor(PAGING, ASKED, [Row("r2", "b"), D], RULE, "next") == Unsafe(
        reason="unordered",
        what="returned r2 on a page behind those that it comes before: its pages are not in the order asked "
        "for (id), or its cursors lead back",
    )


def test_rows_in_another_order_than_asked_for_are_refused_on_the_first_page_too() -> None:
    verdict = accept_by_cursor(Paging(), ASKED, [E, D], RULE, None)
    assert isinstance(verdict, Unsafe)
    assert verdict.reason == "unordered"

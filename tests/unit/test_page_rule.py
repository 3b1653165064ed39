"""What is taken of one page, and where the next one begins; test_pagination.py has whole syncs."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncfsm.core.options import Options, Order
from syncfsm.core.paging.offsets import accept, plan
from syncfsm.core.paging.pages import PageRequest, PageRule, Shifted, Taken, Unsafe
from syncfsm.core.paging.place import Frontier, FrontierMark, Paging, Reject
from syncfsm.core.rule_of_process import rule_of
from tests.pure import EPOCH, PureSync, Row, slice_of

NO_ID = Row(id="", key="5", problem="has no record id")
NO_KEY = Row(id="n", key="", problem="has no sort key")
A, B, C, D, E = (Row(id=name, key=str(9 - place)) for place, name in enumerate("abcde"))


def rule(*, page_size: int = 3, order: Order = "newest", confirm_end: bool = False) -> PageRule:
    options = Options(confirm_end=confirm_end)
    return rule_of(PureSync(slice_of([]), page_size=page_size, order=order, options=options).process)


def ask(*, offset: int, limit: int = 4, cursor: int | None = None, order: Order = "newest") -> PageRequest:
    return PageRequest(cursor=cursor, offset=offset, limit=limit, order=order)


AFTER_C = Paging(offset=3, frontier=Frontier(key=C.key, ids=frozenset({"c"})))


def late(count: int) -> list[Row]:
    return [Row(id=f"l{place}", key=f"0{9 - place}") for place in range(count)]


def test_a_request_says_how_many_rows_from_where_in_which_order() -> None:
    request = plan(Paging(offset=40, peek="x", margin=5), rule(page_size=20, order="oldest"))
    assert request == PageRequest(cursor=40, offset=35, limit=26, order="oldest")


def test_a_full_page_is_taken_up_to_its_peek() -> None:
    assert accept(Paging(), ask(offset=0), [A, B, C, D], rule()) == Taken(
        record_ids=("a", "b", "c"),
        malformed=(),
        frontier=FrontierMark(key=C.key, ids=("c",)),
        peek="d",
        has_more=True,
        next_cursor=3,
        margin=0,
        shift=0,
    )


def test_rows_that_went_away_are_counted_and_widen_the_margin() -> None:
    taken = accept(AFTER_C, ask(offset=2, limit=5), [D, E], rule())
    assert taken == Shifted(expected=None, found="d", step_back=3)
    taken = accept(AFTER_C, ask(offset=0, limit=7), [B, C, D, E, *late(3)], rule())
    assert isinstance(taken, Taken)
    assert (taken.record_ids, taken.shift, taken.margin) == (("d", "e", "l0"), 1, 2)


def test_each_step_back_goes_twice_as_far_as_the_one_before_it() -> None:
    paging = Paging(offset=90, peek="x", step_back=20)
    assert accept(paging, ask(offset=70), [D, E], rule()) == Shifted(expected="x", found="d", step_back=40)


def test_an_empty_page_past_the_start_is_a_shift_that_found_nothing() -> None:
    paging = Paging(offset=90, peek="x")
    assert accept(paging, ask(offset=90), [], rule()) == Shifted(expected="x", found=None, step_back=3)


def test_two_rows_in_the_wrong_order_are_named() -> None:
    assert accept(Paging(), ask(offset=0), [A, C, B], rule()) == Unsafe(
        reason="unordered", what="returned c before b, which is not the order asked for (newest)"
    )


@pytest.mark.parametrize("bad", [NO_ID, NO_KEY])
def test_a_row_without_id_or_key_has_no_say_in_the_order(bad: Row) -> None:
    taken = accept(Paging(), ask(offset=0), [A, bad, B], rule())
    assert isinstance(taken, Taken)
    assert taken.record_ids == ("a", "b")
    assert taken.malformed == (Reject(record_id=bad.id, reason=bad.problem),)


@pytest.mark.parametrize("bad", [NO_ID, NO_KEY])
def test_a_row_without_id_or_key_cannot_be_the_frontier(bad: Row) -> None:
    taken = accept(Paging(), ask(offset=0), [A, B, bad], rule())
    assert isinstance(taken, Taken)
    assert taken.frontier == FrontierMark(key=B.key, ids=("b",))


@pytest.mark.parametrize("bad", [NO_ID, NO_KEY])
def test_a_row_without_id_or_key_is_taken_as_seen_only_if_a_seen_row_follows(bad: Row) -> None:
    again = accept(AFTER_C, ask(offset=0, limit=7), [A, B, bad, C, D], rule())
    assert isinstance(again, Taken)
    assert (again.record_ids, again.malformed) == (("d",), ())
    fresh = accept(AFTER_C, ask(offset=2, limit=5), [C, bad, D], rule())
    assert isinstance(fresh, Taken)
    assert len(fresh.malformed) == 1


def test_a_row_without_a_key_is_not_taken_as_seen_where_small_keys_come_first() -> None:
    paging = Paging(offset=1, frontier=Frontier(key="3", ids=frozenset({"x"})))
    rows = [Row(id="x", key="3"), NO_KEY, Row(id="y", key="4")]
    taken = accept(paging, ask(offset=0, order="oldest"), rows, rule(order="oldest"))
    assert isinstance(taken, Taken)
    assert [reject.record_id for reject in taken.malformed] == ["n"]


def test_each_row_without_an_id_is_rejected_for_itself() -> None:
    taken = accept(Paging(), ask(offset=0), [A, NO_ID, NO_ID], rule())
    assert isinstance(taken, Taken)
    assert len(taken.malformed) == 2


@pytest.mark.parametrize(
    ("rows", "has_more"),
    [
        ([C, D], True),  # a new row: the cap may have cut the rest
        ([B, C], True),  # nothing new, but a cap below the overlap may hide it
        ([C], False),  # the row before the cursor came alone: nothing follows it
    ],
)
def test_where_the_end_is_confirmed_only_a_lone_seen_row_is_the_end(rows: list[Row], has_more: bool) -> None:
    taken = accept(AFTER_C, ask(offset=1, limit=6), rows, rule(confirm_end=True))
    assert isinstance(taken, Taken)
    assert taken.has_more is has_more


def test_the_first_row_of_all_that_comes_alone_is_not_the_end_where_it_is_to_be_confirmed() -> None:
    taken = accept(Paging(), ask(offset=0), [A], rule(confirm_end=True))
    assert isinstance(taken, Taken)
    assert (taken.has_more, taken.next_cursor) == (True, 1)


def test_a_short_page_ends_the_margin_even_if_rows_went_away() -> None:
    taken = accept(AFTER_C, ask(offset=0, limit=7), [C, D], rule(confirm_end=True))
    assert isinstance(taken, Taken)
    assert (taken.shift, taken.margin) == (2, 0)


def test_a_full_page_keeps_its_margin_with_or_without_a_peek() -> None:
    full = accept(AFTER_C, ask(offset=0, limit=3), [C, D, E], rule())
    assert isinstance(full, Taken)
    assert (full.peek, full.shift, full.margin) == (None, 2, 3)
    short = accept(AFTER_C, ask(offset=0, limit=9), [C, D, E], rule(page_size=1))
    assert isinstance(short, Taken)
    assert (short.peek, short.shift, short.margin) == ("e", 2, 1)


def test_records_created_or_changed_since_then_are_asked_for_with_every_page() -> None:
    process = replace(PureSync(slice_of([])).process, since=EPOCH, changed_by="updated_at")
    request = plan(Paging(offset=40), rule_of(process))
    assert (request.since, request.changed_by) == (EPOCH, "updated_at")


def test_a_rule_pages_as_its_process_does_and_deletes_what_is_gone_only_for_webhooks() -> None:
    process = PureSync(slice_of([]), options=Options(pagination="page")).process
    assert (rule_of(process).pagination, rule_of(process).deletes_gone) == ("page", False)
    assert rule_of(replace(process, mode="webhook")).deletes_gone


@pytest.mark.parametrize(
    ("peek", "margin", "window"), [("x", 1, (4, 2)), ("x", 0, (4, 2)), (None, 0, (3, 1))]
)
def test_a_page_with_a_number_has_no_margin_where_it_would_then_end_before_the_next_row(
    peek: str | None, margin: int, window: tuple[int, int]
) -> None:
    """Of at most 2 rows a page, those at 3 and 4 are never on one; without a peek, 3 is needed."""
    numbered = replace(rule(page_size=1), pagination="page", limit_max=2)
    request = plan(Paging(offset=4, peek=peek, margin=margin), numbered)
    assert (request.offset, request.limit) == window

"""Pages of records asked for by their ids."""

from __future__ import annotations

from syncfsm.core.paging.by_id import GONE, NAMELESS, accept_listed, plan_listed
from syncfsm.core.paging.pages import PageRequest, PageRule, Taken, Unasked
from syncfsm.core.paging.place import Paging, Reject
from tests.pure import Row

IDS = ("a", "b", "c", "d", "e")


def rule(*, confirm_end: bool = False, deletes_gone: bool = False) -> PageRule:
    return PageRule(
        page_size=2,
        order="id",
        limit_max=500,
        confirm_end=confirm_end,
        record_ids=IDS,
        deletes_gone=deletes_gone,
    )


def ask(offset: int = 0) -> PageRequest:
    return plan_listed(Paging(offset=offset), rule())


def test_a_request_is_for_the_next_page_of_the_list() -> None:
    assert ask(2) == PageRequest(cursor=2, offset=2, limit=2, order="id", record_ids=("c", "d"))
    assert ask(4).record_ids == ("e",)


def test_a_source_that_may_cut_pages_is_asked_for_one_record_at_a_time() -> None:
    request = plan_listed(Paging(offset=2), rule(confirm_end=True))
    assert (request.record_ids, request.limit) == (("c",), 1)


def test_what_comes_is_taken_in_the_order_of_the_list_and_the_list_goes_on() -> None:
    taken = accept_listed(ask(), [Row("b", "b"), Row("a", "a")], rule())
    assert isinstance(taken, Taken)
    assert (taken.record_ids, taken.malformed) == (("a", "b"), ())
    assert (taken.has_more, taken.next_cursor, taken.peek, taken.frontier) == (True, 2, None, None)
    assert (taken.margin, taken.shift) == (0, 0)


def test_the_list_ends_where_it_ends() -> None:
    taken = accept_listed(ask(4), [Row("e", "e")], rule())
    assert isinstance(taken, Taken)
    assert (taken.record_ids, taken.has_more, taken.next_cursor) == (("e",), False, None)


def test_what_does_not_come_is_gone_and_what_has_a_problem_keeps_it() -> None:
    taken = accept_listed(ask(), [Row("b", "b", problem="no key")], rule())
    assert isinstance(taken, Taken)
    assert taken.record_ids == ()
    assert taken.malformed == (Reject(record_id="a", reason=GONE), Reject(record_id="b", reason="no key"))


def test_where_a_row_came_without_its_id_nobody_is_said_to_be_surely_gone() -> None:
    taken = accept_listed(ask(), [Row("b", "b"), Row("", "", problem="no id")], rule())
    assert isinstance(taken, Taken)
    assert taken.malformed == (Reject(record_id="a", reason=NAMELESS),)


def test_a_row_that_was_not_asked_for_shows_a_source_that_cannot_list() -> None:
    assert accept_listed(ask(), [Row("a", "a"), Row("z", "z")], rule()) == Unasked(found="z")


def test_where_the_sink_deletes_what_does_not_come_it_is_gone_and_no_reject() -> None:
    taken = accept_listed(ask(), [Row("b", "b")], rule(deletes_gone=True))
    assert isinstance(taken, Taken)
    assert (taken.record_ids, taken.gone, taken.malformed) == (("b",), ("a",), ())
    taken = accept_listed(ask(), [], rule(deletes_gone=True))
    assert isinstance(taken, Taken)
    assert (taken.gone, taken.malformed) == (("a", "b"), ())


def test_a_record_that_came_with_a_problem_is_not_gone() -> None:
    taken = accept_listed(ask(), [Row("b", "b", problem="no key")], rule(deletes_gone=True))
    assert isinstance(taken, Taken)
    assert (taken.gone, taken.malformed) == (("a",), (Reject(record_id="b", reason="no key"),))


def test_nothing_is_deleted_where_a_row_came_without_its_id() -> None:
    taken = accept_listed(ask(), [Row("", "", problem="no id")], rule(deletes_gone=True))
    assert isinstance(taken, Taken)
    assert taken.gone == ()
    assert taken.malformed == tuple(Reject(record_id=record_id, reason=NAMELESS) for record_id in ("a", "b"))

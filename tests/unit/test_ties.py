"""The page rule where rows that share a key come in another order at each request."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.offsets import accept, plan
from syncfsm.core.paging.pages import PageRequest, PageRule, Shifted, Taken, Unsafe
from syncfsm.core.paging.place import Frontier, FrontierMark, Paging
from syncfsm.core.rule_of_process import rule_of
from tests.pure import PureSync, Row, people, slice_of

SAYS = "returns the records of one sort key in another order each time, and "


def tied(names: str, key: str = "5") -> list[Row]:
    return [Row(id=name, key=key) for name in names]


def rule(*, page_size: int = 3, limit_max: int = 500, confirm_end: bool = False) -> PageRule:
    options = Options(limit_max=limit_max, confirm_end=confirm_end)
    return rule_of(PureSync(slice_of([]), page_size=page_size, options=options).process)


def paging(ids: str, *, offset: int = 10, margin: int = 0, key: str = "5") -> Paging:
    """At `offset`, with a frontier of so many ids that share its key."""
    frontier = Frontier(key=key, ids=frozenset(ids))
    return Paging(offset=offset, frontier=frontier, peek="p", margin=margin, is_total=False)


def ask(offset: int, limit: int = 4) -> PageRequest:
    return PageRequest(cursor=10, offset=offset, limit=limit, order="newest")


def taken(place: Paging, request: PageRequest, rows: list[Row], by: PageRule | None = None) -> Taken:
    verdict = accept(place, request, rows, by or rule(), is_total=False)
    assert isinstance(verdict, Taken)
    return verdict


def test_a_request_begins_before_all_that_share_the_frontiers_key() -> None:
    assert plan(paging("ab"), rule()).offset == 10 - 3
    assert plan(paging("ab"), rule()).limit == 3 + 3 + 1
    assert plan(replace(paging(""), frontier=None), rule()).offset == 10 - 1


def test_the_margin_comes_on_top_as_far_as_half_of_what_the_limit_leaves() -> None:
    assert plan(paging("ab", margin=2), rule()).offset == 10 - 3 - 2
    assert plan(paging("ab", margin=7), rule(limit_max=12)).offset == 10 - 3 - 4


def test_neither_the_peek_nor_a_row_of_the_frontiers_key_anchors_a_page() -> None:
    for first in ([Row(id="p", key="4")], tied("a")):
        verdict = accept(paging("ab"), ask(7), first, rule(), is_total=False)
        assert verdict == Shifted(expected="p", found=first[0].id, step_back=6)


def test_a_row_before_the_frontiers_key_anchors_a_page() -> None:
    page = taken(paging("ab"), ask(7, limit=7), [Row(id="z", key="6"), *tied("bca"), *tied("d", "4")])
    assert page.record_ids == ("c", "d")
    assert page.frontier == FrontierMark(key="4", ids=("d",))


def test_without_a_frontier_only_the_beginning_is_an_anchor() -> None:
    place = replace(paging(""), frontier=None)
    assert isinstance(accept(place, ask(7), tied("a"), rule(), is_total=False), Shifted)
    assert isinstance(accept(place, ask(0), tied("a"), rule(), is_total=False), Taken)


def test_seen_rows_that_come_after_the_next_one_count_as_before_it() -> None:
    rows = [Row(id="z", key="6"), *tied("cdefab")]
    page = taken(paging("ab"), ask(7, limit=7), rows)
    assert page.record_ids == ("c", "d", "e")
    assert page.next_cursor == 7 + 1 + 2 + 3
    in_order = accept(replace(paging("ab"), is_total=True), ask(7, limit=7), rows, rule())
    assert isinstance(in_order, Taken)
    assert in_order.next_cursor == 7 + 4


@pytest.mark.parametrize(("was_total", "is_total"), [(True, False), (False, True), (False, False)])
def test_one_page_without_an_order_is_enough_to_doubt_ties(*, was_total: bool, is_total: bool) -> None:
    place = replace(paging("ab"), is_total=was_total)
    assert isinstance(accept(place, ask(7), tied("a"), rule(), is_total=is_total), Shifted)


@pytest.mark.parametrize(("limit_max", "is_enough"), [(6, False), (7, True)])
def test_the_next_request_must_reach_past_all_that_tie(limit_max: int, *, is_enough: bool) -> None:
    """Two that tie were taken before, three come: before the six of them one row, and one that is new."""
    rows = [Row(id="z", key="6"), *tied("abcdef")]
    verdict = accept(
        paging("ab", offset=20), ask(17, limit=7), rows, rule(limit_max=limit_max), is_total=False
    )
    assert isinstance(verdict, Taken) is is_enough
    if not is_enough:
        what = f"{SAYS}5 of one key are too many for one request (limit_max 6)"
        assert verdict == Unsafe(reason="ties", what=what)


def test_a_page_of_another_key_counts_its_own_ties_only() -> None:
    rows = [Row(id="z", key="6"), *tied("ab"), *tied("xyzw", "4")]
    assert taken(paging("ab", offset=20), ask(17, limit=7), rows, rule(limit_max=5)).record_ids == (
        "x",
        "y",
        "z",
    )


def test_rows_without_a_place_leave_the_ties_as_they_were() -> None:
    rows = [Row(id="z", key="6"), *tied("ab"), *(Row(id="", key="", problem="no id") for _ in range(4))]
    verdict = accept(paging("ab", offset=20), ask(17, limit=7), rows, rule(limit_max=3), is_total=False)
    assert isinstance(verdict, Unsafe)
    assert "2 of one key" in verdict.what
    assert taken(paging("ab", offset=20), ask(17, limit=7), rows, rule(limit_max=4)).has_more


def test_near_the_beginning_a_request_from_there_reaches_whatever_ties() -> None:
    place = replace(paging("ab"), frontier=None, offset=0)
    assert taken(place, ask(0), tied("abcd"), rule(limit_max=4)).next_cursor == 3


def test_at_the_end_nothing_is_left_to_doubt() -> None:
    rows = [Row(id="z", key="6"), *tied("abc")]
    assert taken(paging("ab"), ask(7, limit=9), rows, rule(limit_max=2)).next_cursor is None


def test_where_pages_may_be_cut_as_well_no_page_can_be_trusted() -> None:
    rows = [Row(id="z", key="6"), *tied("abcdef")]
    verdict = accept(paging("ab"), ask(7, limit=7), rows, rule(confirm_end=True), is_total=False)
    assert verdict == Unsafe(reason="ties", what=f"{SAYS}it may cut them short anywhere (confirm_end)")


def test_a_sync_remembers_that_ties_had_no_order() -> None:
    sync = PureSync(slice_of(tied("abcdef")), page_size=2, is_total=False)
    while sync.process.progress.pages == 0:
        sync.turn()
    assert sync.process.paging.is_total is False
    sync.is_total = True
    sync.turn()
    sync.turn()
    assert sync.process.paging.is_total is False
    assert sync.run().state is State.COMPLETED
    assert sorted(sync.delivered) == list("abcdef")


def test_a_page_whose_ties_have_no_order_is_not_anchored_by_the_peek() -> None:
    sync = PureSync(slice_of(people(6)), page_size=2)
    while sync.process.progress.pages == 0:
        sync.turn()
    sync.is_total = False
    sync.turn()
    assert sync.recorded[-1].type == "PagesShifted"
    assert sync.run().state is State.COMPLETED
    assert len(sync.delivered) == 6

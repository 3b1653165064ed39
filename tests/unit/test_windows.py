"""Which page with a number is asked for, where the whole of what one would like cannot be had."""

from __future__ import annotations

import pytest

from syncfsm.core.paging.pages import PageRule
from syncfsm.core.paging.windows import reaches_past, window


def rule(page_size: int, limit_max: int) -> PageRule:
    return PageRule(
        page_size=page_size, order="id", limit_max=limit_max, confirm_end=False, pagination="page"
    )


def test_a_page_that_reaches_far_enough_is_no_larger_than_it_must_be() -> None:
    assert window(0, 0, rule(page_size=1, limit_max=3)) == (0, 2)
    assert window(6, 0, rule(page_size=1, limit_max=3)) == (6, 2)


def test_the_largest_page_is_asked_for_where_no_smaller_one_reaches_far_enough() -> None:
    assert window(1, 0, rule(page_size=1, limit_max=3)) == (0, 3)
    assert window(7, 0, rule(page_size=1, limit_max=3)) == (6, 3)


def test_of_pages_that_reach_equally_far_and_not_far_enough_the_smallest_is_asked_for() -> None:
    """All that hold the row at 5 end behind it, whether they have 1, 2 or 3 rows."""
    assert window(5, 0, rule(page_size=3, limit_max=3)) == (5, 1)


def test_pages_with_numbers_go_no_farther_back_than_there_are_rows() -> None:
    assert window(3, 9, rule(page_size=4, limit_max=20)) == (0, 8)


@pytest.mark.parametrize(("back", "reaches"), [(0, True), (1, False)])
def test_whether_a_page_reaches_past_a_place_depends_on_how_far_back_it_begins(
    back: int, *, reaches: bool
) -> None:
    """Of at most 2 rows a page, those at 3 and 4 are never on the same."""
    assert reaches_past(4, back, rule(page_size=1, limit_max=2)) is reaches

"""In which words a sync gives up, where pages go by cursors and where too many contacts are missing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.giving_up import stalled, too_many_missing, unsafe
from syncfsm.core.options import Options, Pagination
from syncfsm.core.paging.pages import Unsafe
from syncfsm.core.paging.place import Paging
from syncfsm.core.process import Process
from tests.pure import PureSync, people, slice_of


def fetching(pagination: Pagination = "cursor", *, stalled_pages: int = 0) -> Process:
    """A process at cursor 50."""
    options = Options(pagination=pagination, stalled_pages_max=5, stalled_rows_max=5, missing_ratio_max=0.25)
    process = PureSync(slice_of(people(3)), options=options).process
    return replace(process, paging=Paging(offset=50, stalled_pages=stalled_pages, stalled_rows=stalled_pages))


def test_cursors_may_lead_past_as_many_pages_with_nothing_new_as_the_limit_allows() -> None:
    assert stalled(fetching(stalled_pages=5)) is None


def test_cursors_that_go_round_end_the_sync_and_name_the_limit() -> None:
    assert stalled(fetching(stalled_pages=6)) == e.SyncFailed(
        action="fetch",
        reason="stalled_pages_max",
        error="6 pages in a row had no new record: the cursors of model lead in a circle, or past records of "
        "other kinds. The limit stalled_pages_max is 5: to raise stalled_pages_max, run again with --set "
        "stalled_pages_max=10.",
        resumable=True,
        cursor=50,
    )


@pytest.mark.parametrize(
    ("pagination", "anew"),
    [
        ("cursor", "Start anew."),
        ("offset", "Start anew with another order, for instance 'id'."),
        ("page", "Start anew with another order, for instance 'id'."),
    ],
)
def test_another_order_is_advised_only_where_pages_do_not_go_by_cursors(
    pagination: Pagination, anew: str
) -> None:
    verdict = Unsafe(reason="unordered", what="returned r2 before r1")
    assert unsafe(fetching(pagination), verdict) == e.SyncFailed(
        action="fetch",
        reason="unordered",
        error=f"model returned r2 before r1; going on could lose records. {anew}",
        resumable=False,
        cursor=50,
    )


def test_more_missing_contacts_than_one_sync_may_delete_end_it_with_none_deleted() -> None:
    process = replace(fetching(), paging=Paging(offset=50, has_more=False))
    failed = e.SyncFailed(
        action="finish",
        reason="missing_ratio_max",
        error="no page had 2 of the 3 contacts that list has of this source, more than 0.25 of them, so none "
        "was deleted. Everybody who came is delivered. If they are indeed gone, go on. The limit "
        "missing_ratio_max is 0.25: to raise missing_ratio_max, run again with --set missing_ratio_max=0.67.",
        resumable=True,
        cursor=None,
    )
    assert too_many_missing(process, 2, 3) == failed
    assert d.decide(process, d.TooManyMissing(missing=2, known=3)) == (failed,)


def test_a_share_with_many_digits_is_shown_with_twelve() -> None:
    process = fetching()
    process = replace(process, options=replace(process.options, missing_ratio_max=1 / 3))
    assert "more than 0.333333333333 of them" in too_many_missing(process, 1, 2).error


def test_the_share_advised_is_never_less_than_what_was_missing() -> None:
    process = fetching()
    for missing, known in ((301, 1000), (1, 1), (1, 3)):
        words = too_many_missing(process, missing, known).error
        ratio = float(words.rpartition("missing_ratio_max=")[2].removesuffix("."))
        assert ratio >= missing / known

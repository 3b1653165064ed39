"""Whatever happened in a log, and whatever was pruned: it answers as if nothing had been."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.history.rejects import Rejected, open_ids, rejects_of
from syncfsm.log import open_log, prune
from syncfsm.log.checks.verify import verify
from syncfsm.log.pruning import choosing
from syncfsm.log.transfer.importing import import_lines
from tests.contracts.pruning import EVER, INITIAL, LATER, a_sync, answers, lines_of, rejected
from tests.contracts.routes import written
from tests.effort import tries
from tests.property.test_routes import SYNCS
from tests.pure import EPOCH


@settings(max_examples=tries(40, 1000), deadline=None)
@given(SYNCS, SYNCS, st.integers(0, 160), st.booleans(), st.sampled_from([1, 12, 1000]))
def test_a_pruned_log_answers_as_one_that_is_whole(
    first: list[Any], then: list[Any], seconds: int, is_all: bool, events_max: int
) -> None:
    with open_log(":memory:") as log, open_log(":memory:") as whole, open_log(":memory:") as copy:
        for each in (log, whole):
            written(each, first)
        before = EVER if is_all else EPOCH + timedelta(seconds=seconds)
        with patch.object(choosing, "EVENTS_MAX", events_max):
            prune(log, before=before, now=LATER)
            assert answers(log) == answers(whole)
            for each in (log, whole):
                written(each, then, prefix="q")
            assert answers(log) == answers(whole)
            prune(log, before=EVER, now=LATER)
        assert answers(log) == answers(whole)
        assert verify(log)[1] == []
        import_lines(copy, lines_of(log))
        assert answers(copy) == answers(whole)
        assert verify(copy) == verify(log)


RECORD_IDS = st.lists(st.sampled_from(["r0", "r1", "r2"]), min_size=1, max_size=2, unique=True)
REJECTING = st.tuples(st.just("rejects"), RECORD_IDS)
DELIVERING = st.tuples(st.just("delivers"), st.integers(0, 3))  # so many, from r0 on


@settings(max_examples=tries(60, 1000), deadline=None)
@given(st.lists(REJECTING | DELIVERING, min_size=1, max_size=9), st.booleans())
def test_rejects_that_are_open_stay_so_and_no_others_become_so(syncs: list[Any], keep_failed: bool) -> None:
    with open_log(":memory:") as log:
        for number, (what, records) in enumerate(syncs):
            if what == "rejects":
                rejected(log, f"s{number}", *records)
            else:
                end = "failed" if number % 3 == 0 else "completed"
                written(log, [a_sync(INITIAL, 1, end, created=records)], prefix=f"s{number}-")
        before = {process_id: rejects_of(log, log.load(process_id)) for process_id in log.ids()}
        prune(log, before=EVER, keep_failed=keep_failed, now=LATER)
        after = {process_id: rejects_of(log, log.load(process_id)) for process_id in log.ids()}
        assert all(before[process_id] == rejects for process_id, rejects in after.items())
        assert _open(after) == _open(before)
        assert verify(log)[1] == []


def _open(rejects: dict[str, tuple[Rejected, ...]]) -> set[str]:
    return {record_id for found in rejects.values() for record_id in open_ids(found)}

"""Whatever happened in a log, and whatever was pruned: it answers as if nothing had been."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.log import open_log, prune
from syncfsm.log.checks.verify import verify
from syncfsm.log.pruning import choosing
from syncfsm.log.transfer.importing import import_lines
from tests.contracts.pruning import EVER, LATER, answers, lines_of
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

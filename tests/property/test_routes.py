"""What a log tells of routes, whatever happened there, against the oracle of the contract."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from tests.contracts.routes import COUNTS, KEYS, MODES, OBJECTS, SINKS, agrees, written
from tests.effort import tries

SECONDS = st.integers(0, 99)  # by a clock that goes back and forth
BEGINNINGS = st.tuples(
    st.sampled_from(["initial", "ongoing", *MODES]),  # mostly one route, and what counts there
    st.sampled_from([OBJECTS[0]] * 4 + [OBJECTS[1]]),
    st.sampled_from([SINKS[0]] * 4 + [SINKS[1]]),
    st.sampled_from(KEYS),
    SECONDS,
)
RECORDS = st.fixed_dictionaries({name: st.integers(0, 5) for name in COUNTS})
ENDS = st.sampled_from(["completed", "completed", "failed", "failed at once", "cancelled", "late", "late"])
SYNCS = st.lists(st.tuples(BEGINNINGS, ENDS, RECORDS, SECONDS), max_size=16)


@settings(max_examples=tries(30, 1000), deadline=None)
@given(SYNCS)
def test_what_a_log_tells_of_routes_follows_from_its_events(syncs: list[Any]) -> None:
    with open_log(":memory:") as log, open_log(":memory:") as copy:
        written(log, syncs)
        agrees(log)
        rows = list(log.stored_events())
        copy.restore(rows, lambda: [log.load(process_id) for process_id in log.ids()])
        agrees(copy)
        assert verify(log) == verify(copy) == (len(rows), [])

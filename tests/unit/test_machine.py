"""The table of transitions, and what the machine makes of it."""

from __future__ import annotations

import pytest

from syncfsm.core import events as e
from syncfsm.core.machine import ACTIVE, TRANSITIONS, State, destinations, legal_triggers
from syncfsm.core.process import apply
from syncfsm.errors import InvalidTransition
from tests.pure import EPOCH, PureSync, people, slice_of


def test_every_event_type_is_a_trigger_and_every_trigger_an_event_type() -> None:
    assert {trigger for trigger, _, _ in TRANSITIONS} == set(e.EVENT_TYPES)


def test_the_machine_knows_exactly_the_rows_of_the_table() -> None:
    known = {
        (trigger, state, dest)
        for state in State
        for trigger in e.EVENT_TYPES
        for dest in destinations(state, trigger)
    }
    assert known == set(TRANSITIONS)


@pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED])
def test_nothing_follows_a_final_state(state: State) -> None:
    assert legal_triggers(state) == ()


def test_only_a_resume_follows_a_failure() -> None:
    assert legal_triggers(State.FAILED) == ("SyncResumed",)


def test_active_states_are_those_that_can_be_cancelled() -> None:
    assert {source for trigger, source, _ in TRANSITIONS if trigger == "SyncCancelled"} == set(ACTIVE)


def test_an_illegal_event_is_refused_with_what_would_be_legal() -> None:
    process = PureSync(slice_of(people(3))).run()
    late = e.Recorded(
        stream="p1",
        version=process.version + 1,
        at=EPOCH,
        event=e.SyncCancelled(by="test", why="too late"),
    )
    with pytest.raises(InvalidTransition, match="COMPLETED; legal here: nothing, the state is final"):
        apply(process, late)


def test_an_event_with_a_gap_before_it_is_refused() -> None:
    sync = PureSync(slice_of(people(3)))
    gap = e.Recorded(stream="p1", version=3, at=EPOCH, event=e.FetchingBegan(found={}))
    with pytest.raises(InvalidTransition, match="has version 3; expected 2"):
        apply(sync.process, gap)


def test_the_first_event_can_only_be_a_start() -> None:
    with pytest.raises(InvalidTransition, match="legal here: SyncStarted"):
        apply(None, e.Recorded(stream="p1", version=1, at=EPOCH, event=e.FetchingBegan(found={})))


def test_a_delivery_without_a_page_is_refused() -> None:
    sync = PureSync(slice_of(people(3)))
    assert sync.turn()
    delivered = e.PageDelivered(cursor=None, created=1, updated=0, unchanged=0, rejected=0, elapsed_ms=0)
    with pytest.raises(InvalidTransition, match="has no page fetched"):
        apply(sync.process, e.Recorded(stream="p1", version=3, at=EPOCH, event=delivered))

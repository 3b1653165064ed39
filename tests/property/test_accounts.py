"""Whatever happened in a simulation, every process of it can be explained, replayed and compared."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.explain import explain, lines
from syncfsm.history.difference import changes, compare
from syncfsm.history.replay import moments
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.scenario import load_scenario
from tests.effort import tries

SEEDS = st.integers(1, 10_000)


@settings(max_examples=tries(10, 100), deadline=None)
@given(SEEDS)
def test_every_process_is_explained_and_its_time_accounted_for(seed: int) -> None:
    with open_log(":memory:") as log:
        simulate(load_scenario("hostile"), seed, log)
        assert check(log)[1] == []
        for process_id in log.ids():
            account = explain(log, process_id, "sync.db")
            parts = {name: getattr(account.spent, name) for name in account.spent.__struct_fields__}
            assert parts.pop("total_s") == pytest.approx(sum(parts.values()), abs=1e-6)
            assert min(parts.values()) >= 0
            assert sum(account.causes.values()) == account.process.progress.retries
            assert sum(group.count for group in account.rejects) == account.process.progress.rejected
            assert (account.ending is not None) is (account.process.state is State.FAILED)
            assert account.process.state.value in "\n".join(lines(account))


@settings(max_examples=tries(8, 50), deadline=None)
@given(SEEDS)
def test_the_changes_of_all_steps_together_lead_from_nothing_to_the_last_state(seed: int) -> None:
    with open_log(":memory:") as log:
        simulate(load_scenario("hostile"), seed, log)
        history = list(moments(log, log.ids()[0]))
    known: dict[str, object] = {}
    for moment in history:
        for change in changes(moment.before, moment.after):
            assert known.get(change.field) == change.before
            known[change.field] = change.after
    whole = {change.field: change.after for change in changes(None, history[-1].after)}
    assert {field: value for field, value in known.items() if value is not None} == whole


@settings(max_examples=tries(8, 50), deadline=None)
@given(SEEDS, st.data())
def test_a_process_parts_from_an_altered_one_where_it_was_altered(seed: int, data: st.DataObject) -> None:
    with open_log(":memory:") as log:
        simulate(load_scenario("hostile"), seed, log)
        history = list(moments(log, log.ids()[0]))
    assert compare(history, history).parting is None
    assume(len(history) > 2)  # or it was cancelled before there was anything to leave out
    place = data.draw(st.integers(2, len(history) - 1))
    comparison = compare(history, history[:place])
    assert comparison.parting is not None
    assert (comparison.parting.version, comparison.parting.two) == (place + 1, None)
    assert sum(comparison.only_one.values()) == len(history) - place
    assert comparison.only_two == {}


def test_a_change_of_one_field_of_one_event_is_the_parting() -> None:
    with open_log(":memory:") as log:
        simulate(load_scenario("calm"), 1, log)
        history = list(moments(log, log.ids()[0]))
    step = history[4]
    assert isinstance(step.recorded.event, e.PageFetched)
    event = replace(step.recorded.event, count=7, elapsed_ms=99)
    altered = [*history[:4], replace(step, recorded=replace(step.recorded, event=event)), *history[5:]]
    parting = compare(history, altered).parting
    assert parting is not None
    assert parting.version == 5
    assert [(change.field, change.after) for change in parting.differences] == [("count", 7)]

"""The fixtures and strategies that somebody who embeds syncfsm tests with."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given, settings

from syncfsm.core.machine import State
from syncfsm.log import open_log
from syncfsm.sources.protocol import Record, Transformed
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.strategies import scenarios, worlds
from syncfsm_simulator.workspace import VirtualTime, Workspace
from syncfsm_simulator.world.world import World
from tests.fakes import DictSink, Item


def to_items(_source: object) -> object:
    async def transform(records: Sequence[Record]) -> Transformed[Item]:
        return Transformed(items=tuple(Item(record.id, record.key) for record in records))

    return transform


def test_a_sink_of_ones_own_survives_a_bad_day(attio: Workspace) -> None:
    attio.go_wrong(rate_limited=0.2, network=0.2, crash=0.1).move(deleted=2, created=1)
    sink = DictSink()
    process = attio.sync(sink, to_items)
    assert process.state is State.COMPLETED
    assert attio.survivors <= set(sink.items)
    assert attio.stage is not None
    assert attio.stage.starts > 1
    assert sum(attio.stage.faults.counts().values()) > 10


def test_a_workspace_is_calm_until_told_otherwise(attio: Workspace) -> None:
    sink = DictSink()
    process = attio.configure(people=130).sync(sink, to_items)
    assert (process.progress.created, process.progress.retries) == (130, 0)
    assert set(sink.items) == set(attio.world.entities("people")) == attio.survivors


def test_any_client_finds_the_workspace_at_its_url(attio: Workspace) -> None:
    attio.configure(people=3)
    url = f"{attio.base_url}/v2/objects/people/records/query"
    answer = httpx.post(url, json={}, headers={"Authorization": "Bearer any"})
    ids = {row["id"]["record_id"] for row in answer.json()["data"]}
    assert ids == set(attio.world.entities("people"))


def test_what_a_workspace_does_not_have_cannot_be_configured(attio: Workspace) -> None:
    with pytest.raises(TypeError, match="earthquake"):
        attio.go_wrong(earthquake=1.0)


def test_waiting_in_virtual_time_costs_nothing(virtual_time: VirtualTime) -> None:
    async def wait_a_month() -> float:
        before = virtual_time.clock.now()
        await virtual_time.clock.sleep(30 * 86_400)
        return (virtual_time.clock.now() - before).total_seconds()

    assert virtual_time.run(wait_a_month()) == 30 * 86_400


@settings(max_examples=30, deadline=None)
@given(scenarios())
def test_nothing_goes_wrong_in_any_scenario(scenario: Scenario) -> None:
    with open_log(":memory:") as log:
        verdict = simulate(scenario, scenario.seed, log)
    assert verdict.violations == []
    assert verdict.process.state is State.COMPLETED


@settings(max_examples=20, deadline=None)
@given(worlds(people_max=10), scenarios(people=3, faults=FaultRates(), changes=ChangeRates()))
def test_strategies_draw_within_what_was_asked(world: World, scenario: Scenario) -> None:
    assert len(world.entities("people")) <= 10
    assert (scenario.people, scenario.faults, scenario.changes) == (3, FaultRates(), ChangeRates())
    assert 1 <= scenario.page_size <= 20


def test_a_second_sync_is_a_sync_of_its_own(attio: Workspace) -> None:
    first = attio.sync(DictSink(), to_items)
    sink = DictSink()
    second = attio.configure(people=150).sync(sink, to_items)
    assert second.id != first.id
    assert (second.progress.created, len(sink.items)) == (150, 150)


def test_a_log_that_can_never_be_written_is_given_up_only_until_all_is_calm(attio: Workspace) -> None:
    process = attio.configure(people=3, faulty_s=60.0).go_wrong(disk=1.0).sync(DictSink(), to_items)
    assert process.state is State.COMPLETED
    assert attio.stage is not None
    assert attio.stage.starts > 100


def test_the_world_follows_what_is_configured(attio: Workspace) -> None:
    assert len(attio.world.entities("people")) == 100
    assert len(attio.configure(people=3).world.entities("people")) == 3

"""Ongoing syncs in virtual time: the real engine and HTTP client, a moving world, every fault."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core.events import PageFetched, RecordRejected
from syncfsm.core.machine import State
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm_simulator.runs.fields import contacts_of
from syncfsm_simulator.runs.invariants import (
    INVARIANTS,
    Run,
    it_ends,
    nothing_lost,
    nothing_twice,
    sink_is_world,
    violations,
)
from syncfsm_simulator.runs.run import run_of
from syncfsm_simulator.stage.effects.sinks import DELETE, LISTING
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates, Strike
from syncfsm_simulator.stage.scenario import Scenario, concrete, load_scenario
from syncfsm_simulator.stage.stage import Stage
from syncfsm_simulator.world.clock import VirtualClock, run_virtual
from syncfsm_simulator.world.entity import Entity
from tests.effort import tries

ROUNDS = 3
OVERLAP = timedelta(seconds=300)
MILLISECOND = timedelta(milliseconds=1)  # a record's time has whole ones, rounded down

OF_ONE_SYNC = {it_ends, nothing_lost, sink_is_world}
"""What is judged of a single sync of all records; of several, see below."""


def played(name: str, seed: int, *, updated_at: bool = False) -> Run:
    """Run a sync of all records and some ongoing ones behind it, an hour apart, faults on all the time."""
    scenario = concrete(load_scenario(name), seed)
    scenario = replace(
        scenario, faulty_s=10_000_000.0, sorts="honoured", ties="ordered", updated_at=updated_at
    )
    if updated_at:
        scenario = by_changes(scenario)

    async def main() -> Run:
        await stage.until_over()
        for _ in range(ROUNDS):
            await stage.clock.sleep(3600)
            process = await stage.again("ongoing")
            assert process.state is State.COMPLETED
        run = run_of(stage, process, log, contacts)
        # who changes meanwhile may come again, where pages are in the order of changes
        left_out = {*OF_ONE_SYNC, nothing_twice} if updated_at else OF_ONE_SYNC
        assert violations(run, [check for check in INVARIANTS if check not in left_out]) == []
        watermark = process.watermark
        assert watermark is not None
        assert (outdated if updated_at else lost)(run, watermark) == set()
        return run

    with open_log(":memory:") as log:
        contacts = SqliteSink(":memory:", clock=VirtualClock())
        stage: Stage[Contact] = Stage(scenario, log, contacts, AttioPeople)
        return run_virtual(main())


def by_changes(scenario: Scenario) -> Scenario:
    """Return a scenario for a key that changes: not oldest first, and fewer rows move at once than come."""
    changes = replace(
        scenario.changes,
        created=min(0.3, scenario.changes.created),
        updated=min(1.0, scenario.changes.updated),
        imported=min(0.005, scenario.changes.imported),
        all_updated=min(0.005, scenario.changes.all_updated),
    )
    order = "newest" if scenario.order == "oldest" else scenario.order
    return replace(scenario, order=order, page_size=max(10, scenario.page_size), changes=changes)


def lost(run: Run, watermark: datetime) -> set[str]:
    """Return who is there since before the watermark, and neither in the sink nor rejected by name.

    Who was imported with a `created_at` out of the past is new to nobody who asks by it: that is a matter for
    webhooks, or for another sync of all records.
    """
    there = {
        record_id
        for record_id, entity in run.world.entities("people").items()
        if _at(entity.recorded_at) + MILLISECOND < watermark and not _is_old_news(entity)
    }
    return there - contacts_of(run).keys() - _rejected(run)


def outdated(run: Run, watermark: datetime) -> set[str]:
    """Return who last changed before the watermark, and is not in the sink as they are now."""
    people, contacts = run.world.entities("people"), contacts_of(run)
    settled = {
        record_id
        for record_id, entity in people.items()
        if _at(entity.values["updated_at"][0]["value"]) + MILLISECOND < watermark
    }
    wrong = {record_id for record_id in settled if contacts.get(record_id) != run.known[record_id].fields}
    return wrong - _rejected(run)


def _rejected(run: Run) -> set[str]:
    events = [recorded.event for recorded in run.recorded()]
    return {event.record_id for event in events if isinstance(event, RecordRejected)} | run.unnamed


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text[:23] + "Z")


def _is_old_news(entity: Entity) -> bool:
    return _at(entity.recorded_at) - _at(entity.created_at) > OVERLAP


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_between_syncs_while_rows_move(seed: int) -> None:
    run = played("moving-rows", seed)
    fetched = [sum(len(event.record_ids) for event in pages) for pages in _pages(run)]
    assert fetched[0] >= 1900
    assert all(count < 200 for count in fetched[1:])  # each asks for what is new, and no more


def _pages(run: Run) -> list[list[PageFetched]]:
    return [
        [moment.recorded.event for moment in history if isinstance(moment.recorded.event, PageFetched)]
        for history in run.histories
    ]


@pytest.mark.parametrize("seed", range(4))
def test_no_change_is_lost_between_syncs_while_rows_move(seed: int) -> None:
    run = played("moving-rows", seed, updated_at=True)
    ongoing = [history[-1].after for history in run.histories[1:]]
    assert {process.changed_by for process in ongoing} == {"updated_at"}
    assert any(process.parent for process in ongoing), "there were sweeps"
    assert sum(process.progress.updated for process in ongoing) > 100


AT_DELETING = tuple(fault.kind for fault in FAULTS if fault.port in {DELETE, LISTING})


@pytest.mark.parametrize("kind", AT_DELETING)
@pytest.mark.parametrize("seed", range(tries(2, 20)))
def test_who_is_missing_is_deleted_whatever_goes_wrong_with_listing_and_deleting(
    seed: int, kind: str
) -> None:
    faults = FaultRates(network=0.05, sink=0.3, crash=0.1, disk=0.05, rival=0.05)
    strikes = (Strike(kind=kind, at=0),)
    scenario = Scenario(
        seed=seed, people=60, page_size=20, faults=faults, changes=ChangeRates(), strikes=strikes
    )

    async def main() -> None:
        first = await stage.until_over()
        gone = sorted(contacts_of(run_of(stage, first, log, contacts)))[::7]
        stage.changes.delete(gone)
        process = await stage.again("initial", deletes_missing=True)
        run = run_of(stage, process, log, contacts)
        assert violations(run, [check for check in INVARIANTS if check not in OF_ONE_SYNC]) == []
        assert process.state is State.COMPLETED
        assert not set(gone) & contacts_of(run).keys()
        assert stage.faults.counts()[kind]

    with open_log(":memory:") as log:
        contacts = SqliteSink(":memory:", clock=VirtualClock())
        stage: Stage[Contact] = Stage(scenario, log, contacts, AttioPeople)
        run_virtual(main())


@pytest.mark.parametrize("updated_at", [False, True])
@pytest.mark.parametrize("seed", range(tries(8, 40)))
def test_nothing_is_lost_between_syncs_whatever_goes_wrong(seed: int, updated_at: bool) -> None:
    played("hostile", seed, updated_at=updated_at)

"""One slice of one sync, for whatever calls it; and what a watchdog would send for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.state import PATIENCE, Retry
from syncfsm.engine.requests import SyncRequest
from syncfsm.errors import BrokenContract
from syncfsm.log import open_log
from syncfsm.workers import AccountSync, Place, Standing, Within, place_of, work_on
from syncfsm.workers.aws_lambda.messages import message_for, message_of
from syncfsm.workers.aws_lambda.sending import due_messages
from tests.fakes import Item
from tests.tenants import Tenants


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with open_log(":memory:") as log:
        yield Tenants(log)


def sync_of(tenants: Tenants, people: int = 25) -> AccountSync[Item]:
    request = SyncRequest(mode="ongoing", page_size=10)
    tenants.add("acme", people, request=request, every_s=3600.0)
    return tenants.syncs[0]


def slice_of(
    tenants: Tenants, sync: AccountSync[Item], seconds: float = 60.0, **asked: Any
) -> Process | None:
    async def work() -> Process | None:
        leaves = Within(seconds, clock=tenants.clock)
        return await work_on(tenants.log, sync, leaves=leaves, clock=tenants.clock, **asked)

    return tenants.clock.run(work())


def begun(tenants: Tenants, sync: AccountSync[Item], seconds: float = 60.0, **asked: Any) -> Process:
    process = slice_of(tenants, sync, seconds, **asked)
    assert process is not None
    return process


def test_a_slice_begins_a_sync_and_brings_everybody(tenants: Tenants) -> None:
    over: list[Process] = []
    process = begun(tenants, sync_of(tenants), on_over=lambda _sync, process: over.append(process))
    assert (process.state, process.progress.created) == (State.COMPLETED, 25)
    assert over == [process]


def test_slices_without_any_time_bring_everybody_too(tenants: Tenants) -> None:
    sync = sync_of(tenants)
    processes = [begun(tenants, sync, 0.0)]
    while processes[-1].is_active and len(processes) < 10:
        processes.append(begun(tenants, sync, 0.0))
    assert [process.progress.pages for process in processes] == [0, 1, 2, 3, 3]
    assert {process.id for process in processes} == {processes[0].id}


def test_what_is_not_due_is_left_alone(tenants: Tenants) -> None:
    sync = sync_of(tenants)
    process = begun(tenants, sync)
    asked = len(tenants.asked)
    assert begun(tenants, sync) == process
    assert len(tenants.asked) == asked


def test_a_slice_that_was_asked_for_elsewhere_does_nothing(tenants: Tenants) -> None:
    sync = sync_of(tenants)
    assert slice_of(tenants, sync, at=Place(process="another", version=1)) is None
    first = begun(tenants, sync, 0.0, at=Place())
    assert begun(tenants, sync, at=Place()) == first
    after = begun(tenants, sync, 0.0, at=place_of(first))
    assert after.version > first.version
    assert begun(tenants, sync, at=place_of(first)) == after


def test_what_has_to_wait_for_long_is_left_at_once() -> None:
    within = Within(60.0)
    assert not within(0.0)
    assert not within(2.0)
    assert within(2.1)


# ── messages ─────────────────────────────────────────────────────────────────────────────────


def test_messages_are_called_as_in_the_plan(tenants: Tenants) -> None:
    sync, types = sync_of(tenants), [message_for("acme", None).type]
    while True:
        process = begun(tenants, sync, 0.0)
        message = message_for("acme", process)
        types.append(message.type)
        assert message_of(message.body) == message
        if not process.is_active:
            break
    assert types == ["START", *["FETCH_PERSON_PAGE"] * 3, "COMPLETE_SYNC", "START"]


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"type": "STOP"}', '{"sync": "\ud800"}', "\ud800"])
def test_what_is_no_message_is_refused_and_not_repeated(body: str) -> None:
    with pytest.raises(BrokenContract) as refused:
        message_of(body)
    assert "is none that the watchdog sends" in str(refused.value)


def standing(tenants: Tenants, name: str, process: Process | None) -> Standing:
    return Standing(sync=name, account=name.partition("/")[0], route=None, process=process)


def test_a_wait_is_the_accounts_and_holds_back_its_other_syncs(tenants: Tenants) -> None:
    process, now = begun(tenants, sync_of(tenants), 0.0), tenants.clock.now()
    wait = Retry(action="fetch", cause=PATIENCE, error="", attempt=1, retry_at=now + timedelta(seconds=60))
    waiting = replace(process, retry=wait, waits_since=now)
    standings = [
        standing(tenants, "acme/companies", None),
        standing(tenants, "acme/people", waiting),
        standing(tenants, "globex", None),
        standing(tenants, "initech", None),
    ]
    assert [account for account, _ in due_messages(standings, ["initech"], now)] == ["globex"]
    later = now + timedelta(seconds=61)
    assert len(due_messages(standings, [], later)) == 4
    down = replace(waiting, retry=replace(wait, cause="unavailable"))
    standings[1] = standing(tenants, "acme/people", down)
    assert ("acme", message_for("acme/companies", None)) in due_messages(standings, [], now)

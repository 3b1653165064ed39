"""The syncs of many accounts in one program: when each has its turn, and what keeps it from that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest
from syncfsm.errors import (
    ActiveSync,
    BrokenContract,
    ConfigurationError,
    CorruptLog,
    LogUnwritable,
    NotActive,
)
from syncfsm.log import open_log
from syncfsm.workers import AccountSync
from syncfsm.workers.engines import BUSY_S
from tests.fakes import DOWN, WRONG_KEY, Item
from tests.tenants import Tenant, Tenants


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with open_log(":memory:") as log:
        yield Tenants(log)


def has_all(tenant: Tenant) -> bool:
    return tenant.texts == tenant.world and len(tenant.world) > 0


def waiting(seconds: float) -> Failure:
    return Failure(kind=FailureKind.RATE_LIMITED, message="patience.", retry_after_s=seconds)


# ── whose turn it is ─────────────────────────────────────────────────────────────────────────────


def test_all_are_synced_at_most_so_many_at_once_and_one_at_a_time_for_an_account(tenants: Tenants) -> None:
    all_of_them = [tenants.add(f"t{number}", 120) for number in range(10)]
    all_of_them += [tenants.add(f"t{number}", 60, object_="companies") for number in range(3)]
    tenants.once(at_once=3)
    assert all(map(has_all, all_of_them))
    assert tenants.most == 3


def test_a_large_account_does_not_keep_the_small_ones_waiting(tenants: Tenants) -> None:
    large = tenants.add("large", 1000)
    large.crm.seconds = 10.0
    small = [tenants.add(f"small-{number}", 50) for number in range(9)]
    tenants.run(400, at_once=1, slice_s=10)
    assert all(map(has_all, [large, *small]))
    first_of_small = max(at for account, at in tenants.asked if account != "large" and at < 300)
    assert first_of_small < 60
    assert tenants.done[9] == "large"


def test_a_large_sync_does_not_keep_the_others_of_its_account_waiting(tenants: Tenants) -> None:
    tenants.add("acme", 1000).crm.seconds = 10.0
    companies = tenants.add("acme", 50, object_="companies")
    tenants.run(60, slice_s=10)
    assert has_all(companies)
    assert tenants.done == ["acme/companies"]


def test_nobody_leaves_who_is_in_nobodys_way(tenants: Tenants) -> None:
    tenant = tenants.add("acme", 1000)
    tenants.run(100, slice_s=2)
    assert tenant.crm.checks == 1


def test_who_is_told_to_wait_gives_its_place_to_others(tenants: Tenants) -> None:
    waits, other = tenants.add("waits"), tenants.add("other")
    waits.crm.failures = [waiting(100)]
    tenants.run(50, at_once=1)
    assert (tenants.done, has_all(other)) == (["other"], True)
    tenants.run(100, at_once=1)
    assert has_all(waits)


def test_who_is_told_to_wait_while_nobody_else_is_due_keeps_no_place_either(tenants: Tenants) -> None:
    waits, later = tenants.add("waits"), tenants.add("later", every_s=30)
    tenants.once("later")
    waits.crm.failures = [waiting(600)]
    later.crm.create()
    tenants.run(60, at_once=1)
    assert has_all(later)


def test_a_wait_is_kept_to_the_second(tenants: Tenants) -> None:
    tenants.add("acme").crm.failures = [waiting(40)]
    tenants.run(60)
    first, second = (at for _, at in tenants.asked)
    assert 40 <= second - first - 1 < 41


def test_once_waits_too_and_ends_with_every_sync_complete(tenants: Tenants) -> None:
    all_of_them = [tenants.add(f"t{number}") for number in range(3)]
    for tenant in all_of_them:
        tenant.crm.failures = [waiting(40), DOWN, DOWN]
    tenants.once(at_once=1)
    assert all(map(has_all, all_of_them))


def test_each_has_its_own_pause_and_a_sync_that_took_longer_is_followed_at_once(tenants: Tenants) -> None:
    tenants.add("often", 50, every_s=10)
    tenants.add("seldom", 50, every_s=100)
    slow = tenants.add("slow", 3, every_s=5)
    slow.crm.seconds = 20.0
    tenants.run(95)
    assert tenants.done.count("often") == 10
    assert tenants.done.count("seldom") == 1
    assert tenants.done.count("slow") == 4


def test_two_sinks_of_the_same_records_take_turns_and_that_is_said_once_at_most(tenants: Tenants) -> None:
    first = tenants.add("acme", 500)
    second = Tenant(tenants, "acme", 0, "people")
    second.crm, second.sink.name = first.crm, "dict:second"
    tenants.syncs.append(AccountSync("acme", second.engine, label="second"))
    tenants.run(100, slice_s=3)
    assert has_all(first)
    assert second.texts == first.world
    assert [error for _, error in tenants.troubles if not isinstance(error, ActiveSync)] == []
    assert len(tenants.troubles) <= 1


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def test_what_fails_waits_for_its_next_turn_and_holds_nobody_up(tenants: Tenants) -> None:
    fails, other = tenants.add("fails"), tenants.add("other")
    fails.crm.failures = [WRONG_KEY]
    tenants.run(10)
    assert has_all(other)
    assert [(name, process.state.value) for name, process in tenants.over] == [
        ("fails", "FAILED"),
        ("other", "COMPLETED"),
    ]
    tenants.run(310)
    assert has_all(fails)
    mended = [process for name, process in tenants.over if name == "fails"]
    assert mended[0].id == mended[1].id


def broken(_engine: Engine[Item]) -> SyncRequest:
    raise KeyError("somebody@example.com")


def no_engine() -> Engine[Item]:
    raise ConfigurationError("there is no key in ACME_API_KEY: set it")


@pytest.mark.parametrize(
    ("settings", "trouble"),
    [
        ({"make": no_engine}, "there is no key in ACME_API_KEY: set it"),
        ({"request": broken}, "KeyError"),
        ({"request": SyncRequest(page_size=0)}, "page size 0"),
    ],
)
def test_what_cannot_begin_is_told_once_and_the_others_go_on(
    tenants: Tenants, settings: dict[str, Any], trouble: str
) -> None:
    tenants.add("broken", every_s=10, **settings)
    other = tenants.add("other")
    tenants.run(100)
    assert has_all(other)
    assert [name for name, _ in tenants.troubles] == ["broken"]
    assert trouble in str(tenants.troubles[0][1])
    assert "somebody" not in str(tenants.troubles[0][1])
    tenants.troubles.clear()
    tenants.run(1300)
    assert len(tenants.troubles) == 3  # again every ten minutes


def test_what_is_mended_meanwhile_goes_on_by_itself(tenants: Tenants) -> None:
    makes: list[Callable[[], Engine[Item]]] = [no_engine]
    tenant = tenants.add("acme", make=lambda: makes[-1](), every_s=60)  # noqa: PLW0108 - it changes

    async def main() -> None:
        running = asyncio.create_task(tenants.engines().run())
        await asyncio.sleep(30)
        makes.append(tenant.engine)
        await asyncio.sleep(60)
        running.cancel()

    tenants.during(200, main())
    assert has_all(tenant)


@pytest.mark.parametrize("error", [NotActive("resumed"), LogUnwritable("the disk is full")])
def test_where_somebody_else_was_faster_or_the_log_is_full_it_is_tried_again_soon(
    tenants: Tenants, error: Exception
) -> None:
    raised = iter([error, error])

    def sometimes(_engine: Engine[Item]) -> SyncRequest:
        if trouble := next(raised, None):
            raise trouble
        return SyncRequest(mode="ongoing")

    tenant, other = tenants.add("acme", request=sometimes), tenants.add("other")
    tenants.run(2.5 * BUSY_S)
    assert has_all(tenant)
    assert has_all(other)
    assert [name for name, _ in tenants.troubles] == ["acme"]


def test_a_log_that_is_held_when_it_is_read_is_waited_for(tenants: Tenants) -> None:
    tenant = tenants.add("acme", every_s=10)
    tenants.once()
    latest, raised = tenants.log.latest, iter([True] * 2)

    def held(*args: Any, **more: Any) -> Any:
        if next(raised, False):
            raise LogUnwritable("it is held", is_locked=True)
        return latest(*args, **more)

    tenants.log.latest = held  # type: ignore[method-assign]
    tenant.crm.create()
    tenants.run(40)
    assert has_all(tenant)
    assert [str(error) for _, error in tenants.troubles] == ["it is held"]


def test_a_log_that_is_damaged_ends_it_with_its_own_error(tenants: Tenants) -> None:
    def damaged(_engine: Engine[Item]) -> SyncRequest:
        raise CorruptLog("event 7 is not what was written") from OSError("a bad disk")

    tenants.add("acme", request=damaged)
    tenants.add("other", 5000)
    with pytest.raises(CorruptLog, match="event 7") as raised:
        tenants.run(1000)
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize("told", ["on_turn", "on_trouble"])
def test_what_is_told_and_raises_ends_it(tenants: Tenants, told: str) -> None:
    def gone(*_: Any) -> None:
        raise BrokenPipeError("nobody reads")

    tenants.add("acme")
    tenants.add("broken", make=no_engine)
    with pytest.raises(BrokenPipeError, match="nobody reads"):
        tenants.run(1000, **{told: gone})


def test_what_was_cancelled_within_a_source_is_a_trouble_and_ends_nothing(tenants: Tenants) -> None:
    tenant, calls = tenants.add("acme", every_s=20), iter([True])

    def cancelled() -> None:
        if next(calls, False):
            raise asyncio.CancelledError

    tenant.crm.before_answer = cancelled
    tenants.run(60)
    assert has_all(tenant)
    assert [type(error) for _, error in tenants.troubles] == [BrokenContract]


def test_a_cancelled_program_closes_its_engines_and_the_next_goes_on_where_it_stopped(
    tenants: Tenants,
) -> None:
    all_of_them = [tenants.add(f"t{number}", 1000) for number in range(4)]
    closed = Counter[str]()
    for tenant in all_of_them:
        tenant.sink.aclose = partial(count, closed)  # type: ignore[method-assign]
    tenants.run(10, at_once=2)
    assert closed.total() == 4 + 2  # one each to learn what it brings where, and those that were at work
    unfinished = tenants.ask(lambda engines: engines.unfinished())
    assert [standing.sync for standing in unfinished] == ["t0", "t1"]
    assert {standing.process.state for standing in unfinished} == {State.FETCHING}
    tenants.once(at_once=2)
    assert all(map(has_all, all_of_them))
    assert len(tenants.asked) <= 4 * 20 + 2 * 2  # a page that was under way, and the place before it


async def count(closed: Counter[str]) -> None:
    closed["sink"] += 1


def test_what_failed_waits_its_pause_from_then_on(tenants: Tenants) -> None:
    tenant = tenants.add("acme", 150, every_s=15)
    tenant.crm.seconds = 10.0
    tenant.crm.before_answer = lambda: (
        tenant.crm.failures.append(WRONG_KEY) if len(tenants.asked) == 2 else None
    )
    tenants.run(34)
    assert [process.state for _, process in tenants.over] == [State.FAILED]
    tenants.run(60)
    assert has_all(tenant)
    assert 15 <= tenants.asked[2][1] - (tenants.asked[1][1] + 10) < 16


def test_what_was_told_to_come_again_much_later_is_not_tried_before(tenants: Tenants) -> None:
    tenants.add("acme", every_s=10).crm.failures = [waiting(4000)]
    tenants.run(3900)
    assert [process.state for _, process in tenants.over] == [State.FAILED]
    assert len(tenants.asked) == 1
    tenants.run(200)
    assert tenants.over[1][1].state is State.COMPLETED


def test_what_is_in_the_way_again_after_it_was_not_is_told_again(tenants: Tenants) -> None:
    raised = iter([True, False, True])

    def sometimes(_engine: Engine[Item]) -> SyncRequest:
        if next(raised, False):
            raise ConfigurationError("the vault is sealed")
        return SyncRequest(mode="ongoing")

    tenants.add("acme", every_s=10, request=sometimes)
    tenants.run(60)
    assert [str(error) for _, error in tenants.troubles] == ["the vault is sealed"] * 2


# ── rejects ──────────────────────────────────────────────────────────────────────────────────────


def test_the_rejects_of_all_are_sent_again_in_one_go(tenants: Tenants) -> None:
    refusing = [tenants.add(f"t{number}", 30) for number in range(3)]
    for tenant in refusing[:2]:
        tenant.sink.refused = set(list(tenant.crm.people)[:2])
    tenants.once()
    assert not has_all(refusing[0])
    for tenant in refusing:
        tenant.sink.refused = set()
    tenants.over.clear()
    for _ in range(2):  # the second time there are none
        tenants.clock.run(tenants.engines().retry_rejects())
    assert all(map(has_all, refusing))
    assert [(name, process.mode) for name, process in tenants.over] == [("t0", "rejects"), ("t1", "rejects")]


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hours", [-6, 6])
def test_a_clock_that_is_set_back_or_ahead_puts_nothing_off(tenants: Tenants, hours: int) -> None:
    tenant = tenants.add("acme", every_s=100)

    async def main() -> None:
        running = asyncio.create_task(tenants.engines().run())
        await asyncio.sleep(50)
        tenants.clock.off = timedelta(hours=hours)
        await asyncio.sleep(300)
        running.cancel()

    tenants.during(400, main())
    assert len(tenants.done) == 4
    assert has_all(tenant)


def test_a_machine_that_slept_is_late_for_all_that_was_due_meanwhile(tenants: Tenants) -> None:
    tenants.add("acme", every_s=10)
    tenants.add("acme", object_="companies", every_s=3600)

    async def main() -> None:
        running = asyncio.create_task(tenants.engines().run())
        await asyncio.sleep(5)
        tenants.clock.off = timedelta(hours=1)
        await asyncio.sleep(30)
        running.cancel()

    tenants.during(100, main())
    assert tenants.done.count("acme/companies") == 2


def test_a_clock_that_is_set_back_during_a_wait_makes_it_twice_as_long_at_most(tenants: Tenants) -> None:
    tenant = tenants.add("acme")
    tenant.crm.failures = [waiting(40)]

    async def main() -> None:
        running = asyncio.create_task(tenants.engines().run())
        await asyncio.sleep(20)
        tenants.clock.off = timedelta(hours=-6)
        await asyncio.sleep(70)
        running.cancel()

    tenants.during(100, main())
    assert has_all(tenant)
    assert len(tenants.asked) == 2


def test_after_an_outage_each_is_due_once(tenants: Tenants) -> None:
    tenants.add("acme", every_s=100)
    tenants.once()
    tenants.clock.off = timedelta(hours=6)
    tenants.run(50)
    assert tenants.done == ["acme", "acme"]


def test_a_sink_that_is_replaced_is_filled_anew_and_then_left_for_as_long_as_ever(tenants: Tenants) -> None:
    tenant = tenants.add("acme", every_s=10)

    async def main() -> None:
        running = asyncio.create_task(tenants.engines().run())
        await asyncio.sleep(5)
        tenant.sink.name = "dict#another"
        await asyncio.sleep(30)
        running.cancel()

    tenants.during(100, main())
    assert [process.mode for _, process in tenants.over] == ["initial", "initial", "ongoing", "ongoing"]


def test_a_restart_makes_nothing_due_that_is_not(tenants: Tenants) -> None:
    tenants.add("acme", every_s=86400)
    tenants.once()
    tenants.asked.clear()
    tenants.run(3600)
    assert tenants.asked == []


# ── what is asked for ────────────────────────────────────────────────────────────────────────────


def test_after_all_records_come_those_that_are_new(tenants: Tenants) -> None:
    tenants.add("acme", every_s=10)
    tenants.run(25)
    assert [process.mode for _, process in tenants.over] == ["initial", "ongoing", "ongoing"]


def test_an_active_sync_keeps_its_limits_and_the_next_has_those_asked_for(tenants: Tenants) -> None:
    request = SyncRequest(mode="ongoing", options=replace(Options(), attempts_max=20))
    tenants.add("acme", every_s=10, request=request).engine().start()
    tenants.run(15)
    assert [process.options.attempts_max for _, process in tenants.over] == [8, 20]


def test_one_sync_can_be_run_now_while_all_run(tenants: Tenants) -> None:
    large, other = tenants.add("large", 1000), tenants.add("other")

    async def main() -> None:
        engines = tenants.engines(slice_s=3)
        running = asyncio.create_task(engines.run())
        await asyncio.sleep(5)
        large.crm.create()
        other.crm.create()
        await engines.run_once(["other", "large"])
        await engines.run_once(["large"])  # what came while the first was under way
        running.cancel()

    tenants.during(100, main())
    assert has_all(other)
    assert has_all(large)


def test_the_same_engines_run_in_one_event_loop_after_another(tenants: Tenants) -> None:
    for number in range(4):
        tenants.add(f"t{number}")
    engines = tenants.engines(at_once=1)
    for _ in range(2):
        tenants.during(100, engines.run_once())
    assert len(tenants.done) == 8


def test_how_each_stands_is_told_of_all_and_of_one_that_cannot_be_run_too(tenants: Tenants) -> None:
    tenants.add("done")
    tenants.add("fails").crm.failures = [WRONG_KEY]
    tenants.add("never")
    tenants.add("broken", make=no_engine)
    tenants.once("done", "fails")
    found = {seen.sync: seen for seen in tenants.ask(lambda engines: engines.standings())}
    assert [found[name].is_unfinished for name in ("done", "fails", "never", "broken")] == [
        False,
        True,
        False,
        False,
    ]
    assert found["done"].last_sync_at is not None
    assert found["done"].route is not None
    assert found["done"].route.source == "crm@done"
    assert found["fails"].process.failure.reason == "unauthorized"
    assert found["broken"].trouble == "there is no key in ACME_API_KEY: set it"
    assert found["never"].due_at < found["done"].due_at < found["fails"].due_at + timedelta(seconds=10)


# ── wrong use ────────────────────────────────────────────────────────────────────────────────────


def test_two_syncs_need_two_names(tenants: Tenants) -> None:
    tenants.add("acme")
    tenants.add("acme")
    with pytest.raises(ConfigurationError, match="two syncs are called acme"):
        tenants.engines()


def test_two_syncs_that_bring_the_same_into_the_same_sink_are_told_so(tenants: Tenants) -> None:
    tenant = tenants.add("acme")
    tenants.syncs.append(AccountSync("acme", tenant.engine, label="again"))
    tenants.run(10)
    assert [(name, str(error)) for name, error in tenants.troubles] == [
        ("acme/again", "acme/again and acme bring the same into the same sink")
    ]
    for _ in range(2):  # however often they are asked for
        found = {seen.sync: seen.trouble for seen in tenants.ask(lambda engines: engines.standings())}
        assert found == {"acme": None, "acme/again": "acme/again and acme bring the same into the same sink"}


def test_a_source_that_is_another_accounts_is_not_asked(tenants: Tenants) -> None:
    wrong = Tenant(tenants, "globex", 3, "people")
    tenants.add("acme", make=wrong.engine)
    tenants.run(10)
    assert "open that with account='acme'" in str(tenants.troubles[0][1])
    assert tenants.asked == []


@pytest.mark.parametrize("at_once", [0, -1])
def test_no_places_are_refused(tenants: Tenants, at_once: int) -> None:
    with pytest.raises(ConfigurationError, match="nothing would ever run"):
        tenants.engines(at_once=at_once)


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan")])
def test_no_pause_is_refused(tenants: Tenants, every_s: float) -> None:
    with pytest.raises(ConfigurationError, match="leaves no pause"):
        tenants.add("acme", every_s=every_s)


def test_a_sync_that_is_none_is_refused(tenants: Tenants) -> None:
    with pytest.raises(ConfigurationError, match="no sync 'acme'"):
        tenants.once("acme")

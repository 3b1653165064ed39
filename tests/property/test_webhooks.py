"""Webhooks in any order, any number of times, while everything dies: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.options import Options
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.process import Process
from syncfsm.engine.watcher import BUSY_S
from syncfsm.errors import ActiveSync, ConfigurationError, SyncfsmError
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from syncfsm.sources.protocol import Record, Transformed
from syncfsm.webhooks import WebhookWorker
from syncfsm.webhooks.worker import IN_A_ROW_MAX
from tests.crm import Book, Desk, Died
from tests.fakes import WRONG_KEY, Item, TestClock, to_items
from tests.property.test_crash_and_resume import Died as LogDied
from tests.property.test_crash_and_resume import MortalLog
from tests.property.test_ongoing import APPEND_DEATHS, DEATHS, Deaths

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["create", "change", "delete", "merge"]), st.integers(0, 30), st.integers(0, 2)
    ),
    max_size=12,
)


def worker_of(desk: Desk, **settings: Any) -> WebhookWorker[Any]:
    return WebhookWorker(desk.engine, page_size=3, settle_s=2.0, clock=desk.clock, **settings)


def tell(desk: Desk, key: str, *record_ids: str, gone: tuple[ToldGone, ...] = ()) -> bool:
    at = desk.clock.now()
    return desk.log.receive(
        Notice(source="crm", object="people", key=key, record_ids=record_ids, received_at=at, gone=gone)
    )


def happen(
    desk: Desk, changes: list[tuple[str, int, int]]
) -> list[tuple[str, tuple[str, ...], tuple[ToldGone, ...]]]:
    """Change the CRM, and return what is told of it: each message at least once, some again, in any order."""
    told: list[tuple[str, tuple[str, ...], tuple[ToldGone, ...]]] = []
    for number, (verb, whom, again) in enumerate(changes):
        people = sorted(desk.crm.people)
        person = people[whom % len(people)] if people else ""
        ids: tuple[str, ...] = (person,)
        gone: tuple[ToldGone, ...] = ()
        match verb if people else "create":
            case "create":
                ids = (desk.crm.create(),)
            case "change":
                desk.crm.change(person)
            case "delete":
                desk.crm.delete(person)
                gone = (ToldGone(record_id=person),)
            case "merge":
                desk.crm.delete(person)
                ids = (desk.crm.create(), person)
                gone = (ToldGone(record_id=person, into=ids[0]),)
        told += [(f"{number}", ids, gone)] * (1 + again)
    return told


def work_until_nothing_waits(desk: Desk) -> None:
    """Take turns, with a new worker after each death, as long as anything waits or is under way."""
    for _ in range(300):
        desk.clock.at += timedelta(seconds=3)
        try:
            asyncio.run(worker_of(desk).turn())
        except (Died, LogDied):
            continue
        if not desk.log.waiting("crm", "people").notices and not desk.engine().active():
            return
    raise AssertionError("something waits for ever")


@settings(deadline=None)
@given(
    people=st.integers(0, 6),
    changes=CHANGES,
    order=st.randoms(use_true_random=False),
    deaths=DEATHS,
    appends=APPEND_DEATHS,
)
def test_whatever_is_told_in_whatever_order_the_sink_is_as_the_crm(
    people: int, changes: Any, order: Any, deaths: set[int], appends: set[tuple[int, str]]
) -> None:
    with MortalLog(set()) as log:
        sink = Book()
        desk = Desk(log, sink=sink)
        for _ in range(people):
            desk.crm.create()
        desk.sync()
        told = happen(desk, changes)
        order.shuffle(told)
        sink.around = killer = Deaths(deaths)
        desk.crm.before_answer = killer
        log.deaths = {(log.appends + count, when) for count, when in appends}
        for key, ids, gone in told:
            tell(desk, key, *ids, gone=gone)
        work_until_nothing_waits(desk)
        log.deaths = set()
        assert desk.texts == desk.world
        assert len(set(sink.deletions)) == len(sink.deletions)
        for process_id in log.ids():
            progress = log.load(process_id).progress
            assert progress.fetched == progress.delivered + progress.rejected
        assert (verify(log)[1], check(log)[1]) == ([], [])


def test_what_waits_together_is_asked_for_together_and_each_once() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        ids = [desk.crm.create() for _ in range(7)]
        for number in range(21):
            tell(desk, f"{number}", ids[number % 7])
        over: list[Process] = []
        desk.clock.at += timedelta(seconds=3)
        assert asyncio.run(worker_of(desk, on_over=over.append).turn()) == 0.0
        assert [process.progress.fetched for process in over] == [7]
        assert [len(request.record_ids) for request in desk.crm.requests] == [3, 3, 1]


def test_a_second_sink_is_refused_for_it_would_get_what_the_first_one_left() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        work_until_nothing_waits(desk)
        desk.sink = Book()
        desk.sink.name = "other"
        with pytest.raises(ConfigurationError, match="in this log go to dict: give other a log of its own"):
            desk.engine().take_up_webhooks()


def test_a_change_is_left_to_settle() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        worker = worker_of(desk, poll_s=0.5)
        assert asyncio.run(worker.turn()) == 0.5
        assert desk.log.ids() == []
        desk.clock.at += timedelta(seconds=2)
        assert asyncio.run(worker.turn()) == 0.0


def test_while_another_sync_is_active_it_waits() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        desk.clock.at += timedelta(seconds=3)
        other = desk.engine().start()
        assert asyncio.run(worker_of(desk, poll_s=0.5).turn()) == 0.5
        assert desk.log.waiting("crm", "people").notices
        desk.run(other)
        assert asyncio.run(worker_of(desk).turn()) == 0.0
        assert not desk.log.waiting("crm", "people").notices


def test_a_failure_is_waited_out_and_then_gone_on_with() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        desk.clock.at += timedelta(seconds=3)
        desk.crm.failures = [WRONG_KEY]
        over: list[Process] = []
        worker = worker_of(desk, on_over=over.append, pause_s=30.0)
        assert asyncio.run(worker.turn()) == 30.0
        assert asyncio.run(worker.turn()) == 0.0
        assert [process.state for process in over] == [State.FAILED, State.COMPLETED]
        assert len(desk.log.ids()) == 1


def test_one_that_always_fails_is_in_the_way_of_no_other() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        bad, late, other = (desk.crm.create() for _ in range(3))

        async def choosy(records: Sequence[Record]) -> Transformed[Item] | Failure:
            return WRONG_KEY if any(record.id == bad for record in records) else await to_items(records)

        over: list[Process] = []
        worker: WebhookWorker[Item] = WebhookWorker(
            lambda: desk.engine_of(desk.crm, choosy), clock=desk.clock, on_over=over.append
        )
        for key, record_id in (("1", bad), ("2", late), ("3", other)):
            tell(desk, key, record_id)
            desk.clock.at += timedelta(seconds=3)
            if record_id == late:
                desk.crm.failures = [WRONG_KEY]  # of the source, and it passes
            asyncio.run(worker.turn())
        assert desk.texts.keys() == {other}
        for _ in range(4):
            asyncio.run(worker.turn())
        assert desk.texts.keys() == {late, other}
        assert [process.state for process in over].count(State.FAILED) >= 3
        assert len(log.ids()) == 3


def test_a_sync_in_the_way_is_said_once_and_again_after_some_minutes() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        left_behind = desk.engine().start()
        troubles: list[SyncfsmError] = []
        worker = worker_of(desk, on_trouble=troubles.append)
        for _ in range(20):
            desk.clock.at += timedelta(minutes=1)
            asyncio.run(worker.turn())
        assert len(troubles) == 2
        assert left_behind.id in str(troubles[0])


def test_one_process_after_the_other_leaves_room_for_other_syncs() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        worker = worker_of(desk)
        pauses_s = []
        for number in range(2 * IN_A_ROW_MAX):
            tell(desk, f"{number}", desk.crm.create())
            desk.clock.at += timedelta(seconds=3)
            pauses_s.append(asyncio.run(worker.turn()))
        assert [index for index, pause_s in enumerate(pauses_s) if pause_s > BUSY_S] == [9, 19]


def test_a_notice_of_a_time_to_come_is_not_waited_for() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        desk.clock.at -= timedelta(hours=6)
        asyncio.run(worker_of(desk).turn())
        assert desk.texts == desk.world


def test_a_process_that_is_active_keeps_its_limits_and_the_next_has_those_asked_for() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        assert desk.engine().take_up_webhooks() is not None
        over: list[Process] = []
        worker = worker_of(desk, on_over=over.append, options=Options(attempts_max=20))
        for key in ("2", "3"):
            assert asyncio.run(worker.turn()) == 0.0
            tell(desk, key, desk.crm.create())
            desk.clock.at += timedelta(seconds=3)
        assert [process.options.attempts_max for process in over] == [8, 20]


def test_a_process_that_was_cancelled_loses_nothing() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        begun = desk.engine().take_up_webhooks()
        assert begun is not None
        desk.engine().cancel(begun.id)
        work_until_nothing_waits(desk)
        assert desk.texts == desk.world


def test_a_log_that_cannot_be_written_now_is_said_and_waited_for() -> None:
    with MortalLog(set()) as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        desk.clock.at += timedelta(seconds=3)
        log._connection.execute("PRAGMA query_only = ON")
        troubles: list[SyncfsmError] = []
        worker = worker_of(desk, on_trouble=troubles.append, pause_s=30.0)
        assert asyncio.run(worker.turn()) == 30.0
        assert "cannot be written" in str(troubles[0])
        log._connection.execute("PRAGMA query_only = OFF")
        assert asyncio.run(worker.turn()) == 0.0


class YieldingClock(TestClock):
    """A clock whose sleepers let others run."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


def test_it_takes_turns_until_it_is_stopped_and_closes_what_it_holds() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        desk.clock = desk.crm.clock = YieldingClock()
        tell(desk, "1", desk.crm.create())

        async def main() -> None:
            is_over = asyncio.Event()
            task = asyncio.create_task(worker_of(desk, on_over=lambda _process: is_over.set()).run())
            await is_over.wait()
            desk.sink.closed = False
            await asyncio.sleep(0)  # it has made another engine, and waits
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())
        assert desk.texts == desk.world
        assert desk.sink.closed


def test_seen_notices_are_cleared_after_a_week() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        work_until_nothing_waits(desk)
        assert not tell(desk, "1")
        desk.clock.at += timedelta(days=8)
        asyncio.run(worker_of(desk).turn())
        assert tell(desk, "1", "r1")


def test_of_a_sync_of_webhooks_no_other_sync_takes_the_place() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        tell(desk, "1", desk.crm.create())
        assert desk.engine().take_up_webhooks() is not None
        try:
            desk.sync()
        except ActiveSync as busy:
            assert "a sync of what webhooks told of" in str(busy)  # noqa: PT017
        else:
            raise AssertionError("two were active")

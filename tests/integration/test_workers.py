"""Workers on one queue: no event without its job, no job without its event, and one slice of an account."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import AlreadyEnqueued

from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.commit import commit
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest
from syncfsm.errors import SyncfsmError
from syncfsm.log import EventLog, open_log
from syncfsm.log.postgres.store import PostgresLog
from syncfsm.postgres.address import parse
from syncfsm.workers import AccountSync
from syncfsm.workers.queue import turns
from syncfsm.workers.queue.jobs import Jobs
from syncfsm.workers.queue.schema import made_ready, queue_connection
from syncfsm.workers.queue.slot import Slot
from syncfsm.workers.queue.upkeep import Upkeep
from syncfsm.workers.queue.worker import Worker
from tests.crm import Crm
from tests.fakes import DictSink, Item, TestClock, to_items

PAGE = 10


class Account:
    """A CRM of an account, and a sink; its engines are made anew for each slice."""

    def __init__(self, name: str, people: int) -> None:
        self.name = name
        self.clock = TestClock()
        self.crm = Crm(self.clock)
        self.crm.name = self.crm.kind = f"crm@{name}"
        for _ in range(people):
            self.crm.create()
        self.sink = DictSink()

    def sync(self, log: EventLog, every_s: float) -> AccountSync[Item]:
        request = SyncRequest(mode="ongoing", page_size=PAGE)
        return AccountSync(self.name, lambda: self._engine(log), request=request, every_s=every_s)

    def _engine(self, log: EventLog) -> Engine[Item]:
        return Engine(log, self.crm, self.sink, to_items)


class Office:
    """A log and a queue, accounts, and slots that work on them."""

    def __init__(self, url: str, **people: int) -> None:
        self.url = url
        self.accounts = {name: Account(name, count) for name, count in people.items()}
        self.is_stopping = False
        self.over: list[Process] = []
        self.troubles: list[SyncfsmError] = []
        self.every_s = 3600.0
        open_log(url).close()
        made_ready(url)
        self.connection = queue_connection(parse(url), "test")
        turns.register(self.connection, [(name, name, 3600.0) for name in self.accounts])
        self._slots: list[Slot[Item]] = []

    def fleet(self, log: EventLog) -> Iterator[AccountSync[Item]]:
        return (account.sync(log, self.every_s) for account in self.accounts.values())

    def slot(self, slice_s: float = 3600.0) -> Slot[Item]:
        self._slots.append(
            Slot(
                self.url,
                self.fleet,
                worker=f"worker {len(self._slots)}",
                slice_s=slice_s,
                is_stopping=lambda: self.is_stopping,
                on_over=lambda _sync, process: self.over.append(process),
                on_trouble=lambda _sync, error: self.troubles.append(error),
            )
        )
        return self._slots[-1]

    def jobs(self) -> list[tuple[Any, ...]]:
        """Return the jobs that wait: their sync, and whether they wait for a time to come."""
        sql = (
            "SELECT args->>'sync', coalesce(scheduled_at > now(), false) FROM procrastinate_jobs ORDER BY id"
        )
        return self.connection.execute(sql).fetchall()

    def forget_jobs(self) -> None:
        self.connection.execute("DELETE FROM procrastinate_jobs")
        self.connection.execute("UPDATE account_waits SET not_before = now()")

    def process(self, name: str) -> Process:
        with open_log(self.url) as log:
            found = log.latest(f"crm@{name}", "people", self.accounts[name].sink.name, mode=None)
        assert found is not None
        return found

    def close(self) -> None:
        for slot in self._slots:
            slot.close()
        self.connection.close()


@pytest.fixture
def office(newest_postgres_url: str) -> Iterator[Office]:
    made = Office(newest_postgres_url, small=25, large=200)
    yield made
    made.close()


def work(slot: Slot[Item], name: str) -> None:
    asyncio.run(slot.work_on(name))


def started(process_id: str) -> tuple[str, tuple[e.Event, ...]]:
    begun = e.SyncStarted(
        source="crm",
        object="people",
        sink="dict:",
        mode="initial",
        page_size=PAGE,
        order="newest",
        options=Options(),
    )
    return process_id, (begun,)


# ── jobs and events ──────────────────────────────────────────────────────────────────────────


def test_an_event_whose_job_waits_already_is_written_all_the_same(newest_postgres_url: str) -> None:
    jobs = Jobs()
    with PostgresLog(newest_postgres_url, within=lambda c, _after: jobs.defer(c, "acme")) as log:
        made_ready(newest_postgres_url)
        process = commit(log, None, *started("a"), at=TestClock().now())
        process = commit(log, process, "a", (e.FetchingBegan(found={}),), at=TestClock().now())
        assert log.version("a") == process.version == 2
        counts = log.connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
        assert counts == (1,)


def test_without_its_savepoint_the_event_would_be_gone_and_nobody_told(newest_postgres_url: str) -> None:
    """What the savepoint is for: the error is caught, the commit returns, and nothing was committed."""
    jobs = Jobs()
    open_log(newest_postgres_url).close()
    made_ready(newest_postgres_url)
    with queue_connection(parse(newest_postgres_url), "test") as connection:
        connection.execute("CREATE TABLE events_of_mine (id int)")
        jobs.defer(connection, "acme")
        with connection.transaction():
            connection.execute("INSERT INTO events_of_mine VALUES (1)")
            with pytest.raises(AlreadyEnqueued):
                _defer_without_a_savepoint(jobs, connection)
        assert connection.execute("SELECT count(*) FROM events_of_mine").fetchone() == (0,)


def _defer_without_a_savepoint(jobs: Jobs, connection: psycopg.Connection[Any]) -> None:
    jobs.job(connection, "acme").defer(sync="acme")


def test_an_event_that_is_refused_leaves_no_job(newest_postgres_url: str) -> None:
    jobs = Jobs()
    with PostgresLog(newest_postgres_url, within=lambda c, after: jobs.defer(c, after.id)) as log:
        made_ready(newest_postgres_url)
        commit(log, None, *started("a"), at=TestClock().now())
        with pytest.raises(SyncfsmError):
            commit(log, None, *started("b"), at=TestClock().now())
        assert log.connection.execute("SELECT args->>'sync' FROM procrastinate_jobs").fetchall() == [("a",)]


def test_a_job_that_is_refused_leaves_no_event(newest_postgres_url: str) -> None:
    def refuse(_connection: object, _after: Process) -> None:
        raise RuntimeError("no job")

    with PostgresLog(newest_postgres_url, within=refuse) as log:
        with pytest.raises(RuntimeError):
            commit(log, None, *started("a"), at=TestClock().now())
        assert log.ids() == []


# ── slices ───────────────────────────────────────────────────────────────────────────────────


def test_a_slice_that_ends_early_leaves_the_job_that_goes_on(office: Office) -> None:
    slot = office.slot(slice_s=0.0)
    work(slot, "large")
    process = office.process("large")
    assert process.is_active
    assert process.progress.pages == 1
    assert office.jobs() == [("large", True)]


def test_slices_bring_everybody_once_and_leave_no_job(office: Office) -> None:
    slots = [office.slot(slice_s=0.0), office.slot(slice_s=0.0)]
    turn = 0
    while not office.over:
        office.forget_jobs()
        work(slots[turn % 2], "large")
        turn += 1
    assert turn == 21  # of 20 pages, and the last found that this is all
    assert office.over[0].state is State.COMPLETED
    assert len(office.accounts["large"].sink.items) == 200
    assert office.jobs() == []


def test_a_large_account_goes_to_the_back_of_the_queue_after_each_slice(office: Office) -> None:
    """By its number: a job that is put back as the same job would be the oldest again, and come first."""
    jobs = Jobs()
    jobs.defer(office.connection, "large")
    office.connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    jobs.defer(office.connection, "small")
    work(office.slot(slice_s=0.0), "large")
    waiting = "SELECT args->>'sync' FROM procrastinate_jobs WHERE status = 'todo' ORDER BY priority DESC, id"
    assert office.connection.execute(waiting).fetchall() == [("small",), ("large",)]


def test_a_worker_that_is_to_stop_ends_after_the_page_and_puts_the_slice_back(office: Office) -> None:
    office.is_stopping = True
    work(office.slot(), "large")
    assert office.process("large").progress.pages == 1
    assert office.jobs() == [("large", True)]


def test_an_account_that_is_worked_on_is_left_alone_and_its_job_put_back(office: Office) -> None:
    first, second = office.slot(), office.slot()
    turn = turns.Turn(sync="large", account="large", worker="first")
    assert turns.take(first.log.connection, turn) is None
    work(second, "large")
    assert office.jobs() == [("large", True)]
    assert not office.accounts["large"].crm.requests


def test_a_doubled_job_finds_the_account_worked_on(office: Office) -> None:
    slots = [office.slot(slice_s=0.0) for _ in range(3)]

    async def at_once() -> None:
        await asyncio.gather(*(slot.work_on("large") for slot in slots))

    asyncio.run(at_once())
    assert office.process("large").progress.pages == 1
    assert office.troubles == []


def test_an_account_that_is_told_to_wait_keeps_nobody_else_waiting(office: Office) -> None:
    turn = turns.Turn(sync="large", account="large", worker="another")
    turns.take(office.connection, turn)
    turns.give_back(office.connection, turn, due_s=0, wait_s=600)
    slot = office.slot()
    work(slot, "large")
    work(slot, "small")
    assert office.jobs() == [("large", True)]
    assert [process.source for process in office.over] == ["crm@small"]


def test_of_an_account_nothing_is_asked_for_a_second_after_a_slice(office: Office) -> None:
    slots = office.slot(slice_s=0.0), office.slot(slice_s=0.0)
    work(slots[0], "large")
    work(slots[1], "large")
    assert office.process("large").progress.pages == 1  # else two limits of a second would be one's


def test_a_dead_worker_gives_back_its_turn_by_dying(office: Office) -> None:
    code = (
        "import sys, time; from syncfsm.workers.queue import turns; "
        "from syncfsm.workers.queue.schema import queue_connection; "
        "from syncfsm.postgres.address import parse; "
        "c = queue_connection(parse(sys.argv[1]), 'victim'); "
        "print(turns.take(c, turns.Turn(sync='large', account='large', worker='victim')), flush=True); "
        "time.sleep(60)"
    )
    victim = subprocess.Popen([sys.executable, "-c", code, office.url], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "None\n"
    slot = office.slot()
    work(slot, "large")
    assert office.jobs() == [("large", True)]
    victim.kill()
    victim.wait()
    victim.stdout.close()
    office.forget_jobs()
    _until(lambda: bool(work(slot, "large") or office.over))
    assert office.over[0].state is State.COMPLETED


def _until(is_there: Any) -> None:
    """Ask until it is so: the server takes a moment to notice that somebody is gone."""
    for _ in range(1000):
        if is_there():
            return
    raise AssertionError("it never was")


def test_a_turn_that_was_lost_with_its_connection_ends_the_slice(office: Office) -> None:
    slot = office.slot()
    crm = office.accounts["large"].crm

    def cut() -> None:
        if len(crm.requests) == 3:
            office.connection.execute(
                "SELECT pg_terminate_backend(%s)", (slot.log.connection.info.backend_pid,)
            )

    crm.before_answer = cut
    work(slot, "large")
    process = office.process("large")
    assert process.is_active
    assert process.progress.pages == 4  # the page that was under way, and no other
    assert office.jobs() == [("large", True)]


def test_a_job_for_what_is_not_due_begins_nothing(office: Office) -> None:
    slot = office.slot()
    work(slot, "small")
    office.forget_jobs()
    work(slot, "small")
    assert len(office.over) == 1
    assert office.process("small").mode == "initial"


# ── what is due, and what is stalled ─────────────────────────────────────────────────────────


def test_after_an_outage_each_sync_that_is_due_comes_once(office: Office) -> None:
    upkeep = Upkeep(
        parse(office.url), Worker(office.url, office.fleet).queue(), {"small": "small", "large": "large"}
    )
    assert upkeep.defer_due() == 2
    assert upkeep.defer_due() == 0
    office.connection.execute("UPDATE turns SET due_at = now() - interval '3 hours'")
    assert upkeep.defer_due() == 2  # whose jobs wait already
    assert sorted(office.jobs()) == [("large", False), ("small", False)]
    upkeep.close()


def test_what_is_over_is_due_when_its_time_has_come(office: Office) -> None:
    work(office.slot(), "small")
    due = office.connection.execute("SELECT due_at - now() FROM turns WHERE sync = 'small'").fetchone()
    assert due is not None
    assert 3500 < due[0].total_seconds() <= 3600


def stalled(office: Office, name: str) -> None:
    """Let a worker that is dead hold the job of a sync."""
    Jobs().defer(office.connection, name)
    office.connection.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '31 s')"
    )
    office.connection.execute(
        "UPDATE procrastinate_jobs SET status = 'doing', "
        "worker_id = (SELECT max(id) FROM procrastinate_workers) WHERE queueing_lock = %s",
        (name,),
    )


def rescued(office: Office) -> int:
    async def rescue() -> int:
        app = Worker(office.url, office.fleet).queue()
        async with app.open_async():
            return await Upkeep(parse(office.url), app, {}).rescue()

    return asyncio.run(rescue())


def statuses(office: Office) -> list[tuple[str, ...]]:
    return office.connection.execute("SELECT queueing_lock, status::text FROM procrastinate_jobs").fetchall()


def test_what_is_to_come_more_often_from_now_on_is_due_sooner(office: Office) -> None:
    work(office.slot(), "small")
    turns.register(office.connection, [("small", "small", 5.0)])
    due = office.connection.execute("SELECT due_at - now() FROM turns WHERE sync = 'small'").fetchone()
    assert due is not None
    assert 0 < due[0].total_seconds() <= 5


def test_the_job_of_a_dead_worker_is_given_to_another(office: Office) -> None:
    stalled(office, "large")
    assert rescued(office) == 1
    assert statuses(office) == [("large", "todo")]


def test_a_stalled_job_is_gone_where_another_waits_and_holds_no_other_up(office: Office) -> None:
    stalled(office, "large")
    Jobs().defer(office.connection, "large")
    stalled(office, "small")
    assert rescued(office) == 2
    assert sorted(statuses(office)) == [("large", "todo"), ("small", "todo")]


def test_a_process_that_does_not_move_is_told_of_once(office: Office) -> None:
    slot = office.slot(slice_s=0.0)
    work(slot, "large")
    office.connection.execute("UPDATE processes SET updated_at = '2026-01-01T00:00:00.000000Z'")
    upkeep = Upkeep(parse(office.url), Worker(office.url, office.fleet).queue(), {"large": "large"})
    assert [sync for sync, _ in upkeep.stalled(slot.log)] == ["large"]
    assert upkeep.stalled(slot.log) == []
    upkeep.close()


def test_who_is_on_what_is_known(office: Office) -> None:
    assert turns.workers_on(office.connection) == {}
    slot = office.slot()
    seen: list[dict[str, str]] = []
    office.accounts["small"].crm.before_answer = lambda: seen.append(turns.workers_on(office.connection))
    work(slot, "small")
    assert seen[-1] == {office.process("small").id: "worker 0"}
    assert turns.workers_on(office.connection) == {}


def test_the_queue_is_made_once_and_again_without_harm(office: Office) -> None:
    Jobs().defer(office.connection, "small")
    made_ready(office.url)
    assert office.jobs() == [("small", False)]


def test_a_log_without_a_queue_has_nobody_on_it(newest_postgres_url: str) -> None:
    with PostgresLog(newest_postgres_url) as log:
        assert log.ask(turns.workers_on) == {}

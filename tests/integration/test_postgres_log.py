"""The PostgreSQL log: the contract, and what is particular to a server that many share."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from syncfsm.core.process import Process
from syncfsm.errors import (
    ActiveSync,
    ConfigurationError,
    CorruptLog,
    LogError,
    LogNotFound,
    LogUnwritable,
    ProcessNotFound,
    VersionConflict,
)
from syncfsm.log import EventLog, open_dry_run, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.patience import patiently
from syncfsm.log.postgres import opening
from syncfsm.log.postgres.digests import PROCESSES_MAX
from syncfsm.log.postgres.schema import MIGRATIONS, Migration
from syncfsm.log.tail import Watch, is_passing
from syncfsm.outside.clock import SystemClock
from tests.contracts.event_log import (
    BEGAN,
    CANCELLED,
    STARTED,
    EventLogContract,
    add,
    copy_of,
    notice,
)
from tests.contracts.routes import COUNTS, agrees, written
from tests.effort import tries
from tests.postgres import GIVEN, OpenLog, a_schema, admin, run
from tests.property.test_routes import SYNCS
from tests.pure import PureSync, Row, people, slice_of


class TestPostgres(EventLogContract):
    @pytest.fixture
    def log(self, postgres_url: str) -> Iterator[EventLog]:
        with open_log(postgres_url) as log:
            yield log


# ── one at a time ────────────────────────────────────────────────────────────────────────────


def test_an_append_that_another_holds_up_says_who_and_is_told_from_other_troubles(opened: OpenLog) -> None:
    one, two = opened(), opened(busy_timeout_s=0.01)
    process = add(one, None, STARTED)
    begin(one)
    add(one, process, BEGAN)
    with pytest.raises(LogUnwritable, match=r"another worker, syncfsm log .*:\d+ \(process \d+ ") as held:
        add(two, process, CANCELLED)
    assert held.value.is_locked
    assert str(one._session._connection.info.backend_pid) in str(held.value)
    assert "nothing that was recorded is lost" in str(held.value)
    one._session.connection.execute("COMMIT")
    with pytest.raises(VersionConflict, match="at version 2, not at 1"):
        add(two, process, CANCELLED)
    add(two, two.load("p1"), CANCELLED)
    assert verify(one) == (3, [])


def begin(log: Any) -> None:
    log._session.connection.execute("BEGIN")


def test_of_two_that_append_at_once_the_second_waits_and_is_refused(opened: OpenLog) -> None:
    one, two = opened(), opened()
    process = add(one, None, STARTED)
    begin(one)
    add(one, process, BEGAN)
    refused: list[BaseException] = []

    def append() -> None:
        try:
            add(two, process, CANCELLED)
        except VersionConflict as error:
            refused.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    waits_for(one, "transactionid")
    one._session.connection.execute("COMMIT")
    thread.join()
    assert "at version 2, not at 1" in str(refused[0])
    assert verify(one) == (2, [])


def waits_for(log: Any, kind: str) -> None:
    """Return when another session waits for a lock."""
    while (
        not admin().execute("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = %s", (kind,)).fetchone()
    ):
        pass


def test_of_two_that_begin_a_sync_at_once_one_does_and_the_other_is_told_of_it(opened: OpenLog) -> None:
    one, two = opened(), opened()
    begin(one)
    add(one, None, STARTED, process_id="p1")
    refused: list[ActiveSync] = []

    def append() -> None:
        try:
            add(two, None, STARTED, process_id="p2")
        except ActiveSync as error:
            refused.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    waits_for(one, "transactionid")
    one._session.connection.execute("COMMIT")
    thread.join()
    assert refused[0].process_id == "p1"
    assert two.ids() == ["p1"]


class Steps(SystemClock):
    """A clock whose waiting is somebody else's doing, at once."""

    def __init__(self, doing: Callable[[], object]) -> None:
        self._doing = doing

    async def sleep(self, seconds: float) -> None:
        self._doing()


def test_who_shares_an_event_loop_is_not_held_up_by_a_log_that_is(opened: OpenLog) -> None:
    one, two = opened(), opened()
    begin(one)
    add(one, None, STARTED)
    clock = Steps(lambda: one._session.connection.execute("ROLLBACK"))
    other = replace(STARTED, page_size=10)
    process = asyncio.run(patiently(two, clock, add, two, None, other))
    assert two.load("p1") == process
    assert two._session.lock_timeout == "5000ms"


def test_a_snapshot_that_was_loaded_before_the_log_was_put_back_is_not_appended_to(opened: OpenLog) -> None:
    log, other = opened(), opened()
    process = add(log, None, STARTED)
    run(log, "DROP SCHEMA {s} CASCADE")
    with opened() as anew:
        add(anew, None, replace(STARTED, page_size=10))
    with pytest.raises(VersionConflict, match="an older copy of the log was put in its place"):
        add(log, process, BEGAN)
    assert other.version("p1") == 1


def test_the_digests_of_many_processes_are_kept_in_mind_and_of_more_the_log_is_asked(opened: OpenLog) -> None:
    log = opened()
    begun = [
        add(log, None, replace(STARTED, source=f"s{number}"), process_id=f"p{number}")
        for number in range(PROCESSES_MAX + 2)
    ]
    for process in (begun[0], begun[-1]):
        add(log, process, BEGAN, process_id=process.id)
    assert verify(log)[1] == []


# ── within the transaction of an append ──────────────────────────────────────────────────────


def test_what_takes_part_in_an_append_is_written_with_it_or_neither_is(newest_postgres_url: str) -> None:
    def defer(connection: psycopg.Connection[Any], after: Process) -> None:
        connection.execute(log._session.text("INSERT INTO {s}.jobs VALUES (%s)"), (after.id,))

    jobs = "SELECT process FROM {s}.jobs"
    with open_log(newest_postgres_url, within=defer) as log:
        run(log, "CREATE TABLE {s}.jobs (process text UNIQUE)")
        process = add(log, None, STARTED)
        assert log._session.all(jobs) == [("p1",)]
        with pytest.raises(psycopg.errors.UniqueViolation):
            add(log, process, BEGAN)
        assert log.version("p1") == 1
        with pytest.raises(ActiveSync):
            add(log, None, STARTED, process_id="p2")
        assert log._session.all(jobs) == [("p1",)]
        run(log, "TRUNCATE {s}.jobs")
        add(log, process, BEGAN)
        assert verify(log) == (2, [])


def test_no_append_waits_or_is_idle_without_a_limit(newest_postgres_url: str) -> None:
    found: list[Any] = []
    limits = "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"

    def look(connection: psycopg.Connection[Any], after: Process) -> None:
        found.append(connection.execute(limits).fetchone())

    with open_log(newest_postgres_url, within=look, busy_timeout_s=2) as log:
        process = add(log, None, STARTED)
        with log.at_once() as waits_s:  # type: ignore[attr-defined]
            add(log, process, BEGAN)
        assert (waits_s, found) == (2, [("2s", "1min"), ("1ms", "1min")])
        assert log._session.one(limits) == ("0", "0"), "and nothing of it is left"  # type: ignore[attr-defined]


def test_whatever_is_raised_within_an_append_undoes_it(newest_postgres_url: str) -> None:
    def interrupted(connection: object, after: Process) -> None:
        raise KeyboardInterrupt

    with open_log(newest_postgres_url, within=interrupted) as log:
        with pytest.raises(KeyboardInterrupt):
            add(log, None, STARTED)
        assert log.ids() == []


# ── opening ──────────────────────────────────────────────────────────────────────────────────


def test_a_log_that_is_not_there_is_only_made_where_that_is_asked_for(newest_postgres_url: str) -> None:
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(LogNotFound, match="there is no log postgresql://"):
            open_log(newest_postgres_url, **options)
    open_log(newest_postgres_url).close()
    with open_log(newest_postgres_url, create=False) as log:
        add(log, None, STARTED)


def test_workers_that_start_at_once_make_one_log(newest_postgres_url: str) -> None:
    logs: list[EventLog] = []
    threads = [threading.Thread(target=lambda: logs.append(open_log(newest_postgres_url))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(logs) == 5
    add(logs[0], None, STARTED)
    assert {log.version("p1") for log in logs} == {1}
    for log in logs:
        log.close()


LATER = (*MIGRATIONS, Migration("later", "ALTER TABLE {s}.processes ADD COLUMN later text"))


def test_an_older_log_is_migrated_beside_workers_that_go_on(opened: OpenLog) -> None:
    older = opened()
    process = add(older, None, STARTED)
    opening.prepare(older._session, read_only=False, create=True, migrations=LATER)
    assert opening.applied(older._session) == len(LATER)
    process = add(older, process, BEGAN)
    assert older.load("p1") == process
    names = older._session.all("SELECT number, name FROM {s}.log_migrations ORDER BY number")
    assert names == [(1, "the log"), (2, "sides"), (3, "prunings"), (4, "later")]


def test_an_older_log_is_not_changed_by_who_only_reads(opened: OpenLog) -> None:
    opened()
    reader = opened(read_only=True)
    with pytest.raises(LogError, match="older than this syncfsm"):
        opening.prepare(reader._session, read_only=True, create=True, migrations=LATER)
    assert opening.applied(reader._session) == len(MIGRATIONS)


def test_a_migration_that_fails_leaves_nothing(opened: OpenLog) -> None:
    broken = (*LATER, Migration("broken", "SELECT 1 / 0"))
    session = opened()._session
    with pytest.raises(LogError, match="DivisionByZero"):
        opening.prepare(session, read_only=False, create=True, migrations=broken)
    assert opening.applied(session) == len(MIGRATIONS)
    assert session.one("SELECT to_regclass({events}) IS NOT NULL") == (True,)


def test_a_newer_log_is_refused(opened: OpenLog, newest_postgres_url: str) -> None:
    run(opened(), "INSERT INTO {s}.log_migrations (number, name) VALUES (99, 'to come')")
    for options in ({}, {"read_only": True}):
        with pytest.raises(CorruptLog, match=r"made by a newer syncfsm \(migration 99"):
            open_log(newest_postgres_url, **options)


def test_tables_of_somebody_else_are_refused_and_left_as_they_were(newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        run(log, "DROP SCHEMA {s} CASCADE; CREATE SCHEMA {s}; CREATE TABLE {s}.events (id int)")
    for options in ({}, {"read_only": True}):
        with pytest.raises(LogError, match="has other tables of the names events"):
            open_log(newest_postgres_url, **options)


def test_a_log_lives_beside_other_tables_in_its_schema(newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        run(log, "DROP SCHEMA {s} CASCADE; CREATE SCHEMA {s}; CREATE TABLE {s}.contacts (id int)")
    with open_log(newest_postgres_url) as log:
        add(log, None, STARTED)
        assert verify(log) == (1, [])


@pytest.mark.skipif(bool(GIVEN), reason="it makes a user of the server's")
def test_who_may_not_write_is_told_so(newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        add(log, None, STARTED)
        run(log, "CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA {s} TO guest")
        try:
            for kind in ("TABLES", "SEQUENCES"):
                run(log, f"GRANT SELECT ON ALL {kind} IN SCHEMA {{s}} TO guest")
            url = newest_postgres_url.replace("//postgres", "//guest")
            with open_log(url) as guest:
                assert guest.last_position() == 1
                assert verify(guest) == (1, [])
                with pytest.raises(LogUnwritable, match="may not do that"):
                    add(guest, guest.load("p1"), BEGAN)
            with open_dry_run(url) as tried, pytest.raises(LogUnwritable, match="may not do that"):
                tried.check_writable()
        finally:
            run(log, "DROP OWNED BY guest; DROP ROLE guest")


@pytest.mark.parametrize(
    "url", ["postgres:x", "postgresql:x", "postgres:", "POSTGRES://h/d", "postgres://a@b@c/d"]
)
def test_what_was_meant_to_be_a_server_is_not_taken_for_a_file(url: str) -> None:
    for opening_of in (open_log, open_dry_run):
        with pytest.raises(ConfigurationError, match="PostgreSQL"):
            opening_of(url)


def test_a_server_that_does_not_answer_is_said_not_to_and_no_password_is_shown() -> None:
    with pytest.raises(LogUnwritable, match="no server answers at that host and port") as refused:
        open_log("postgresql://ada:Tr0ub4dor@127.0.0.1:1/crm?connect_timeout=2")
    assert "postgresql://ada@127.0.0.1:1/crm cannot be reached" in str(refused.value)
    assert "Tr0ub4dor" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_log_is_called_by_its_url_without_the_password(newest_postgres_url: str) -> None:
    url = newest_postgres_url.replace("postgres:@", "postgres:Tr0ub4dor@")
    with open_log(url) as log:
        shown = f"{log!r} {log.path}"  # type: ignore[attr-defined]
        with pytest.raises(ProcessNotFound) as missing:
            log.load("nobody")
    assert "Tr0ub4dor" not in f"{shown} {missing.value}"
    assert "schema=test" in shown
    with open_log(log.path) as again:  # type: ignore[attr-defined]
        assert again.ids() == []


def test_a_log_that_is_closed_twice_is_closed(newest_postgres_url: str) -> None:
    log = open_log(newest_postgres_url)
    log.close()
    log.close()


# ── reading and trying ───────────────────────────────────────────────────────────────────────


def test_a_log_opened_for_reading_cannot_be_written(opened: OpenLog) -> None:
    opened()
    reader = opened(read_only=True)
    with pytest.raises(LogUnwritable, match="takes no writes"):
        add(reader, None, STARTED)
    with pytest.raises(LogUnwritable, match="takes no writes"):
        reader.receive(notice("k", "r"))


def test_what_is_tried_on_a_log_is_not_kept(newest_postgres_url: str) -> None:
    with open_dry_run(newest_postgres_url) as tried:
        assert tried.is_new
        add(tried, None, STARTED)
    with pytest.raises(LogNotFound):
        open_log(newest_postgres_url, read_only=True)
    with open_log(newest_postgres_url) as log:
        add(log, None, STARTED)
    with open_dry_run(newest_postgres_url) as tried:
        tried.check_writable()
        assert not tried.is_new
        with pytest.raises(ActiveSync):
            add(tried, None, STARTED, process_id="p2")
        add(tried, tried.load("p1"), BEGAN)
        assert tried.version("p1") == 2
    with open_log(newest_postgres_url) as log:
        assert log.version("p1") == 1


def test_a_reader_that_stops_in_the_middle_leaves_nothing_open(opened: OpenLog, monkeypatch: Any) -> None:
    monkeypatch.setattr("syncfsm.log.postgres.parts.PART", 2)
    monkeypatch.setattr("syncfsm.log.postgres.events.PART", 2)
    log = opened()
    sync = PureSync(slice_of(people(300)))
    sync.run()
    copy_of(sync, log)
    assert list(log.read("p1")) == [
        replace(recorded, position=number, digest=row.digest)
        for number, (recorded, row) in enumerate(
            zip(sync.recorded, log.stored_events(), strict=True), start=1
        )
    ]
    for rows in (log.read("p1"), log.stored_events(), log.scan()):
        next(iter(rows))
        assert not log._session.is_in_transaction
    with log.reading():
        next(log.scan())
    assert not log._session.is_in_transaction
    assert list(log.read("p1", until=10**30)) == list(log.read("p1"))


def test_a_large_frontier_leaves_snapshots_out_and_the_tail_is_folded(opened: OpenLog) -> None:
    ties = [Row(id=f"{index:036}", key="2026") for index in range(3000)]
    sync = PureSync(slice_of(ties), page_size=400)
    sync.run()
    log = opened()
    copy_of(sync, log)
    assert log.load("p1") == sync.process
    assert opened().load("p1") == sync.process
    assert verify(log)[1] == []


def test_a_snapshot_of_another_shape_is_ignored(opened: OpenLog) -> None:
    log = opened()
    process = add(log, None, STARTED, BEGAN)
    run(log, """UPDATE {s}.processes SET snapshot = '{{"id": "p1"}}'""".replace("{{", "{").replace("}}", "}"))
    assert log.load("p1") == process
    add(log, process, CANCELLED)


def test_a_watch_on_a_log_that_is_made_and_lost_and_made_again(newest_postgres_url: str) -> None:
    with Watch(newest_postgres_url) as watch:
        assert watch.look(lambda log: log.ids()) is None
        assert isinstance(watch.trouble, LogNotFound)
        with open_log(newest_postgres_url) as log:
            add(log, None, STARTED)
        assert watch.look(lambda log: log.ids()) == ["p1"]
        assert watch.trouble is None
    assert not is_passing(LogError("x"))


@settings(max_examples=tries(8, 100), deadline=None, suppress_health_check=list(HealthCheck))
@given(SYNCS)
def test_what_a_log_tells_of_routes_follows_from_its_events(syncs: list[Any]) -> None:
    with a_schema() as url, open_log(url) as log:
        written(log, syncs)
        agrees(log)
        assert verify(log)[1] == []


def test_what_is_asked_at_each_start_is_found_by_an_index(opened: OpenLog) -> None:
    log = opened()
    add(log, None, STARTED)
    log._session.connection.execute("SET enable_seqscan = off")
    asked: list[tuple[str, Any]] = []
    ask = log._session.all
    log._session.all = lambda template, values=(): asked.append((template, values)) or ask(template, values)
    where = ("attio", "people", "list")
    log.active(*where[:2])
    log.latest(*where)
    log.last_found("attio", "list")
    log.last_sync_time(*where)
    log.moved_since(*where, position=99)
    log.recent(over_max=1)
    log.ids(last=1)
    log.ids(begin_with="p")
    asked = [(template, values) for template, values in asked if "snapshot" not in template]  # of some ids
    plans = ["\n".join(line for (line,) in ask(f"EXPLAIN {template}", values)) for template, values in asked]
    found = [re.findall(r"Scan (?:Backward )?(?:using|on) (\w+)", plan)[-1] for plan in plans]
    assert found == [
        *("one_active_sync", "sides_pkey", "sides_pkey", "sides_pkey", "processes_by_side", "events_resumed"),
        *("one_active_sync", "processes_by_end", "processes_by_position", "processes_pkey"),
    ], plans


BUSY: list[Any] = [
    (("initial", "people", "list", None, 0), "late", dict.fromkeys(COUNTS, 3), 5),
    (("initial", "people", "list", None, 1), "completed", dict.fromkeys(COUNTS, 2), 4),
    (("ongoing", "people", "list", "updated_at", 2), "completed", dict.fromkeys(COUNTS, 1), 9),
    (("ongoing", "people", "list", None, 3), "failed", dict.fromkeys(COUNTS, 1), 9),
    (("webhook", "people", "other", None, 4), "completed", dict.fromkeys(COUNTS, 1), 9),
]


def test_a_log_from_before_there_were_sides_gets_those_that_it_would_have(
    newest_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(opening.prepare, "__kwdefaults__", {"migrations": MIGRATIONS[:1]})
        with open_log(newest_postgres_url) as log:
            written(log, BUSY)
            run(
                log, "GRANT USAGE ON SCHEMA {s} TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO PUBLIC"
            )
    with open_log(newest_postgres_url) as log:
        log._session.connection.execute("SET ROLE pg_monitor")  # any other than whose it is
        agrees(log)
        log._session.connection.execute("RESET ROLE")
        assert verify(log)[1] == []

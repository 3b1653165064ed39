"""The SQLite log: the contract, and what is particular to a file."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncfsm.core import events as e
from syncfsm.core.capture import Exchange, Forgotten
from syncfsm.core.marks import Mark
from syncfsm.core.notices import Notice
from syncfsm.errors import CorruptLog, LogError, LogUnwritable, ProcessNotFound
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.codec import stored
from syncfsm.log.read_model import Query
from syncfsm.log.sqlite.schema import SHADOWS, migrations
from tests.busy import a_busy_log
from tests.contracts.event_log import BEGAN, STARTED, EventLogContract, add, copy_of
from tests.editing import edit, without_guards
from tests.fakes import DictSink, ListSource, TestClock
from tests.pure import EPOCH, PureSync, Row, people, slice_of


class TestSqliteFile(EventLogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EventLog]:
        with open_log(f"sqlite:{tmp_path}/log.db") as log:
            yield log


class TestSqliteMemory(EventLogContract):
    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        with open_log(":memory:") as log:
            yield log


def test_a_log_in_memory_is_built_as_one_in_a_file_and_shares_nothing_with_others(tmp_path: Path) -> None:
    built = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    kept = ("application_id", "page_size", "user_version")
    with open_log(tmp_path / "log.db") as file, open_log(":memory:") as log, open_log(":memory:") as other:
        for sql in (built, *(f"PRAGMA {name}" for name in kept)):
            in_file, in_memory = (each._connection.execute(sql).fetchall() for each in (file, log))  # type: ignore[attr-defined]
            assert in_memory == in_file
        add(log, None, STARTED)
        assert len(log.ids()) == 1
        assert not other.ids()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log with one complete sync in it, closed."""
    path = tmp_path / "log.db"
    with open_log(path) as log:
        sync = PureSync(slice_of(people(120)))
        sync.run()
        copy_of(sync, log)
    return path


@pytest.mark.parametrize("statement", ["UPDATE events SET type = 'X'", "DELETE FROM events"])
def test_the_events_table_refuses_every_change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


REPLACED = (
    "SELECT position, stream, version, 'X', schema, at, data, meta, digest FROM events WHERE version = 3"
)


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT OR REPLACE INTO events {REPLACED}",
        f"REPLACE INTO events {REPLACED.replace('position', 'NULL')}",
        f"REPLACE INTO events {REPLACED.replace('version,', '99,')}",
        f"INSERT OR IGNORE INTO events {REPLACED}",
        "UPDATE OR REPLACE events SET version = 3 WHERE version = 4",
    ],
)
def test_what_would_replace_an_event_is_refused_whoever_writes(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    with open_log(path) as log:
        assert verify(log) == (9, [])


def test_even_where_a_guard_is_gone_our_own_connections_replace_nothing(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER events_refuse_replace")
    connection.close()
    with open_log(path) as log, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        log._connection.execute(f"INSERT OR REPLACE INTO events {REPLACED}")  # type: ignore[attr-defined]


CRAFTED = {
    "view": ("ALTER TABLE processes RENAME TO p", "CREATE VIEW processes AS SELECT * FROM p"),
    "virtual table": ("DROP TABLE inbox", "CREATE VIRTUAL TABLE inbox USING fts5 (source)"),
    "trigger": ("CREATE TRIGGER mine AFTER INSERT ON events BEGIN DELETE FROM inbox; END",),
    "trigger that took the name of ours": (
        "DROP TRIGGER events_tally",
        "CREATE TRIGGER events_tally AFTER INSERT ON events BEGIN SELECT load_extension('x'); END",
    ),
    "view for the migrations": (
        "ALTER TABLE _sqlite_migrations RENAME TO m",
        "CREATE VIEW _sqlite_migrations AS SELECT * FROM m",
    ),
}


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("name", CRAFTED)
def test_a_log_that_is_crafted_is_refused_when_it_is_opened(path: Path, name: str, read_only: bool) -> None:
    with sqlite3.connect(path) as connection:
        for statement in CRAFTED[name]:
            connection.execute(statement)
    connection.close()
    with pytest.raises(CorruptLog, match=r"is not built as a log is: the (view|table|trigger) "):
        open_log(path, read_only=read_only)


def test_an_event_of_a_newer_version_is_named_and_not_guessed_at(path: Path) -> None:
    edit(path, "UPDATE events SET schema = 9 WHERE version = 4", "UPDATE processes SET snapshot = NULL")
    with open_log(path, read_only=True) as log, pytest.raises(CorruptLog, match=r"position 4 .*schema 9"):
        log.load("p1")


def test_a_schema_that_never_was_is_a_corrupt_log(path: Path) -> None:
    edit(path, "UPDATE events SET schema = 0 WHERE version = 4", "UPDATE processes SET snapshot = NULL")
    with open_log(path, read_only=True) as log, pytest.raises(CorruptLog, match="schema 0"):
        log.load("p1")


def test_a_log_that_is_being_written_verifies_all_the_same(path: Path) -> None:
    with open_log(path) as writer, open_log(path, read_only=True) as reader:
        process = add(writer, None, STARTED, process_id="p2")
        projection = reader.projection

        def while_somebody_appends() -> dict[str, int]:
            add(writer, process, BEGAN, process_id="p2")
            return projection()

        reader.projection = while_somebody_appends  # type: ignore[method-assign]
        assert verify(reader)[1] == []


def test_a_snapshot_of_another_shape_is_ignored(path: Path) -> None:
    with open_log(path, read_only=True) as log:
        before = log.load("p1")
    edit(path, """UPDATE processes SET snapshot = '{"id": "p1"}'""")
    with open_log(path, read_only=True) as log:
        assert log.load("p1") == before


def test_a_large_frontier_leaves_snapshots_out_and_the_tail_is_folded(tmp_path: Path) -> None:
    ties = [Row(id=f"{index:036}", key="2026") for index in range(3000)]
    sync = PureSync(slice_of(ties), page_size=400)
    sync.run()
    with open_log(tmp_path / "log.db") as log:
        copy_of(sync, log)
        assert log.load("p1") == sync.process
        assert verify(log)[1] == []
    connection = sqlite3.connect(tmp_path / "log.db")
    (snapshot,) = connection.execute("SELECT snapshot FROM processes").fetchone()
    connection.close()
    assert f'"version":{sync.process.version}' not in snapshot


def test_a_process_of_few_events_is_folded_and_keeps_no_snapshot(tmp_path: Path) -> None:
    few, many = PureSync(slice_of(people(5)), page_size=50), PureSync(slice_of(people(50)), page_size=5)
    for sync, is_kept in ((few, False), (many, True)):
        sync.run()
        path = tmp_path / f"{len(sync.recorded)}.db"
        with open_log(path) as log:
            copy_of(sync, log)
            (snapshot,) = log._connection.execute("SELECT snapshot FROM processes").fetchone()  # type: ignore[attr-defined]
            assert (snapshot is not None) == is_kept
            assert log.load("p1") == sync.process


ROUTES = (
    "position",
    "fetching_position",
    "changed_by",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "missing",
)
WITHOUT_ROUTES = (
    "DROP INDEX processes_by_route",
    "DROP INDEX processes_by_fetching",
    "CREATE INDEX processes_by_source ON processes (source, object, sink)",
    *(f"ALTER TABLE processes DROP COLUMN {column}" for column in ROUTES),
    "DELETE FROM _sqlite_migrations WHERE name LIKE 'm006%'",
)
WITHOUT_MODES = (
    "ALTER TABLE processes DROP COLUMN mode",
    "DELETE FROM _sqlite_migrations WHERE name LIKE 'm003%'",
)


def columns_of(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(processes)")]
    connection.close()
    return columns


@pytest.mark.parametrize("read_only", [True, False])
def test_a_log_from_before_routes_had_columns_answers_the_same_and_is_only_changed_to_be_written(
    tmp_path: Path, read_only: bool
) -> None:
    path = a_busy_log(tmp_path / "log.db")
    with open_log(path) as log:
        answers = all_answers(log)
    without_guards(path)
    edit(path, *WITHOUT_ROUTES)
    with open_log(path, read_only=read_only) as log:
        assert all_answers(log) == answers
        assert verify(log)[1] == []
    assert (set(ROUTES) <= set(columns_of(path))) is not read_only


def test_what_is_asked_at_each_start_is_found_by_an_index(path: Path) -> None:
    where = ("model", "people", "list")
    with open_log(path) as log:
        connection = log._connection  # type: ignore[attr-defined]
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        log.active(*where[:2])
        log.latest(*where)
        log.last_found("model", "list")
        log.last_sync_time(*where)
        log.moved_since(*where, position=99)
        log.recent(over_max=1)
        log.ids(last=1)
        log.ids(begin_with="p")
        connection.set_trace_callback(None)
        asked = [sql for sql in asked if "snapshot" not in sql and "stream = " not in sql]  # of one process
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in asked]
    first = [plan[0][-1].split() for plan in plans]
    assert all("LIMIT" in sql for sql, plan in zip(asked, first, strict=True) if "SCAN" in plan), plans
    used = [" ".join(plan[2:5]) for plan in first]
    assert used == [
        "USING INDEX one_active_sync",
        *["USING INDEX sqlite_autoindex_sides_1"] * 3,
        "USING INDEX processes_by_position",
        "USING INTEGER PRIMARY",
        "USING INDEX one_active_sync",
        "USING INDEX processes_by_end",
        "USING INDEX processes_by_position",
        "USING INDEX sqlite_autoindex_processes_1",
    ]


def all_answers(log: EventLog) -> list[Any]:
    """Return all that the read model is asked, of every route."""
    briefs = log._routes._model.select(Query())  # type: ignore[attr-defined]
    found: list[Any] = [*briefs, log.recent(over_max=99)]
    for route in sorted(log.routes(), key=repr):
        where = (route.source, route.object, route.sink)
        found += (log.last_sync_time(*where), log.items_left_by_syncs(*where), log.last_completed(*where))
        found += (log.latest(*where), log.last_found(route.source, route.sink))
    return found


def test_a_log_from_before_routes_had_columns_is_opened_though_an_event_in_it_is_damaged(path: Path) -> None:
    damaged = "UPDATE events SET data = replace(data, ':', ';') WHERE version IN (1, 4)"
    without_guards(path)
    edit(path, damaged, *WITHOUT_ROUTES)
    with open_log(path) as log:
        assert log.ids() == ["p1"]
        assert verify(log)[1] != []


def test_a_log_from_before_there_were_retries_is_brought_up_to_date(path: Path) -> None:
    before = open_log(path, read_only=True).load("p1")
    without_guards(path)
    edit(path, *WITHOUT_ROUTES, *WITHOUT_MODES)
    with open_log(path) as log:
        assert log.latest("model", "people", "list") == before
        assert log.latest("model", "people", "list", mode="rejects") is None
        assert log.last_sync_time("model", "people", "list") == before.watermark


def test_a_log_from_before_there_were_retries_can_be_read_without_being_changed(path: Path) -> None:
    before = open_log(path, read_only=True).load("p1")
    without_guards(path)
    edit(path, *WITHOUT_ROUTES, *WITHOUT_MODES)
    with open_log(path, read_only=True) as log:
        assert log.latest("model", "people", "list") == before
        assert log.latest("model", "people", "list", mode="rejects") is None
        assert log.active("model", "people") is None
        assert log.last_sync_time("model", "people", "list") == before.watermark
        assert verify(log) == (before.version, [])
    assert "mode" not in columns_of(path)


def test_every_later_migration_says_what_a_reader_of_an_older_log_sees() -> None:
    names = [migration.name for migration in migrations._migrations]
    assert set(names[2:]) == set(SHADOWS)


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    for options in ({"read_only": True}, {}):
        with pytest.raises(LogError, match="is a folder: name the file of a log in it"):
            open_log(tmp_path, **options)


def test_a_file_has_little_room_that_is_empty(tmp_path: Path) -> None:
    sync = PureSync(slice_of([Row(id=f"{index:036}", key=f"{-index:05}") for index in range(9999, 0, -1)]))
    sync.run()
    with open_log(tmp_path / "log.db") as log:
        copy_of(sync, log)
    data_bytes = sum(len(stored(record.event)[1]) for record in sync.recorded)
    assert (tmp_path / "log.db").stat().st_size < 1.5 * data_bytes


def test_a_log_with_pages_of_another_size_is_read_and_written_as_it_is(path: Path) -> None:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("VACUUM")
    connection.close()
    with open_log(path) as log:
        add(log, None, STARTED, process_id="p2")
        assert verify(log)[1] == []
        assert log._connection.execute("PRAGMA page_size").fetchone() == (4096,)  # type: ignore[attr-defined]


def test_a_log_that_is_not_there_is_only_made_where_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="there is no log"):
        open_log(tmp_path / "log.db", read_only=True)
    with pytest.raises(LogError, match="there is no log"):
        open_log(tmp_path / "log.db", create=False)
    assert not (tmp_path / "log.db").exists()


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LogError, match="not a syncfsm log"):
        open_log(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk " * 100)
    with pytest.raises(CorruptLog, match="not a sound SQLite file"):
        open_log(path)


def test_a_log_in_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogUnwritable, match="its folder does not exist; make it"):
        open_log(tmp_path / "nowhere" / "log.db")


def test_a_full_disk_is_said_to_be_full_and_loses_nothing(path: Path) -> None:
    with open_log(path) as log:
        connection = log._connection  # type: ignore[attr-defined]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        before = log.ids()
        big = _started_with_long_source()
        with pytest.raises(LogUnwritable, match="the disk is full; make room"):
            add(log, None, big, process_id="p2")
        assert log.ids() == before
        assert verify(log)[1] == []
        connection.execute("PRAGMA max_page_count = 1000000")
        add(log, None, big, process_id="p2")


def _started_with_long_source() -> e.SyncStarted:
    values = {name: getattr(STARTED, name) for name in STARTED.__struct_fields__}
    return e.SyncStarted(**{**values, "source": "s" * 100_000})


def test_a_locked_log_is_said_to_be_locked(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_log(path, busy_timeout_s=0.01) as log:
        with pytest.raises(LogUnwritable, match="another program holds it locked"):
            add(log, None, STARTED, process_id="p2")
        other.execute("ROLLBACK")
        other.close()
        add(log, None, STARTED, process_id="p2")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_log_is_said_to_be_read_only(path: Path) -> None:
    path.chmod(stat.S_IRUSR)
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(LogUnwritable, match="read-only"):
            open_log(path)
        with open_log(path, read_only=True) as log:
            assert log.ids() == ["p1"]
    finally:
        path.parent.chmod(stat.S_IRWXU)


def test_a_log_opened_for_reading_cannot_be_written(path: Path) -> None:
    with open_log(path, read_only=True) as log, pytest.raises(LogUnwritable, match="read-only"):
        add(log, None, STARTED, process_id="p2")


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_log_that_is_gone_while_it_is_open_takes_nothing_more(path: Path, is_replaced: bool) -> None:
    with open_log(path) as log:
        path.rename(path.with_name("kept.db"))
        if is_replaced:
            open_log(path).close()
        with pytest.raises(LogUnwritable, match="moved, replaced or deleted while it was in use"):
            add(log, None, STARTED, process_id="p9")


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_log_a_part_of_which_is_gone_while_it_is_open_takes_nothing_more_and_keeps_what_it_took(
    path: Path, suffix: str
) -> None:
    told = Notice(source="crm", object="people", key=None, record_ids=("r1",), received_at=EPOCH)
    with open_log(path) as log:
        add(log, None, STARTED, process_id="p2")
        Path(f"{path}{suffix}").unlink()
        with pytest.raises(LogUnwritable, match=rf"part of it, log\.db{suffix}, was moved"):
            add(log, log.load("p2"), BEGAN, process_id="p2")
        with pytest.raises(LogUnwritable, match="run again"):
            log.receive(told)
    with open_log(path) as log:
        assert log.version("p2") == 1
        assert verify(log)[1] == []


def test_when_the_last_writer_is_done_the_one_file_is_the_log_though_somebody_reads_it(path: Path) -> None:
    with open_log(path, read_only=True) as reader:
        with open_log(path) as log:
            add(log, None, STARTED, process_id="p2")
            assert Path(f"{path}-wal").stat().st_size > 0
        assert Path(f"{path}-wal").stat().st_size == 0
        assert reader.version("p2") == 1
    alone = path.with_name("alone.db")
    alone.write_bytes(path.read_bytes())
    with open_log(alone, read_only=True) as log:
        assert log.version("p2") == 1


def test_a_writer_that_closes_beside_somebody_who_is_reading_does_not_wait(path: Path) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    with open_log(path) as log:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        add(log, None, STARTED, process_id="p2")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1
    reader.close()


def test_two_connections_see_each_others_events_and_conflicts(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as one, open_log(tmp_path / "log.db") as two:
        process = add(one, None, STARTED)
        assert two.load("p1") == process
        add(two, process, BEGAN)
        assert one.load("p1").version == 2


def test_a_wrong_url_is_a_configuration_error_that_says_what_is_known() -> None:
    with pytest.raises(Exception, match="use sqlite:PATH"):
        open_log("mysql://host/db")


def test_a_missing_process_in_a_file_is_named_with_the_file(path: Path) -> None:
    with open_log(path, read_only=True) as log, pytest.raises(ProcessNotFound, match=r"log\.db"):
        log.load("nobody")


def test_a_version_larger_than_any_number_of_sqlite_is_all_there_is(path: Path) -> None:
    with open_log(path) as log:
        (process_id,) = log.ids()
        assert list(log.read(process_id, until=10**30)) == list(log.read(process_id))


def bytes_of(path: Path) -> bytes:
    """Return the bytes of a log and of the files that SQLite keeps beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def test_what_is_forgotten_is_in_no_byte_of_the_logs_files(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    name = "Marker-Quillfeather"
    body = "".join(f"{name} {number} " for number in range(5000)).encode()
    exchanges = [Exchange(request=f"POST /{name}/{number}", as_of="", body=body) for number in range(20)]
    with open_log(path) as log:
        process = add(log, None, STARTED, exchanges=exchanges)
        connection = sqlite3.connect(path)
        (stored,) = connection.execute("SELECT body FROM captures LIMIT 1").fetchone()
        connection.close()
        traces = [name.encode(), *(stored[start : start + 64] for start in range(0, len(stored) - 64, 2000))]
        assert len(traces) > 5
        add(log, process, BEGAN)
        assert all(trace in bytes_of(path) for trace in traces)
        size = len(bytes_of(path))
        forgotten = log.forget(before=EPOCH + timedelta(days=1))
        assert not any(trace in bytes_of(path) for trace in traces)
        assert size - len(bytes_of(path)) > 20 * len(stored) * 0.9
        assert forgotten == Forgotten(exchanges=20, freed_bytes=forgotten.freed_bytes)
        assert forgotten.freed_bytes > 20 * len(stored) * 0.9
        assert verify(log) == (2, [])
    assert not any(trace in bytes_of(path) for trace in traces)


def test_what_is_forgotten_is_gone_even_where_there_is_no_room_to_make_the_file_smaller(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    with open_log(path) as log:
        add(log, None, STARTED, exchanges=[Exchange(request="POST /Quill", as_of="", body=b"Ada" * 99)])
        connection = log._connection  # type: ignore[attr-defined]
        denied = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DENY)  # which a VACUUM does, as its first step
        connection.set_authorizer(lambda action, *_: denied[1] if action == denied[0] else sqlite3.SQLITE_OK)
        with pytest.raises(LogError):
            log.forget(before=EPOCH + timedelta(days=1))
        connection.set_authorizer(None)
        assert b"POST /Quill" not in bytes_of(path)


def test_forgetting_beside_a_reader_says_that_the_bytes_are_still_there(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log(path, busy_timeout_s=0.01) as log:
        add(log, None, STARTED, exchanges=[Exchange(request="POST /x", as_of="", body=b"Ada")])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM captures").fetchall()
        with pytest.raises(LogUnwritable, match="run the same command again when that program is done"):
            log.forget(before=EPOCH + timedelta(days=1))
        reader.execute("ROLLBACK")
        reader.close()
        assert log.forget(before=EPOCH + timedelta(days=1)).exchanges == 0
        assert b"POST /x" not in bytes_of(path)


def test_a_log_from_before_captures_can_be_read_without_being_changed(path: Path) -> None:
    without_guards(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE captures")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm004_captures'")
    connection.close()
    with open_log(path, read_only=True) as log:
        (process_id,) = log.ids()
        assert (log.capture_counts(), log.captures(process_id)) == ({}, [])
    with open_log(path) as log:
        add(log, None, STARTED, process_id="p2", exchanges=[Exchange(request="x", as_of="", body=b"")])
        assert log.capture_counts() == {"p2": 1}


@pytest.mark.parametrize(("pages_marked", "is_lost"), [(1, True), (9, True), (10, False), (99, False)])
def test_what_a_process_wrote_after_the_mark_of_the_sink_is_lost_to_it(
    pages_marked: int, is_lost: bool
) -> None:
    sync = PureSync(slice_of(people(100)), page_size=10)
    sync.run()
    pages = [one.version for one in sync.recorded if one.type == "PageFetched"]
    version = pages[pages_marked - 1] if pages_marked <= len(pages) else 999
    source, sink = ListSource(TestClock(), 0), DictSink()
    source.name, sink.name = "model", "list"
    mark = Mark(source="model", object="people", process="p1", version=version, watermark=None)
    with open_log(":memory:") as log:
        copy_of(sync, log)
        lost = SinkMarks(log, source, sink).lost(mark)
    assert [process.id for process in lost.processes] == ["p1"] * is_lost

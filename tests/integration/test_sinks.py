"""The sinks that write files: the contract, and what is particular to each."""

from __future__ import annotations

import errno
import sqlite3
import stat
from itertools import count
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.sinks import open_sink
from syncfsm.sinks.jsonl import JsonlSink
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.same_sink import is_same
from syncfsm.sinks.sqlite import SqliteSink
from tests.contracts.sink import ADA, NOBODY, SinkContract, run, upsert
from tests.fakes import TestClock

COLUMNS = "external_id, source, first_name, last_name, company, role, phone_numbers, emails, source_url"


def in_sqlite(path: Path) -> set[Contact]:
    """Return all contacts; the file is not there before anything is written."""
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    rows = connection.execute(f"SELECT {COLUMNS} FROM contacts WHERE deleted_at IS NULL").fetchall()
    connection.close()
    names = COLUMNS.split(", ")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for contact in found:
        for name in ("phone_numbers", "emails"):
            contact[name] = tuple(msgspec.json.decode(contact[name]))
    return {Contact(**contact) for contact in found}


def in_jsonl(path: Path) -> set[Contact]:
    """Return the last line of each contact; the file is not there before anything is written."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = [msgspec.json.decode(line, type=Contact) for line in lines]
    return set({(contact.external_id, contact.source): contact for contact in found}.values())


class TestSqliteSink(SinkContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path):
        numbers = count()

        def make():
            path = tmp_path / f"contacts{next(numbers)}.db"
            return SqliteSink(path, clock=TestClock()), lambda: in_sqlite(path)

        return make

    @pytest.fixture
    def sink(self, tmp_path: Path):
        sink = SqliteSink(tmp_path / "contacts.db", clock=TestClock())
        yield sink
        run(sink.aclose())

    @pytest.fixture
    def stored(self, tmp_path: Path):
        return lambda: in_sqlite(tmp_path / "contacts.db")


class TestJsonlSink(SinkContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path):
        numbers = count()

        def make():
            path = tmp_path / f"people{next(numbers)}.jsonl"
            return JsonlSink(path), lambda: in_jsonl(path)

        return make

    @pytest.fixture
    def sink(self, tmp_path: Path):
        sink = JsonlSink(tmp_path / "people.jsonl")
        yield sink
        run(sink.aclose())

    @pytest.fixture
    def stored(self, tmp_path: Path):
        return lambda: in_jsonl(tmp_path / "people.jsonl")


def test_a_deleted_contact_is_only_marked_and_says_when(tmp_path: Path) -> None:
    sink = SqliteSink(":memory:", clock=TestClock())
    upsert(sink, ADA)
    run(sink.delete("attio", ["a1"]))
    marked = "SELECT first_name, deleted_at > synced_at FROM contacts WHERE deleted_at IS NOT NULL"
    assert sink.connection().execute(marked).fetchall() == [("Ada", 1)]
    upsert(sink, ADA)
    assert sink.connection().execute(marked).fetchall() == []


def test_a_table_from_before_there_were_deletions_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    sink = SqliteSink(path)
    upsert(sink, ADA)
    run(sink.aclose())
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE contacts DROP COLUMN deleted_at")
    connection.close()
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=1, unchanged=1)
    assert run(sink.delete("attio", ["a1"])) == 1
    run(sink.aclose())


def test_the_last_line_of_a_deleted_contact_says_so_until_the_sink_is_finished(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "people.jsonl")
    upsert(sink, ADA, NOBODY)
    run(sink.delete("attio", ["n1"]))
    *_, last = sink.path.read_bytes().splitlines()
    assert msgspec.json.decode(last) == {"external_id": "n1", "source": "attio", "deleted": True}
    run(sink.finish())
    assert len(sink.path.read_bytes().splitlines()) == 1
    run(sink.aclose())


def test_the_table_has_the_columns_that_users_build_on(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "contacts.db")
    run(sink.check())
    run(sink.aclose())
    connection = sqlite3.connect(tmp_path / "contacts.db")
    columns = [(row[1], row[5]) for row in connection.execute("PRAGMA table_info(contacts)")]
    connection.close()
    assert [name for name, _ in columns] == [*COLUMNS.split(", "), "synced_at", "deleted_at"]
    assert {name for name, key in columns if key} == {"external_id", "source"}


def test_a_page_is_written_in_the_order_of_the_table_and_carried_over_now_and_then(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "contacts.db")
    connection = sink.connection()
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (4000,)
    connection.execute("CREATE TEMP TABLE written (place INTEGER PRIMARY KEY, id TEXT)")
    connection.execute(
        "CREATE TEMP TRIGGER seen AFTER INSERT ON contacts "
        "BEGIN INSERT INTO written (id) VALUES (new.external_id); END"
    )
    page = [replace(ADA, external_id=external_id) for external_id in ("c", "a", "b")]
    assert upsert(sink, *page) == UpsertResult(created=3, updated=0, unchanged=0)
    assert connection.execute("SELECT id FROM written ORDER BY place").fetchall() == [("a",), ("b",), ("c",)]
    run(sink.aclose())


def test_contacts_of_two_sources_with_one_id_are_told_apart(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "contacts.db")
    other = replace(ADA, source="attio@acme")
    assert upsert(sink, ADA) == UpsertResult(created=1, updated=0, unchanged=0)
    assert upsert(sink, ADA, other) == UpsertResult(created=1, updated=0, unchanged=1)
    run(sink.aclose())


def test_what_was_taken_is_on_the_disk_before_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_sink = SqliteSink(tmp_path / "contacts.db")
    assert sqlite_sink.connection().execute("PRAGMA synchronous").fetchone() == (2,)
    run(sqlite_sink.aclose())
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    jsonl_sink = JsonlSink(tmp_path / "people.jsonl")
    upsert(jsonl_sink, ADA)
    assert len(synced) == 1
    upsert(jsonl_sink, ADA)
    assert len(synced) == 1
    run(jsonl_sink.aclose())


def test_synced_at_is_the_time_of_the_last_change(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "contacts.db", clock=TestClock())
    times = []
    for contact in (ADA, ADA, replace(ADA, role="Countess")):
        upsert(sink, contact)
        times.append(sink.connection().execute("SELECT synced_at FROM contacts").fetchone()[0])
    run(sink.aclose())
    assert times[0] == times[1] < times[2]


def test_a_locked_sqlite_file_is_worth_another_try(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "contacts.db", busy_timeout_s=0.01)
    run(sink.check())
    other = sqlite3.connect(tmp_path / "contacts.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    failure = run(sink.upsert([ADA]))
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_retryable) == (FailureKind.LOCKED, True)
    assert upsert(sink, ADA) == UpsertResult(created=1)
    run(sink.aclose())


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_sink_without_its_folder_says_so(tmp_path: Path, kind: str) -> None:
    sink = open_sink(f"{kind}:{tmp_path}/nowhere/file")
    for failure in (run(sink.check()), run(sink.upsert([ADA]))):
        assert isinstance(failure, Failure)
        assert failure.kind is FailureKind.UNWRITABLE
        assert "its folder does not exist; make it" in failure.message


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_folder_is_no_file(tmp_path: Path, kind: str) -> None:
    failure = run(open_sink(f"{kind}:{tmp_path}").check())
    assert isinstance(failure, Failure)
    assert "it is a folder; name a file" in failure.message


def test_a_file_that_is_no_database_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk " * 100)
    failure = run(SqliteSink(tmp_path / "notes.txt").check())
    assert isinstance(failure, Failure)
    assert "is no sound SQLite file (SQLITE_NOTADB); name another file" in failure.message


def test_a_line_that_a_crash_cut_short_is_dropped_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    sink = JsonlSink(path)
    upsert(sink, ADA, NOBODY)
    run(sink.aclose())
    path.write_bytes(path.read_bytes()[:-10])
    sink = JsonlSink(path)
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=1, unchanged=1)
    run(sink.aclose())
    assert in_jsonl(path) == {ADA, NOBODY}
    assert len(path.read_bytes().splitlines()) == 2


def test_finishing_leaves_one_line_for_each_contact(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    sink = JsonlSink(path)
    for role in ("one", "two", "three"):
        upsert(sink, replace(ADA, role=role), NOBODY)
    assert len(path.read_bytes().splitlines()) == 4
    assert run(sink.finish()) is None
    assert len(path.read_bytes().splitlines()) == 2
    assert in_jsonl(path) == {replace(ADA, role="three"), NOBODY}
    assert [entry.name for entry in tmp_path.iterdir()] == ["people.jsonl"]
    assert upsert(sink, ADA) == UpsertResult(updated=1)
    run(sink.aclose())


def test_two_sinks_on_one_file_do_not_write_over_each_other(tmp_path: Path) -> None:
    first, second = (JsonlSink(tmp_path / "people.jsonl") for _ in range(2))
    upsert(first, ADA)
    failure = run(second.upsert([NOBODY]))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_retryable) == (FailureKind.LOCKED, True)
    upsert(first, replace(ADA, role="two"))
    run(first.finish())
    run(first.aclose())
    upsert(second, NOBODY)
    run(second.finish())
    run(second.aclose())
    assert in_jsonl(tmp_path / "people.jsonl") == {replace(ADA, role="two"), NOBODY}


def test_finishing_keeps_what_the_file_has_though_another_program_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    sink = JsonlSink(path)
    upsert(sink, ADA)
    with path.open("ab") as other:
        other.write(msgspec.json.encode(NOBODY) + b"\n")
    upsert(sink, replace(ADA, role="two"))
    run(sink.finish())
    run(sink.aclose())
    assert in_jsonl(path) == {replace(ADA, role="two"), NOBODY}


def test_a_file_with_other_lines_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text('{"note": "remember the milk"}\n')
    sink = JsonlSink(path)
    for failure in (run(sink.check()), run(sink.upsert([ADA]))):
        assert isinstance(failure, Failure)
        assert "holds a line that is no contact" in failure.message
    assert path.read_text() == '{"note": "remember the milk"}\n'


@pytest.mark.parametrize("kind", [SqliteSink, JsonlSink])
def test_a_file_has_one_name_however_it_is_written(
    kind: type[SqliteSink | JsonlSink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to("c.db")
    written = ("c.db", "./c.db", "link.db", f"{tmp_path}/x/../c.db")
    (name,) = {kind(path).name for path in written}
    assert name.endswith(":c.db")
    elsewhere = kind("../c.db").name
    assert elsewhere.endswith(f":{tmp_path.parent}/c.db")
    assert is_same(name, name.replace("c.db", "./c.db"))
    assert not is_same(name, elsewhere)


@pytest.mark.parametrize("url", ["", "sqlite:", "jsonl", "mysql:x", "contacts.db"])
def test_an_unknown_sink_is_refused_with_what_is_known(url: str) -> None:
    with pytest.raises(ConfigurationError, match="use sqlite:"):
        open_sink(url)


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@host/db", "hunter2-HUNTER:x", "postgres:x?password=hunter2"]
)
def test_an_unknown_sink_with_a_secret_in_it_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no sink is known as") as refused:
        open_sink(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "table", ["contacts (id INTEGER PRIMARY KEY, first_name TEXT)", f"contacts ({COLUMNS}, synced_at)"]
)
def test_a_file_with_another_programs_contacts_is_refused_and_left_as_it_was(
    tmp_path: Path, table: str
) -> None:
    path = tmp_path / "crm.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table}")
    connection.close()
    sink = SqliteSink(path)
    failure = run(sink.check())
    run(sink.aclose())
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_retryable) == (FailureKind.FOREIGN, False)
    assert failure.message.endswith("a table `contacts` of another shape; name another file.")


def test_a_text_that_is_no_text_is_not_quoted(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "contacts.db")
    upsert(sink, ADA)
    sink.connection().execute("UPDATE contacts SET first_name = CAST(x'4d61726b6572ff' AS TEXT)")
    failure = run(sink.upsert([ADA]))
    run(sink.aclose())
    assert isinstance(failure, Failure)
    assert "a text that is no UTF-8" in failure.message
    assert "Marker" not in failure.message


@pytest.mark.parametrize(
    "line",
    [b'{"external_id":"caf\xe9","source":"attio"}', b"[" * 100_000 + b"]" * 100_000],
    ids=["no text", "deep"],
)
def test_a_line_that_cannot_be_read_is_another_programs_wherever_it_is_met(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "contacts.jsonl"
    path.write_bytes(line + b"\n")
    for ask in (JsonlSink.check, JsonlSink.inspect, JsonlSink.finish, lambda sink: sink.known("attio")):
        sink = JsonlSink(path)
        failure = run(ask(sink))
        run(sink.aclose())
        assert isinstance(failure, Failure)
        assert failure.kind is FailureKind.FOREIGN
    assert path.read_bytes() == line + b"\n"


# ── what is somebody's ───────────────────────────────────────────────────────────────────────


def test_a_column_that_somebody_added_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    sink = SqliteSink(path)
    upsert(sink, ADA, NOBODY)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE contacts ADD COLUMN notes TEXT")
        connection.execute("UPDATE contacts SET notes = 'called on monday'")
    assert upsert(sink, replace(ADA, role="Countess"), NOBODY) == UpsertResult(updated=1, unchanged=1)
    assert run(sink.delete("attio", ["n1"])) == 1
    assert upsert(sink, NOBODY) == UpsertResult(created=1)
    found = connection.execute("SELECT role, notes FROM contacts ORDER BY external_id").fetchall()
    assert found == [("Countess", "called on monday"), (None, "called on monday")]
    connection.close()
    run(sink.aclose())


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_new_file_is_its_owners_alone(tmp_path: Path, kind: str) -> None:
    sink = open_sink(f"{kind}:{tmp_path / 'sink'}")
    assert not isinstance(run(sink.check()), Failure)
    upsert(sink, ADA)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    run(sink.aclose())


def rewritten_with_stale_lines(path: Path) -> None:
    sink = JsonlSink(path)
    upsert(sink, ADA, NOBODY)
    upsert(sink, replace(ADA, role="Countess"))
    assert run(sink.finish()) is None
    run(sink.aclose())
    assert len(path.read_bytes().splitlines()) == 2


def test_a_file_that_is_written_anew_keeps_its_mode_and_its_place_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    place, link = tmp_path / "far" / "people.jsonl", tmp_path / "people.jsonl"
    place.touch(mode=0o640)
    place.chmod(0o640)
    link.symlink_to(place)
    rewritten_with_stale_lines(link)
    assert link.is_symlink()
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert in_jsonl(place) == {replace(ADA, role="Countess"), NOBODY}


def test_what_lies_beside_a_file_that_is_written_anew_is_not_touched(tmp_path: Path) -> None:
    other = tmp_path / "people.jsonl.tmp"
    other.write_text("somebody else's")
    rewritten_with_stale_lines(tmp_path / "people.jsonl")
    assert other.read_text() == "somebody else's"
    assert {path.name for path in tmp_path.iterdir()} == {"people.jsonl", "people.jsonl.tmp"}


def test_nothing_is_left_of_a_file_that_could_not_be_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = JsonlSink(tmp_path / "people.jsonl")
    upsert(sink, ADA)
    upsert(sink, NOBODY, replace(ADA, role="Countess"))
    before = sink.path.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as then:
        then.setattr("os.fsync", full)
        failure = run(sink.finish())
    assert failure is not None
    assert "the disk is full" in failure.message
    assert [path.name for path in tmp_path.iterdir()] == ["people.jsonl"]
    assert sink.path.read_bytes() == before
    assert run(sink.finish()) is None
    run(sink.aclose())

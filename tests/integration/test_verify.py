"""What `log verify` says of a log that was edited, cut short or mixed up: few findings, named events."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from syncfsm.cli import main
from syncfsm.errors import LogError
from syncfsm.log import open_log
from syncfsm.log.checks.findings import Finding
from syncfsm.log.checks.verify import verify, verify_tail
from syncfsm.log.salvage.opening import open_audit
from tests.busy import a_busy_log
from tests.cells import places_of_events
from tests.contracts.event_log import BEGAN, CANCELLED, STARTED, add, copy_of
from tests.editing import edit, without_guards
from tests.pure import PureSync, people, slice_of

COPY = "position, stream, version, type, schema, at, data, meta, digest"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log with one complete sync in it, closed."""
    path = tmp_path / "log.db"
    with open_log(path) as log:
        sync = PureSync(slice_of(people(120)))
        sync.run()
        copy_of(sync, log)
    return path


def findings_of(path: Path) -> list[Finding]:
    with open_audit(path) as log:
        return verify(log)[1]


def told(findings: list[Finding]) -> list[tuple[int | None, str | None, int | None, str]]:
    return [(found.position, found.process, found.version, found.problem) for found in findings]


def test_a_sound_log_has_no_findings(path: Path) -> None:
    assert findings_of(path) == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE events SET data = replace(data, '50', '51') WHERE version = 4", "its digest does not match"),
        ("UPDATE events SET at = replace(at, '2026', '2027') WHERE version = 4", "its digest does not match"),
        ('UPDATE events SET meta = \'{"a":"b"}\' WHERE version = 4', "its digest does not match"),
        ("UPDATE events SET type = 'PageFetched' WHERE version = 4", "its digest does not match"),
        ("UPDATE events SET schema = 0 WHERE version = 4", "its digest does not match"),
        (
            "UPDATE events SET data = CAST(x'7bff' AS TEXT) WHERE version = 4",
            "its data cannot be read as text",
        ),
    ],
)
def test_an_edited_event_is_one_finding_that_names_it(path: Path, statement: str, problem: str) -> None:
    edit(path, statement)
    (finding,) = findings_of(path)
    assert (finding.position, finding.process, finding.version) == (4, "p1", 4)
    assert finding.type in {"PageDelivered", "PageFetched"}
    assert problem in finding.problem
    assert finding.loses_events


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE events SET digest = 'x' WHERE version = 4", "its digest was changed; the event itself"),
        (
            "UPDATE events SET stream = 'p7' WHERE version = 4",
            "the name of its process was changed: it reads 'p7'",
        ),
        (
            "UPDATE events SET stream = 'p7' WHERE version = 1",
            "the name of its process was changed: it reads 'p7'",
        ),
        ("UPDATE events SET version = 40 WHERE version = 4", "its version was changed: it reads 40"),
    ],
)
def test_what_a_digest_proves_is_told_and_loses_nothing(path: Path, statement: str, problem: str) -> None:
    version = int(statement.rpartition(" ")[2])
    edit(path, statement)
    (finding,) = findings_of(path)
    assert (finding.position, finding.process, finding.version) == (version, "p1", version)
    assert problem in finding.problem
    assert not finding.loses_events


def test_a_digest_that_was_changed_at_the_end_cannot_be_told_from_a_changed_event(path: Path) -> None:
    edit(path, "UPDATE events SET digest = 'x' WHERE version = 9")
    (finding,) = findings_of(path)
    assert (finding.position, finding.version) == (9, 9)
    assert finding.problem == "it was changed: its digest does not match"


def test_a_missing_event_is_one_finding_with_its_position_process_and_version(path: Path) -> None:
    edit(path, "DELETE FROM events WHERE version = 4")
    assert told(findings_of(path)) == [(4, "p1", 4, "position 4 is missing")]


@pytest.mark.parametrize("first", [1, 6, 9])
def test_events_that_are_missing_at_either_end_are_known_to_have_been_there(path: Path, first: int) -> None:
    edit(path, f"DELETE FROM events WHERE version BETWEEN {first} AND {first + 3}")
    (finding,) = findings_of(path)
    assert (finding.position, finding.process, finding.version) == (first, "p1", first)
    assert "missing" in finding.problem


def test_a_stretch_of_missing_events_is_one_finding_that_names_all_its_processes(tmp_path: Path) -> None:
    path = a_busy_log(tmp_path / "log.db")
    edit(path, "DELETE FROM events WHERE position BETWEEN 10 AND 15")
    (finding,) = findings_of(path)
    assert finding.position == 10
    assert finding.problem == (
        "6 events, positions 10 to 15: missing; versions 4 to 5 of process 5f0c, "
        "versions 4 to 5 of process a771, versions 4 to 5 of process c3d9"
    )


def test_two_events_that_changed_places_are_one_finding_and_lose_nothing(path: Path) -> None:
    edit(
        path,
        "UPDATE events SET position = 1000, version = 1000 WHERE version = 4",
        "UPDATE events SET position = 4, version = 4 WHERE version = 5",
        "UPDATE events SET position = 5, version = 5 WHERE version = 1000",
        "UPDATE sqlite_sequence SET seq = 9 WHERE name = 'events'",
    )
    (finding,) = findings_of(path)
    assert (finding.position, finding.version) == (4, 4)
    assert finding.problem == "this event and the one at position 5 have changed places"
    assert not finding.loses_events


def test_positions_that_changed_places_with_their_versions_kept_are_told_too(path: Path) -> None:
    edit(
        path,
        "UPDATE events SET position = 1000 WHERE version = 4",
        "UPDATE events SET position = 4 WHERE version = 5",
        "UPDATE events SET position = 5 WHERE version = 4",
        "UPDATE sqlite_sequence SET seq = 9 WHERE name = 'events'",
    )
    (finding,) = findings_of(path)
    assert (finding.position, finding.problem) == (
        4,
        "this event and the one at position 5 have changed places",
    )


def test_an_event_of_one_process_copied_into_another_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log(path) as log:
        add(log, None, STARTED)
        add(log, None, replace(STARTED, object="companies"), BEGAN, process_id="p2")
    edit(
        path,
        "INSERT INTO events (stream, version, type, schema, at, data, meta, digest) "
        "SELECT 'p1', version, type, schema, at, data, meta, digest FROM events "
        "WHERE stream = 'p2' AND version = 2",
    )
    findings = findings_of(path)
    assert (findings[0].position, findings[0].version) == (4, 2)
    assert "process" in findings[0].problem or "digest" in findings[0].problem


def test_an_event_that_is_as_written_but_makes_no_sense_is_named_with_why(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log(path) as log:
        process = add(log, None, STARTED, BEGAN)
        (record,) = log.read("p1", after=1)
        log.append([replace(record, version=3)], expected_version=2, after=replace(process, version=3))
    (finding,) = findings_of(path)
    assert (finding.position, finding.version, finding.type) == (3, 3, "FetchingBegan")
    assert "FetchingBegan is not legal" in finding.problem
    assert finding.loses_events


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE processes SET snapshot = replace(snapshot, '\"pages\":3', '\"pages\":4')", "the snapshot"),
        ("UPDATE processes SET snapshot = '{'", "the snapshot in the read model cannot be read"),
        ("UPDATE processes SET state = 'FAILED'", "in state"),
        ("UPDATE processes SET watermark = NULL, sink = 'x'", "in sink, watermark"),
        ("UPDATE processes SET state = CAST(x'ff' AS TEXT)", "cannot be read"),
        ("UPDATE processes SET version = 8", "at version 8, the events at 9"),
        ("DELETE FROM processes", "does not know this process"),
    ],
)
def test_a_read_model_that_says_otherwise_is_named_with_its_process(
    path: Path, statement: str, problem: str
) -> None:
    edit(path, statement)
    (finding,) = findings_of(path)
    assert (finding.position, finding.process, finding.loses_events) == (None, "p1", False)
    assert problem in finding.problem


def test_events_that_only_the_read_model_knows_of_are_missing(path: Path) -> None:
    edit(
        path,
        "DELETE FROM events WHERE version > 7",
        "UPDATE sqlite_sequence SET seq = 7 WHERE name = 'events'",
    )
    (finding,) = findings_of(path)
    assert (finding.process, finding.version) == ("p1", 8)
    assert "versions 8 to 9, of which there is no event" in finding.problem
    assert finding.loses_events


def test_an_index_that_disagrees_with_its_table_is_told_in_sqlites_words(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_events_1'"
    (page,) = connection.execute(sql).fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    place = data.index(b"p1", (page - 1) * page_bytes)
    data[place : place + 2] = b"p0"
    path.write_bytes(data)
    findings = findings_of(path)
    assert findings
    assert all(finding.position is None and not finding.loses_events for finding in findings)
    assert findings[0].problem.startswith("SQLite says: ")
    assert "sqlite_autoindex_events_1" in findings[0].problem


@pytest.mark.parametrize("cut", ["two fifths", "half", "a byte"])
def test_a_file_that_was_cut_short_says_so_and_which_events_are_gone(tmp_path: Path, cut: str) -> None:
    path = a_busy_log(tmp_path / "log.db")
    data = path.read_bytes()
    size = {"two fifths": len(data) * 3 // 5, "half": len(data) // 2, "a byte": len(data) - 1}[cut]
    path.write_bytes(data[:size])
    findings = findings_of(path)
    assert any(re.match(r"the file was cut short: \d+ page", finding.problem) for finding in findings)
    assert any(finding.loses_events for finding in findings) is (cut != "a byte")
    assert len(findings) < 10


@pytest.mark.parametrize(("size", "words"), [(0, "is empty"), (1, "was cut short"), (50, "was cut short")])
def test_of_a_file_with_next_to_nothing_left_that_is_said(path: Path, size: int, words: str) -> None:
    path.write_bytes(path.read_bytes()[:size])
    findings = findings_of(path)
    assert len(findings) <= 3
    assert words in findings[-1].problem
    assert any(finding.loses_events for finding in findings)


def test_a_file_that_never_was_a_log_is_refused_and_not_called_damaged(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE invoices (id)")
    connection.close()
    with pytest.raises(LogError, match="not a syncfsm log"):
        open_audit(other)
    notes = tmp_path / "notes.txt"
    notes.write_text("remember the milk " * 500)
    with pytest.raises(LogError, match="not a sound SQLite file"):
        open_audit(notes)


@pytest.mark.parametrize("page", [0, 1, 2, 3])
def test_a_page_that_was_overwritten_costs_what_was_on_it_and_no_more(tmp_path: Path, page: int) -> None:
    path = a_busy_log(tmp_path / "log.db")
    sound = verify(open_log(path, read_only=True))[0]
    data = bytearray(path.read_bytes())
    data[page * 4096 : (page + 1) * 4096] = b"\x5a" * 4096
    path.write_bytes(data)
    with open_audit(path) as log:
        count, findings = verify(log)
    assert findings
    assert count > sound - 40


def test_pages_that_changed_places_are_read_in_their_order(tmp_path: Path) -> None:
    path = a_busy_log(tmp_path / "log.db")
    starts = [places[0] // 4096 for places in places_of_events(path).values()]
    full = sorted({page for page in starts if starts.count(page) > 2})
    data = bytearray(path.read_bytes())
    one, two = (slice(page * 4096, (page + 1) * 4096) for page in full[:2])
    data[one], data[two] = data[two], data[one]
    path.write_bytes(data)
    findings = findings_of(path)
    assert findings
    assert all(finding.problem.startswith("SQLite says: ") for finding in findings)
    assert not any(finding.loses_events for finding in findings)


def test_a_page_of_noise_is_one_finding(tmp_path: Path) -> None:
    path = a_busy_log(tmp_path / "log.db")
    leaf = min(place // 4096 for place in places_of_events(path)[50])
    data = bytearray(path.read_bytes())
    data[leaf * 4096 + 64 : (leaf + 1) * 4096] = b"\xff" * (4096 - 64)
    path.write_bytes(data)
    findings = [finding for finding in findings_of(path) if finding.position is not None]
    assert len(findings) == 1
    assert "the first of them: its bytes in the file are no row" in findings[0].problem


def test_a_log_that_somebody_is_writing_verifies_from_what_is_not_in_the_file_yet(path: Path) -> None:
    with open_log(path) as writer:
        add(writer, None, STARTED, process_id="p2")
        assert Path(f"{path}-wal").stat().st_size > 0
        with open_log(path, read_only=True) as reader:
            assert verify(reader) == (10, [])


# ── how a log is built ───────────────────────────────────────────────────────────────────────


def built_of(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute(
        "SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '%sqlite_%'"
    ).fetchall()
    connection.close()
    return found


def changed(path: Path, *statements: str) -> list[str]:
    """Change how a log is built, and return what is found."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return [finding.problem for finding in findings_of(path)]


def test_each_trigger_index_and_table_that_is_dropped_is_a_finding(path: Path, tmp_path: Path) -> None:
    built = built_of(path)
    assert len(built) > 13
    copy = tmp_path / "copy.db"
    for kind, name in built:
        copy.write_bytes(path.read_bytes())
        assert f"the {kind} {name} is missing" in changed(copy, f"DROP {kind} {name}"), name


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("CREATE TABLE notes (id)", "the table notes was added"),
        ("CREATE VIEW notes AS SELECT * FROM events", "the view notes was added"),
        ("CREATE INDEX mine ON events (type)", "the index mine was added"),
        ("CREATE TRIGGER mine AFTER INSERT ON events BEGIN SELECT 1; END", "the trigger mine is none that"),
        (
            "ALTER TABLE events ADD COLUMN note TEXT",
            "table events is not as syncfsm makes it: with 'note",
        ),
        (
            "ALTER TABLE inbox DROP COLUMN digest",
            "table inbox is not as syncfsm makes it: without 'dig",
        ),
        ("ALTER TABLE captures DROP COLUMN as_of", "the table captures is not as syncfsm makes it: without"),
        ("DROP INDEX one_active_sync", "the index one_active_sync is missing"),
    ],
)
def test_what_is_added_or_changed_in_how_a_log_is_built_is_a_finding(
    path: Path, statement: str, problem: str
) -> None:
    assert any(problem in found for found in changed(path, statement))


def test_an_index_that_forbids_less_than_ours_is_not_ours(path: Path) -> None:
    laxer = "CREATE INDEX one_active_sync ON processes (source, object) WHERE state = 'FETCHING'"
    assert changed(path, "DROP INDEX one_active_sync", laxer) == [
        "the index one_active_sync is not as syncfsm makes it"
    ]


def test_what_sqlite_keeps_for_its_planner_is_no_finding(path: Path) -> None:
    assert changed(path, "ANALYZE") == []


def test_a_log_from_before_there_were_guards_is_judged_by_its_own_migrations(path: Path) -> None:
    without_guards(path)
    assert findings_of(path) == []
    assert changed(path, "DROP INDEX one_active_sync") == ["the index one_active_sync is missing"]
    with open_log(path) as log:
        assert verify(log)[1] == [replace(finding) for finding in findings_of(path)]


# ── a last process that is gone ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lower", ["UPDATE sqlite_sequence SET seq = 9", "DELETE FROM sqlite_sequence", ""])
def test_a_last_process_that_is_gone_with_all_its_traces_is_missed(path: Path, lower: str) -> None:
    with open_log(path) as log:
        add(log, None, STARTED, BEGAN, process_id="p2")
    gone = ("DELETE FROM events WHERE stream = 'p2'", "DELETE FROM processes WHERE id = 'p2'")
    edit(path, *gone, *filter(None, [lower]))
    (finding, *_) = [finding for finding in findings_of(path) if finding.loses_events]
    assert "position" in finding.problem


def test_a_process_that_is_taken_out_of_the_middle_is_missed_though_the_rest_is_moved_up(path: Path) -> None:
    with open_log(path) as log:
        add(log, None, STARTED, process_id="p2")
        add(log, None, replace(STARTED, object="companies"), process_id="p3")
    edit(
        path,
        "DELETE FROM events WHERE stream = 'p2'",
        "DELETE FROM processes WHERE id = 'p2'",
        "UPDATE events SET position = 10 WHERE stream = 'p3'",
        "UPDATE processes SET position = 10 WHERE id = 'p3'",
        "UPDATE sqlite_sequence SET seq = 10",
    )
    (finding,) = findings_of(path)
    assert finding.problem == (
        "it has counted 11 events, the last at position 11, and has 10, the last at 10: others were taken "
        "away, or put there"
    )
    assert finding.loses_events


def test_positions_that_are_said_not_to_have_been_given_out_are_a_finding(path: Path) -> None:
    edit(path, "UPDATE sqlite_sequence SET seq = 3")
    (finding,) = findings_of(path)
    assert finding.problem == "it says that 3 positions were given out, and the last event is at 9"
    assert not finding.loses_events


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sides SET items_left = items_left + 1",
        "UPDATE sides SET watermark = '2031-01-01T00:00:00.000000Z'",
        "DELETE FROM sides",
        "UPDATE sides SET mode = 'webhook'",
    ],
)
def test_what_the_sides_say_and_the_processes_do_not_is_found(path: Path, change: str) -> None:
    edit(path, change)
    assert [problem for *_, problem in told(findings_of(path))] == [
        "the read model of people of model into list does not agree with its processes"
    ]


def tail_of(path: Path, events: int) -> tuple[int, list[Finding]]:
    with open_log(path, read_only=True) as log:
        return verify_tail(log, events)


def test_the_tail_is_verified_as_the_whole_is_and_the_rest_is_left_alone(path: Path) -> None:
    with open_log(path) as log:
        behind = len(list(log.stored_events()))
        add(log, add(log, None, STARTED, process_id="p2"), BEGAN, process_id="p2")
    edit(path, "UPDATE events SET data = replace(data, ':', ': ') WHERE stream = 'p1' AND version = 2")
    assert tail_of(path, 1) == tail_of(path, 2) == (2, [])
    count, findings = tail_of(path, 3)
    assert count == behind + 2
    assert findings == findings_of(path) != []


def test_what_the_read_model_says_of_the_tail_is_compared(path: Path) -> None:
    edit(path, "UPDATE processes SET version = version + 1")
    assert "does not agree with the events in version" in tail_of(path, 1)[1][0].problem


@pytest.mark.parametrize(
    ("options", "listed"),
    [((), "p1 p2 p3"), (("--last", "2"), "p2 p3"), (("--last", "1", "--state", "COMPLETED"), "p1")],
)
def test_the_last_processes_are_listed_oldest_first(
    path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], listed: str
) -> None:
    with open_log(path) as log:
        for process_id in ("p2", "p3"):
            add(log, add(log, None, STARTED, process_id=process_id), CANCELLED, process_id=process_id)
    main(["log", "ls", str(path), *options], standalone_mode=False)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == listed.split()

"""The guards of a PostgreSQL log, what is found where they were passed by, and what goes in and out."""

from __future__ import annotations

import random
from datetime import timedelta

import psycopg
import pytest
from msgspec.structs import replace

from syncfsm.core.capture import Exchange
from syncfsm.errors import LogError
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.postgres.schema import TABLES
from syncfsm.log.transfer.exporting import Export
from syncfsm.log.transfer.importing import import_lines
from tests.contracts.event_log import BEGAN, CANCELLED, PAGE, STARTED, TOLD, add, copy_of, notice
from tests.logs import HOSTILE, hostile_events, started, write
from tests.postgres import OpenLog, run
from tests.pure import EPOCH, PureSync, people, slice_of


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {s}.events SET type = 'X'",
        "UPDATE {s}.events SET type = 'X' WHERE false",
        "DELETE FROM {s}.events",
        "TRUNCATE {s}.events",
        "SET session_replication_role = 'replica'; DELETE FROM {s}.events",
        (
            "INSERT INTO {s}.events (stream, version, type, schema, at, data, meta, digest) "
            "SELECT stream, version, 'X', schema, at, data, meta, digest FROM {s}.events "
            "ON CONFLICT (stream, version) DO UPDATE SET type = 'X'"
        ),
    ],
)
def test_the_events_refuse_every_change_whoever_makes_it(opened: OpenLog, statement: str) -> None:
    log = opened()
    add(log, None, STARTED)
    with pytest.raises(psycopg.Error) as refused:
        run(log, statement)
    assert refused.value.sqlstate == "SF004"
    assert verify(log) == (1, [])


TAKEN = {
    "DELETE FROM {s}.events WHERE stream = 'p2' AND version = 2": "version 2",
    "DELETE FROM {s}.events WHERE stream = 'p2' AND version = 3": "version 3",
    "DELETE FROM {s}.events WHERE stream = 'p2'; DELETE FROM {s}.processes WHERE id = 'p2'": "has counted",
    "DELETE FROM {s}.events": "the read model knows",
    "UPDATE {s}.events SET data = replace(data, 'attio', 'quo') WHERE position = 3": "changed",
    "UPDATE {s}.processes SET version = 2 WHERE id = 'p2'": "read model is at version 2",
    "UPDATE {s}.processes SET created = 7 WHERE id = 'p2'": "does not agree with the events in created",
    "UPDATE {s}.processes SET snapshot = replace(snapshot, 'attio', 'quo')": "snapshot",
    "DELETE FROM {s}.processes WHERE id = 'p2'": "does not know this process",
    "UPDATE {s}.captures SET request = 'GET /'": "row 1 of the captures: it was changed",
    "UPDATE {s}.inbox SET record_ids = '[]'": "row 1 of the inbox: it was changed",
    "DROP INDEX {s}.one_active_sync": "the index one_active_sync is missing",
    "DROP TRIGGER events_refuse_truncate ON {s}.events": "the trigger events_refuse_truncate is missing",
    "ALTER TABLE {s}.events DISABLE TRIGGER events_tally": "the trigger events_tally is switched off",
    "CREATE TRIGGER x AFTER INSERT ON {s}.events EXECUTE FUNCTION {s}.refuse()": "the trigger x was added",
    "CREATE OR REPLACE FUNCTION {s}.announce() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$": "announce",
    "DROP FUNCTION {s}.receive": "the function receive is missing",
}


UNGUARDED = "ALTER TABLE {s}.events DISABLE TRIGGER USER; %s;" + "".join(
    f"ALTER TABLE {{s}}.events ENABLE {how} TRIGGER events_{name};"
    for how, name in (
        ("ALWAYS", "refuse_update"),
        ("ALWAYS", "refuse_delete"),
        ("ALWAYS", "refuse_truncate"),
        ("", "tally"),
    )
)
"""What somebody does who means it."""


@pytest.mark.parametrize("statement", TAKEN)
def test_what_somebody_did_to_a_log_past_its_guards_is_found(opened: OpenLog, statement: str) -> None:
    log = opened()
    log.receive(notice("k1", "r1"))
    add(log, None, replace(STARTED, object="companies"), BEGAN, exchanges=(PAGE,))
    add(log, None, STARTED, BEGAN, CANCELLED, process_id="p2")
    assert verify(log) == (5, [])
    changes_events = statement.startswith(("UPDATE {s}.events", "DELETE FROM {s}.events"))
    run(log, UNGUARDED % statement if changes_events else statement)
    found = [finding.problem for finding in verify(log)[1]]
    assert any(TAKEN[statement] in problem for problem in found), found
    assert len(found) == 1 or "{s}.events" in statement or "snapshot" in statement, found


def test_what_was_deleted_is_left_out_of_an_export_which_says_so(opened: OpenLog) -> None:
    log = opened()
    add(log, None, STARTED, BEGAN, CANCELLED)
    run(log, UNGUARDED % "DELETE FROM {s}.events WHERE version = 2")
    export = Export(log)
    lines = list(export.lines())
    assert (len(lines), export.is_whole) == (3, False)
    assert [(extent.sound, extent.stored) for extent in export.left_out()] == [(1, 3)]


# ── to and fro ───────────────────────────────────────────────────────────────────────────────


def test_a_log_goes_from_a_file_to_a_server_and_back_byte_for_byte(opened: OpenLog) -> None:
    server = opened()
    with open_log(":memory:") as file, open_log(":memory:") as back:
        sync = PureSync(slice_of(people(120)))
        sync.run()
        copy_of(sync, file)
        write(file, [started(source="crm"), *hostile_events()[1:]], "p2")
        before = list(Export(file).lines())
        assert import_lines(server, before).events == len(before) - 2
        assert list(Export(server).lines()) == before
        assert import_lines(server, before).known == len(before) - 2
        import_lines(back, Export(server).lines())
        assert list(Export(back).lines()) == before
        assert server.load("p1") == file.load("p1") == back.load("p1")
        assert verify(server)[1] == verify(back)[1] == []


def test_numbers_texts_and_times_come_back_as_they_were_written(opened: OpenLog) -> None:
    """What `jsonb` and `timestamptz` would not keep: order, 1e16, -0.0, U+0000, the last microsecond."""
    told = {"b": "\u0000\ud7ff\U0010ffff", "a": "9" * 400}
    at = EPOCH.replace(year=9999, month=12, day=31, hour=23, minute=59, second=59, microsecond=999999)
    log = opened()
    with open_log(":memory:") as file:
        for one in (log, file):
            process = add(one, None, replace(STARTED, options=replace(STARTED.options, wait_s_max=1e16)))
            add(one, process, replace(BEGAN, found=told))
            written_at = EPOCH + timedelta(microseconds=1)
            assert written_at < at
        assert [row.data for row in log.stored_events()] == [row.data for row in file.stored_events()]
        assert log.load("p1").found == told
        assert [row.digest for row in log.stored_events()] == [row.digest for row in file.stored_events()]


@pytest.mark.parametrize("name", [HOSTILE, "a\u0000", "a\ud800"])
def test_a_name_that_no_text_of_the_server_can_hold_is_refused_whole(opened: OpenLog, name: str) -> None:
    log = opened()
    with pytest.raises((LogError, UnicodeEncodeError)) as refused:
        add(log, None, STARTED, process_id=name)
    if isinstance(refused.value, LogError):
        assert "a character that PostgreSQL takes in no text" in str(refused.value)
        assert "Nothing was written" in str(refused.value)
    assert log.ids() == []
    add(log, None, STARTED)


def test_the_key_of_a_notice_may_be_anything(opened: OpenLog) -> None:
    log = opened()
    for key in ("\u0000", "k" * 10_000, "\ud800"):
        assert log.receive(notice(key, "r1"))
        assert not log.receive(notice(key, "r1"))
    process = log.waiting("attio", "people").notices
    add(log, None, TOLD)
    assert len(process) == 3
    assert verify(log) == (1, [])


def test_what_is_forgotten_is_found_by_no_query(opened: OpenLog) -> None:
    log = opened()
    rng = random.Random(1)
    bodies = [
        Exchange(request=f"POST /{number}", as_of="", body=rng.randbytes(99_999)) for number in range(3)
    ]
    add(log, None, STARTED, exchanges=bodies)
    forgotten = log.forget(before=EPOCH + timedelta(days=1))
    assert forgotten.exchanges == 3
    assert forgotten.freed_bytes > 0
    assert log.capture_counts() == {}
    assert verify(log) == (1, [])


def test_the_tables_of_the_schema_are_those_that_are_looked_for(opened: OpenLog) -> None:
    tables = opened()._session.all("SELECT tablename::text FROM pg_tables WHERE schemaname = {schema}")
    assert {name for (name,) in tables} == {*TABLES, "log_migrations"}

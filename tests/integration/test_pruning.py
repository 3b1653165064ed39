"""Pruning a log: what goes, what stays, and what is said of it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from click.testing import CliRunner, Result

from syncfsm.cli import main
from syncfsm.cli.shared.pruning import Pruner
from syncfsm.core.process import Process
from syncfsm.core.pruning import Pruning
from syncfsm.errors import LogError, LogUnwritable
from syncfsm.log import EventLog, open_log, prune
from syncfsm.log.checks.verify import verify
from syncfsm.log.pruning import choosing
from syncfsm.log.pruning.choosing import Choice
from syncfsm.log.pruning.pruning import in_portions
from syncfsm.log.salvage.opening import open_audit
from syncfsm.log.transfer.exporting import Export
from syncfsm.log.transfer.importing import import_lines
from tests.contracts.event_log import CANCELLED, PAGE, STARTED, add
from tests.contracts.pruning import (
    EVER,
    INITIAL,
    LATER,
    ONGOING,
    PruningContract,
    a_sync,
    answers,
    turns,
)
from tests.contracts.routes import written
from tests.editing import WITHOUT_PRUNINGS, edit
from tests.fakes import TestClock
from tests.integration.test_sink_marks import Desk
from tests.postgres import OpenLog, opened, run
from tests.pure import EPOCH

__all__ = ["opened"]


class TestOfAFile(PruningContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EventLog]:
        with open_log(tmp_path / "log.db") as log:
            yield log


class TestOfADatabase(PruningContract):
    @pytest.fixture
    def log(self, opened: OpenLog) -> EventLog:
        return opened()


# ── a sink whose mark is older than what was pruned ──────────────────────────────────────────────


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_log(tmp_path / "log.db") as log:
        yield Desk(log, "sqlite", tmp_path / "sink" / "contacts.db")


def pruned(desk: Desk) -> int:
    return prune(desk.log, before=desk.clock.now() + timedelta(days=1), now=desk.clock.now()).processes


def a_day(desk: Desk, **asked: str) -> Process:
    desk.new_day()
    return desk.sync(mode="ongoing", **asked)


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.path.parent.mkdir()
    desk.sync()
    return desk


def test_turns_that_found_nothing_cost_the_next_one_nothing_once_they_are_pruned(filled: Desk) -> None:
    for _ in range(5):
        a_day(filled)
    assert pruned(filled) == 3  # all but the first sync, the last, and the one that told last what it saw
    filled.crm.create()
    after = a_day(filled)
    assert (after.mode, after.progress.created, filled.state_told(after)) == ("ongoing", 1, "")
    assert verify(filled.log)[1] == []


def test_what_was_pruned_is_lost_to_an_older_copy_and_all_is_brought_again(filled: Desk) -> None:
    filled.back_up()
    filled.crm.create()
    assert a_day(filled).progress.created == 1
    filled.crm.create()
    for _ in range(3):
        a_day(filled)
    assert pruned(filled) == 2  # one of them created somebody
    filled.put_back()
    again = a_day(filled)
    assert again.mode == "initial"
    assert again.progress.created == 2
    assert len(filled.ids()) == 12
    assert a_day(filled).mode == "ongoing"


def test_an_older_copy_whose_process_was_pruned_too_has_lost_what_came_since(filled: Desk) -> None:
    filled.crm.create()
    a_day(filled)
    filled.back_up()
    (mark,) = filled.marks()
    filled.crm.create()
    a_day(filled)
    filled.crm.create()
    for _ in range(3):
        a_day(filled)
    pruned(filled)
    assert mark.process not in filled.log.ids()
    filled.put_back()
    again = a_day(filled)
    assert (again.mode, len(filled.ids())) == ("initial", 13)


def test_a_copy_from_after_all_that_was_pruned_has_lost_nothing_of_that(filled: Desk) -> None:
    filled.crm.create()
    a_day(filled)
    a_day(filled)
    filled.back_up()
    (mark,) = filled.marks()
    for _ in range(3):
        a_day(filled)
    pruned(filled)
    assert mark.process not in filled.log.ids()
    filled.put_back()
    filled.crm.create()
    again = a_day(filled)
    assert (again.mode, again.progress.created, filled.state_told(again)) == ("ongoing", 1, "")


# ── what was no pruning is found ─────────────────────────────────────────────────────────────────


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log from which turns were pruned."""
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(20)])
        prune(log, before=EPOCH + timedelta(seconds=20), now=LATER)
        assert log.ids() == ["p0", *(f"p{number}" for number in range(11, 21))]
    return tmp_path / "log.db"


def problems(path: Path) -> str:
    with open_log(path, read_only=True) as log:
        return "\n".join(finding.problem for finding in verify(log)[1])


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM events WHERE stream = 'p15' AND version = 2", "position 77 is missing"),
        ("DELETE FROM events WHERE stream = 'p15'", "5 events, positions 76 to 80: missing"),
        ("DELETE FROM events WHERE stream = 'p20'", "5 events, positions 101 to 105: missing"),
    ],
)
def test_an_event_that_is_gone_without_a_pruning_is_missing(path: Path, statement: str, problem: str) -> None:
    assert problems(path) == ""
    edit(path, statement)
    assert problem in problems(path)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM prunings", "positions 6 to 55: missing"),
        ("UPDATE prunings SET at = '2026-01-01T00:00:00.000000Z'", "pruning 1 was changed"),
        ("UPDATE prunings SET number = 2", "pruning 1 is missing"),
        ("UPDATE prunings SET data = '{}'", "what was pruned cannot be read"),
    ],
)
def test_what_is_said_of_prunings_is_held_to_its_digest(path: Path, statement: str, problem: str) -> None:
    without = [f"DROP TRIGGER prunings_refuse_{what}" for what in ("update", "delete", "replace")]
    edit(path, *without, statement)
    assert problem in problems(path)


def test_a_pruned_event_that_is_back_is_found(path: Path) -> None:
    edit(
        path,
        "INSERT INTO events SELECT 30, 'p5', version, type, schema, at, data, meta, digest "
        "FROM events LIMIT 1",
    )
    assert "was pruned, and is here again" in problems(path)


def test_events_and_what_is_said_of_prunings_go_by_pruning_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    for statement in ("DELETE FROM events", "DELETE FROM prunings", "UPDATE prunings SET number = 9"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    connection.close()


def test_nobody_else_deletes_from_a_database_either(opened: OpenLog) -> None:
    log = opened()
    written(log, [a_sync(INITIAL, 1, created=3), *turns(5)])
    prune(log, before=EVER, now=LATER)
    for statement in ("DELETE FROM {s}.events", "DELETE FROM {s}.prunings", "TRUNCATE {s}.prunings"):
        with pytest.raises(psycopg.Error, match="append-only"):
            run(log, statement)
    run(log, "ALTER TABLE {s}.events DISABLE TRIGGER events_refuse_delete")
    run(log, "DELETE FROM {s}.events WHERE stream = 'p5' AND version = 3")
    run(log, "ALTER TABLE {s}.events ENABLE ALWAYS TRIGGER events_refuse_delete")
    assert "missing" in "\n".join(finding.problem for finding in verify(log)[1])


def test_what_is_left_of_a_pruned_log_is_saved(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40:48] = b"\xff" * 8  # its first page says nonsense of the file: SQLite refuses it
    data[18:20] = b"\x07\x07"
    path.write_bytes(data)
    with pytest.raises(LogError):
        open_log(path, read_only=True)
    with open_audit(path) as left, open_log(tmp_path / "saved.db") as saved:
        export = Export(left)
        import_lines(saved, list(export.lines()))
        assert not export.left_out()
        assert verify(saved) == (55, [])
        assert [stored.pruning.number for stored in saved.prunings()] == [1]


# ── room ─────────────────────────────────────────────────────────────────────────────────────────


def free_pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def test_a_file_gives_its_room_back(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(2000)])
    whole = (tmp_path / "log.db").stat().st_size
    with open_log(tmp_path / "log.db") as log:
        assert prune(log, before=EVER, now=LATER).processes == 1999
        assert verify(log)[1] == []
    assert free_pages(tmp_path / "log.db") == 0
    pruned = (tmp_path / "log.db").stat().st_size
    assert pruned < whole / 10
    assert (pruned - 200_000) / 1999 < 50  # bytes for each that went


def test_room_is_given_back_many_pages_at_a_time_and_no_file_is_rebuilt_for_it(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(400)])
        choice = Choice(log, before=EVER)
        assert all(in_portions(log, choice, before=EVER, by="test", now=LATER))
        there = free_pages(tmp_path / "log.db")
        with patch("syncfsm.log.sqlite.pruning.PAGES", 20):
            step = log.give_back(may_rebuild=False)
            assert step is not None
            assert not step()
            assert free_pages(tmp_path / "log.db") == there - 20
        while not step():
            pass
    assert free_pages(tmp_path / "log.db") == 0


@pytest.mark.parametrize("may_rebuild", [False, True])
def test_an_older_file_is_rebuilt_once_if_that_is_wanted(tmp_path: Path, may_rebuild: bool) -> None:
    path = tmp_path / "log.db"
    with open_log(path) as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(100)])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    edit(path, *WITHOUT_PRUNINGS)
    with open_log(path) as log:
        prune(log, before=EVER, now=LATER, may_rebuild=may_rebuild)
        assert verify(log)[1] == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == ((2,) if may_rebuild else (0,))
    assert bool(free_pages(path)) is not may_rebuild


def test_who_reads_an_older_state_of_the_file_is_in_nobodys_way(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(200)])
        with open_log(tmp_path / "log.db", read_only=True) as reader, reader.reading():
            assert len(reader.ids()) == 201
            assert prune(log, before=EVER, now=LATER).processes == 199
            assert len(reader.ids()) == 201
        assert verify(log)[1] == []


def test_captures_go_with_their_process(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log:
        add(log, add(log, None, STARTED, exchanges=(PAGE,)), CANCELLED)
        written(log, [a_sync(INITIAL, 1), a_sync(INITIAL, 2)], prefix="q")
        prune(log, before=LATER, now=LATER)
        assert log.capture_counts() == {}


# ── whoever is stopped ───────────────────────────────────────────────────────────────────────────

_PRUNE = """
import os, sys
from datetime import datetime
from syncfsm.log import open_log, prune
from syncfsm.log.pruning import choosing
choosing.EVENTS_MAX = 20
left = [int(sys.argv[2])]
def step(events):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
with open_log(sys.argv[1]) as log:
    prune(log, before=datetime.fromisoformat("2030-01-01T00:00:00Z"), on_step=step)
"""


def test_a_pruning_that_is_killed_leaves_a_sound_log_and_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log(path) as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(40)])
        before = answers(log)
    for steps in (1, 3):
        killed = subprocess.run([sys.executable, "-c", _PRUNE, path, str(steps)], check=False)
        assert killed.returncode == -signal.SIGKILL
    with open_log(path) as log:
        assert len(log.ids()) == 41 - 4 * 4
        assert verify(log)[1] == []
        assert answers(log) == before
        assert prune(log, before=LATER, now=LATER).processes == 39 - 4 * 4
        assert answers(log) == before


def test_a_transaction_that_breaks_off_deletes_nothing(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1), *turns(3)])
        choice = Choice(log, before=LATER)

        def interrupted(_number: int, _places: object) -> Pruning:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            log.prune({one.id: one.version for one in choice.portions[0]}, interrupted)
        assert len(log.ids()) == 4
        assert verify(log)[1] == []
        assert prune(log, before=LATER, now=LATER).processes == 2


def test_a_log_that_is_only_read_is_refused_in_a_sentence(path: Path) -> None:
    with open_log(path, read_only=True) as log, pytest.raises(LogUnwritable, match="cannot be written"):
        prune(log, before=LATER, now=LATER)


def test_others_go_on_between_two_portions(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log, open_log(tmp_path / "log.db", busy_timeout_s=0) as other:
        written(log, [a_sync(INITIAL, 1), *turns(100)])
        numbers = count()

        def write(_events: int) -> None:
            written(other, [a_sync(ONGOING, 300)], prefix=f"other{next(numbers)}")

        with patch.object(choosing, "EVENTS_MAX", 100):
            prune(log, before=LATER, now=LATER, on_step=write)
        assert next(numbers) == 5
        assert verify(log)[1] == []


# ── between turns ────────────────────────────────────────────────────────────────────────────────


def test_what_runs_for_ever_prunes_once_a_day(tmp_path: Path) -> None:
    clock = TestClock()
    clock.at = EPOCH + timedelta(days=100)
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1), *turns(9)])
        pruner = Pruner(log, "90d", by="watch", clock=clock)
        pruner.turn()
        assert len(log.ids()) == 2
        assert log.pruned_at() == clock.at
        written(log, turns(5, 60), prefix="q")
        for hours, left in ((0.5, 7), (5, 7), (25, 2)):
            clock.at = EPOCH + timedelta(days=100, hours=hours)
            pruner.turn()
            assert len(log.ids()) == left
        assert [stored.pruning.deeds.by for stored in log.prunings()] == ["watch", "watch"]


def test_a_long_pruning_is_spread_over_turns(tmp_path: Path) -> None:
    clock = TestClock()
    clock.at = EPOCH + timedelta(days=100)
    with open_log(tmp_path / "log.db") as log, patch.object(choosing, "EVENTS_MAX", 10):
        written(log, [a_sync(INITIAL, 1), *turns(9)])
        pruner = Pruner(log, "90d", by="watch", clock=clock)
        with patch("syncfsm.cli.shared.pruning.TURN_S", 0.0):
            pruner.turn()
            assert len(log.ids()) == 8
            pruner.turn()
            assert len(log.ids()) == 6
        pruner.turn()
        assert len(log.ids()) == 2


def test_nothing_is_pruned_unless_it_is_asked_for(tmp_path: Path) -> None:
    with open_log(tmp_path / "log.db") as log:
        written(log, [a_sync(INITIAL, 1), *turns(9)])
        Pruner(log, None, by="watch").turn()
        assert len(log.ids()) == 10


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def cli(*args: object) -> Result:
    return CliRunner().invoke(main, [*map(str, args)])


def test_the_command_prunes_and_the_others_say_so(tmp_path: Path) -> None:
    path, archive = tmp_path / "log.db", tmp_path / "archive.jsonl"
    with open_log(path) as log:
        written(log, [a_sync(INITIAL, 1, created=3), *turns(20)])
    asked = ("log", "prune", path, "--older-than", "0s")
    assert "95 events of 19 processes would be pruned, 2 as old stay" in cli(*asked, "--dry-run").output
    done = json.loads(cli(*asked, "--to", archive, "--json").output)
    assert (done["processes"], done["events"], done["kept"], done["dry_run"]) == (19, 95, 2, False)
    assert "0 events of 0 processes pruned" in cli(*asked, "--no-vacuum").output
    verified = cli("log", "verify", path)
    assert verified.exit_code == 0
    assert "by cli: 95 events of 19 processes" in verified.output
    assert "exported to archive.jsonl first" in verified.output
    told = json.loads(cli("log", "verify", path, "--json").output)["pruned"]
    assert [(one["by"], one["events"], one["archive"]) for one in told] == [("cli", 95, "archive.jsonl")]
    for command in (("explain", path, "p3"), ("replay", path, "p3"), ("log", "show", path, "p3")):
        result = cli(*command)
        assert result.exit_code != 0
        assert "process p3 was pruned from" in result.output
    for command in (
        ("explain", path),
        ("replay", path),
        ("log", "ls", path),
        ("log", "check", path),
        ("log", "follow", path, "-n", "5", "--until-over"),
        ("report", path, "-o", tmp_path / "report.html"),
    ):
        assert cli(*command).exit_code == 0, cli(*command).output
    assert cli("log", "import", archive, "--log", tmp_path / "old.db").exit_code == 0


@pytest.mark.parametrize("older_than", ["soon", "999999d"])
def test_a_time_that_is_none_is_refused(path: Path, older_than: str) -> None:
    result = cli("log", "prune", path, "--older-than", older_than)
    assert result.exit_code == 2
    assert "give" in result.output

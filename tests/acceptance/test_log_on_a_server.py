"""A log in PostgreSQL by the commands: moved there and back, made, read by who may only read, and lost."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from psycopg import sql

from syncfsm.cli import main
from syncfsm.log import EventLog, open_log
from syncfsm.log.postgres.session import Session
from syncfsm.postgres.address import parse
from tests.acceptance.conftest import Cli
from tests.acceptance.test_top import Terminal
from tests.contracts.event_log import BEGAN, CANCELLED, STARTED, TOLD, add, copy_of
from tests.postgres import GIVEN, admin, restart
from tests.pure import PureSync, people, slice_of


def run(*args: object, status: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def fill(log: EventLog) -> None:
    """Write two syncs that are over, one that failed, and one under way."""
    rows = people(30)
    sync = PureSync(slice_of(rows), page_size=4)
    sync.run()
    copy_of(sync, log)
    add(log, add(log, None, STARTED, BEGAN, process_id="zoë ☃"), CANCELLED, process_id="zoë ☃")
    add(log, None, TOLD, process_id="p9")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with open_log("sync.db") as log:
        fill(log)
    return tmp_path


def test_a_log_goes_to_a_server_and_back_byte_for_byte(folder: Path, postgres_url: str) -> None:
    run("log", "export", "sync.db", "-o", "one.jsonl")
    run("log", "import", "one.jsonl", "--log", postgres_url)
    run("log", "export", postgres_url, "-o", "two.jsonl")
    assert Path("one.jsonl").read_bytes() == Path("two.jsonl").read_bytes()
    run("log", "import", "two.jsonl", "--log", "back.db")
    run("log", "export", "back.db", "-o", "three.jsonl")
    assert Path("three.jsonl").read_bytes() == Path("one.jsonl").read_bytes()
    for command in ("verify", "check"):
        run("log", command, postgres_url)
    assert "0 events of 3 processes" in run("log", "import", "one.jsonl", "--log", postgres_url).stdout
    for process in json.loads(run("log", "ls", postgres_url, "--json").stdout)["processes"]:
        id_ = process["process"]
        assert "the same, event by event" in run("diff", f"sync.db#{id_}", f"{postgres_url}#{id_}").stdout
    assert run("log", "ls", postgres_url).stdout == run("log", "ls", "sync.db").stdout


def test_an_import_that_fails_leaves_nothing_of_it(folder: Path, newest_postgres_url: str) -> None:
    run("log", "export", "sync.db", "-o", "one.jsonl")
    lines = Path("one.jsonl").read_text().splitlines(keepends=True)
    Path("cut.jsonl").write_text("".join(lines[:-2]))
    run("log", "import", "cut.jsonl", "--log", newest_postgres_url, status=3)
    assert run("log", "ls", newest_postgres_url).stderr == "no processes yet\n"
    run("log", "import", "cut.jsonl", "--log", "sqlite:new.db", status=3)
    assert not list(folder.glob("*new.db*"))


def test_lists_ask_for_many_processes_at_once(
    folder: Path, newest_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_log(newest_postgres_url) as log:
        for number in range(20):
            add(log, None, replace(STARTED, object=f"o{number}"), CANCELLED, process_id=f"p{number}")
    asked: list[str] = []
    ask, one = Session.all, Session.one
    monkeypatch.setattr(Session, "all", lambda *args: asked.append(args[1]) or ask(*args))
    monkeypatch.setattr(Session, "one", lambda *args: asked.append(args[1]) or one(*args))
    for command in (("log", "ls"), ("log", "rejects")):
        asked.clear()
        run(*command, newest_postgres_url)
        assert len(asked) < 8, asked


# ── watching ─────────────────────────────────────────────────────────────────────────────────


QUEUE = """
CREATE TABLE {}.turns (sync text, process text, worker text);
INSERT INTO {}.turns VALUES
    ('acme', 'p9', 'machine-3:77'), ('bolt', NULL, 'machine-4:1'), ('cane', 'p1', NULL)
"""


def test_top_shows_which_worker_is_on_what(folder: Path, newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        fill(log)
    assert "worker" not in run("top", newest_postgres_url).stdout
    schema = sql.Identifier(parse(newest_postgres_url).schema)
    admin().execute(sql.SQL(QUEUE).format(schema, schema))
    shown = run("top", newest_postgres_url).stdout
    assert "worker" in shown.splitlines()[0]
    assert [line.split()[:2] for line in shown.splitlines() if "machine" in line] == [["p9", "machine-3:77"]]
    found = json.loads(run("top", newest_postgres_url, "--json").stdout)["processes"]
    assert {seen["process"]: seen["worker"] for seen in found} == {
        "p9": "machine-3:77",
        "p1": None,
        "zoë ☃": None,
    }


@pytest.mark.skipif(bool(GIVEN), reason="somebody else's server is not ours to stop")
def test_who_follows_waits_for_a_server_that_restarts(cli: Cli, newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        fill(log)
        following = cli.start("log", "follow", newest_postgres_url, "-n", "1", "--interval", "0.02")
        assert following.stdout is not None
        assert following.stderr is not None
        assert "SyncStarted" in following.stdout.readline()
        restart()
        assert "waiting: the log postgresql://" in following.stderr.readline()
        add(log, log.load("p9"), CANCELLED, process_id="p9")
        assert "SyncCancelled" in following.stdout.readline()
    following.terminate()
    _, err = following.communicate(timeout=30)
    assert "Traceback" not in err


@pytest.mark.skipif(bool(GIVEN), reason="somebody else's server is not ours to stop")
def test_top_waits_for_it_too(cli: Cli, newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        fill(log)
        with closing(Terminal(cli, "top", newest_postgres_url, "--interval", "0.05")) as terminal:
            terminal.until("1 active, 2 over")
            restart()
            terminal.until("waiting: the log postgresql://")
            terminal.until("1 active, 2 over")
            add(log, log.load("p9"), CANCELLED, process_id="p9")
            terminal.until("0 active, 3 over")


def test_who_follows_sees_that_another_log_took_the_place(cli: Cli, newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        fill(log)
    following = cli.start("log", "follow", newest_postgres_url, "-n", "1", "--interval", "0.02")
    assert following.stdout is not None
    assert following.stderr is not None
    following.stdout.readline()
    schema = sql.Identifier(parse(newest_postgres_url).schema)
    admin().execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))
    assert "waiting: the" in following.stderr.readline()
    with open_log(newest_postgres_url) as log:
        add(log, None, STARTED, process_id="new")
    assert following.stdout.readline().startswith("new ")
    following.terminate()
    _, err = following.communicate(timeout=30)
    assert "this is another log than before" in err


HELD = """
SELECT xact_start IS NOT NULL, (
    SELECT count(*) FROM pg_locks AS l WHERE l.pid = a.pid
    AND (l.locktype = 'advisory' OR l.relation >= 16384 AND l.mode LIKE '%%Exclusive%%')
) FROM pg_stat_activity AS a WHERE application_name LIKE %s
"""


def test_who_only_looks_holds_nothing_that_others_wait_for(cli: Cli, newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        fill(log)
        following = cli.start("log", "follow", newest_postgres_url, "--interval", "0.01")
        assert following.stdout is not None
        following.stdout.readline()
        seen = [admin().execute(HELD, (f"%:{following.pid}",)).fetchone() for _ in range(300)]
        following.terminate()
        following.communicate(timeout=30)
    assert {found and found[1] for found in seen} == {0}  # and never None: it keeps its connection
    assert seen.count((False, 0)) > 100  # and else, it is within a look

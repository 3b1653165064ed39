"""Verify, export and import, as a user does them: on a log that was damaged, in a pipe, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import Cli, Server
from tests.acceptance.forks import ForkServer
from tests.editing import edit

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> Path:
    """A folder with what two syncs leave: their log, and their sink."""
    cli = Cli(tmp_path_factory.mktemp("synced"), forks)
    server = Server(300)
    cli.sync(server.url, "--page-size", 10)
    cli.sync(server.url, "--order", "id")
    server.close()
    return cli.folder


@pytest.fixture
def log(synced: Path, cli: Cli) -> Path:
    """A log of two syncs, beside their sink."""
    shutil.copytree(synced, cli.folder, dirs_exist_ok=True)
    return cli.folder / "sync.db"


def shown(cli: Cli, path: str, process: str) -> object:
    answer = cli.json("log", "show", path, process)
    for event in answer["events"]:
        del event["position"]
    return answer


def ids_of(cli: Cli, path: str) -> list[str]:
    return [process["process"] for process in cli.json("log", "ls", path)["processes"]]


def damage(path: Path) -> None:
    edit(path, "UPDATE events SET data = replace(data, '10', '11') WHERE position = 9")


def test_a_log_goes_through_a_file_and_comes_back_the_same(log: Path, cli: Cli) -> None:
    _, err = cli("log", "export", "sync.db", "-o", "sync.jsonl")
    assert "of 2 processes exported" in err
    out, _ = cli("log", "import", "sync.jsonl", "--log", "new.db")
    assert "of 2 processes written to new.db" in out
    assert ids_of(cli, "new.db") == ids_of(cli, "sync.db")
    for process in ids_of(cli, "sync.db"):
        assert shown(cli, "new.db", process) == shown(cli, "sync.db", process)
    assert cli.json("log", "verify", "new.db")["findings"] == []
    again = cli.json("log", "import", "sync.jsonl", "--log", "new.db")
    assert (again["events"], again["known"]) == (0, cli.json("log", "verify", "sync.db")["events"])


def test_what_is_left_of_a_damaged_log_is_saved_and_the_rest_is_told(log: Path, cli: Cli) -> None:
    damage(log)
    first, second = ids_of(cli, "sync.db")
    found = cli.json("log", "verify", "sync.db", status=3)["findings"]
    assert [(finding["position"], finding["process"], finding["version"]) for finding in found] == [
        (9, first, 9)
    ]
    out, _ = cli("log", "verify", "sync.db", status=3)
    assert f"position 9, process {first}, version 9, Page" in out
    _, err = cli("log", "export", "sync.db", "-o", "saved.jsonl", status=3)
    last = cli.json("log", "ls", "sync.db")["processes"][0]["version"]
    assert f"left out: versions 9 to {last} of process {first}" in err
    assert f"position 9, process {first}, version 9" in err
    cli("log", "import", "saved.jsonl", "--log", "new.db")
    assert cli.json("log", "verify", "new.db")["findings"] == []
    assert cli.json("replay", "new.db", second)["state"] == "COMPLETED"
    assert cli.json("replay", "new.db", first)["version"] == 8
    cli("log", "export", "sync.db", second, "-o", "second.jsonl")


def test_a_saved_sync_goes_on_where_its_events_end(serve: Serve, cli: Cli) -> None:
    server = serve(100)
    cli.sync(server.url, "--page-size", 10)
    damage(cli.folder / "sync.db")
    cli("log", "export", "sync.db", "-o", "saved.jsonl", status=3)
    (cli.folder / "sync.db").rename(cli.folder / "damaged.db")
    cli("log", "import", "saved.jsonl", "--log", "sync.db")
    last = cli.sync(server.url, "--page-size", 10)
    assert (last["state"], last["fetched"], last["created"] + last["unchanged"]) == ("COMPLETED", 100, 100)
    assert cli.json("log", "verify", "sync.db")["findings"] == []


def test_a_redacted_export_names_nobody_and_can_be_looked_into(log: Path, cli: Cli) -> None:
    summary = cli.json("log", "export", "sync.db", "--redact", "-o", "shown.jsonl")
    assert summary["left_out"] == summary["findings"] == []
    text = (cli.folder / "shown.jsonl").read_text()
    people = [external_id for (external_id,) in contacts_in(cli.folder / "contacts.db", "external_id")]
    assert people
    assert not [person for person in people if person in text]
    assert "127.0.0.1" not in text
    assert "contacts.db" not in text
    _, err = cli("log", "import", "shown.jsonl", "--log", "shown.db")
    assert "no sync can go on with it" in err
    mine, theirs = (cli.json("log", "ls", path)["processes"] for path in ("sync.db", "shown.db"))
    for one, two in zip(mine, theirs, strict=True):
        same = {"state", "version", "pages", "fetched", "created", "updated", "unchanged", "watermark"}
        assert {name: one[name] for name in same} == {name: two[name] for name in same}


def test_a_pipe_takes_an_export_straight_into_another_log(log: Path, cli: Cli) -> None:
    syncfsm = f"{sys.executable} -m syncfsm.cli"
    command = f"{syncfsm} log export sync.db | {syncfsm} log import - --log new.db"
    subprocess.run(command, shell=True, cwd=cli.folder, env=cli.env, check=True, capture_output=True)
    assert ids_of(cli, "new.db") == ids_of(cli, "sync.db")


@pytest.mark.parametrize("args", [("log", "export", "sync.db"), ("log", "show", "sync.db"), ("--help",)])
def test_a_reader_that_goes_away_ends_a_command_without_a_word(
    log: Path, cli: Cli, args: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # before a word is written, for a pipe would take what few there are
    process = cli.start(*args, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("args", [("log", "export", "sync.db"), ("log", "ls", "sync.db"), ("--help",)])
def test_output_without_room_ends_in_one_line(log: Path, cli: Cli, args: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "syncfsm.cli", *args]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, cwd=cli.folder, env=cli.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["log", "ls", "."], "is a folder: name the file of a log in it"),
        (["log", "verify", "nothing.db"], "there is no log nothing.db"),
        (["log", "export", "nothing.db"], "there is no log nothing.db"),
        (["log", "export", "sync.db", "zz"], "no process begins with 'zz'"),
        (["log", "export", "sync.db", "-o", "sync.db"], "sync.db is there already: name another file"),
        (["log", "export", "sync.db", "-o", "no/where"], "no/where cannot be written: No such file"),
        (["log", "export", "sync.db", "--json"], "cannot both go to stdout: name a file with -o"),
        (["log", "import", "nothing.jsonl", "--log", "new.db"], "nothing.jsonl cannot be read: No such file"),
        (["log", "import", "contacts.db", "--log", "new.db"], "this is no export of a syncfsm log"),
    ],
)
def test_wrong_use_says_what_would_be_right_and_makes_no_file(
    log: Path, cli: Cli, args: list[str], words: str
) -> None:
    before = files_in(cli.folder)
    _, err = cli(*args, status=2)
    assert words in err
    assert files_in(cli.folder) == before


def files_in(folder: Path) -> list[str]:
    """Return the files of a folder, without those that SQLite puts beside a log while it is open."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))


def test_an_export_that_was_changed_on_its_way_is_refused_with_its_line(log: Path, cli: Cli) -> None:
    cli("log", "export", "sync.db", "-o", "sync.jsonl")
    path = cli.folder / "sync.jsonl"
    path.write_text(path.read_text().replace("PageDelivered", "PageDelayed", 1))
    answer = cli.json("log", "import", "sync.jsonl", "--log", "new.db", status=3)
    assert "line 5 (process" in answer["error"]
    assert "Nothing was written." in answer["error"]
    assert not (cli.folder / "new.db").exists()


def test_ctrl_c_leaves_no_half_a_log_behind(log: Path, cli: Cli) -> None:
    exported, _ = cli("log", "export", "sync.db")
    lines = exported.encode()
    reading, writing = os.pipe()
    process = cli.start("log", "import", "-", "--log", "new.db", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(lines[: len(lines) // 2])
        pipe.flush()
        while not (cli.folder / "new.db").exists() or not ids_known(cli.folder / "new.db"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; nothing was written" in err
    assert not (cli.folder / "new.db").exists()


def ids_known(path: Path) -> bool:
    """Whether the tables of a log are there, so that its import is under way."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        found = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'processes'").fetchone()
    except sqlite3.OperationalError:
        return False
    connection.close()
    return found == (1,)


def test_the_lines_of_an_export_say_what_they_are(log: Path, cli: Cli) -> None:
    out, _ = cli("log", "export", "sync.db")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0] == {"line": "header", "format": "syncfsm.log", "version": 1, "redacted": False}
    assert {line["line"] for line in lines[1:-1]} == {"event"}
    assert lines[-1] == {"line": "end", "processes": 2, "events": len(lines) - 2}

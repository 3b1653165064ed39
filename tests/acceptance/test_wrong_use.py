"""What a hurried or unlucky user types, over the real command line: nothing is lost, and the words help."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncfsm import cli as commands
from syncfsm.cli import main
from syncfsm.cli.shared.listening import HOST, listen
from syncfsm.core.events import Recorded
from syncfsm.log import open_log
from tests.busy import interleave
from tests.planted import CHECKS, planted, strikes
from tests.pure import PureSync, people, slice_of


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a sync leaves that failed at page 8."""
    folder = tmp_path_factory.mktemp("failed")
    planted(folder, strikes("unauthorized", CHECKS + 7))
    return folder


@pytest.fixture
def folder(failed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the log of that sync, in `sync.db`."""
    shutil.copytree(failed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTIO_API_KEY", "any")
    return tmp_path


def run(*args: object, status: int) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def sync(sink: str, *, status: int) -> Result:
    where = ("--base-url", "http://127.0.0.1:9", "--sink", sink, "--log", "sync.db")
    return run("sync", "--source", "attio", *where, status=status)


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
@pytest.mark.parametrize("name", ["sync.db", "./sync.db", "link.db", "hard.db"])
def test_a_sink_that_is_the_log_is_refused_under_whatever_name(folder: Path, kind: str, name: str) -> None:
    (folder / "link.db").symlink_to("sync.db")
    os.link("sync.db", "hard.db")
    before = Path("sync.db").read_bytes()
    assert "the sink and the log are the same file" in sync(f"{kind}:{name}", status=2).stderr
    assert "the same file" in run("rerun", "sync.db", "--sink", f"{kind}:{name}", status=2).stderr
    assert Path("sync.db").read_bytes() == before


def test_a_sink_that_never_ends_is_refused(folder: Path) -> None:
    assert "no regular file" in sync("jsonl:/dev/full", status=2).stderr


@pytest.mark.parametrize("command", ["sync", "watch --every 5m", "check", "retry-rejects"])
def test_what_is_kept_in_memory_only_is_refused(folder: Path, command: str) -> None:
    places = [("sqlite::memory:", "sync.db"), ("sqlite:c.db", ":memory:"), ("sqlite:c.db", "sqlite::memory:")]
    for sink_url, log in places:
        where = ("--base-url", "http://127.0.0.1:9", "--sink", sink_url, "--log", log)
        assert "in memory is gone" in run(*command.split(), "--source", "attio", *where, status=2).stderr
    assert not (folder / "c.db").exists()


def test_an_empty_name_means_no_process(folder: Path) -> None:
    assert "named by an empty text" in run("cancel", "sync.db", "", status=2).stderr


def alter(event: str, old: str, new: str) -> None:
    """Change an event so that it can still be decoded."""
    with sqlite3.connect("sync.db") as connection:
        connection.execute("DROP TRIGGER events_refuse_update")
        connection.execute(
            "UPDATE events SET data = replace(data, ?, ?) WHERE type = ? AND version = 4", (old, new, event)
        )
    connection.close()


@pytest.mark.parametrize("command", ["explain", "replay", "report", "log scenario", "diff"])
def test_no_command_tells_of_a_process_whose_events_were_changed(folder: Path, command: str) -> None:
    more = ("sync.db",) if command == "diff" else ()
    run(*command.split(), "sync.db", *more, status={"explain": 1}.get(command, 0))
    alter("PageDelivered", '"created":50', '"created":10')
    words = run(*command.split(), "sync.db", *more, status=3).stderr
    assert "version 4): this event is not what was written" in words
    assert "syncfsm log verify" in words


def test_more_people_than_memory_holds_are_refused_before_any_is_made(folder: Path) -> None:
    assert "is not in the range 0<=x<=1000000" in run("serve", "--people", 1_000_001, status=2).stderr


def test_where_the_port_is_taken_webhooks_make_no_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTIO_WEBHOOK_SECRET", "any")
    with listen(HOST, 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        where = ("--source", "attio", "--sink", "sqlite:new-contacts.db", "--log", "new.db")
        assert "is taken" in run("webhooks", "--port", port, *where, status=2).stderr
    assert not list(folder.glob("new*"))


@pytest.mark.parametrize("command", [("log", "follow", "sync.db"), ("top", "sync.db")])
def test_an_interval_is_a_number(folder: Path, command: tuple[str, ...]) -> None:
    assert "no number to work with" in run(*command, "--interval", "nan", status=2).stderr


@pytest.mark.parametrize(("one", "words"), [("sync.db@99", "has versions 1 to 17"), ("sync.db@0", "not 0")])
def test_a_version_that_is_not_there_is_refused(folder: Path, one: str, words: str) -> None:
    assert words in run("diff", one, "sync.db", status=2).stderr


def test_a_report_that_cannot_be_written_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("syncfsm.files.whole.mkstemp", refuse)
    assert "cannot be written: Read-only file system" in run("report", "sync.db", status=2).stderr


def test_a_report_can_go_to_stdout(folder: Path) -> None:
    assert run("report", "sync.db", "-o", "-", status=0).stdout.startswith("<!DOCTYPE html>")


def test_a_refused_import_leaves_no_log_behind(folder: Path) -> None:
    run("log", "export", "sync.db", "-o", "good.jsonl", status=0)
    lines = Path("good.jsonl").read_text().splitlines(keepends=True)
    Path("bad.jsonl").write_text("".join([*lines[:3], *lines[4:]]))
    assert run("log", "import", "bad.jsonl", "--log", "new.db", status=3).stderr
    assert not Path("new.db").exists()


def test_ctrl_c_while_a_command_is_loaded_ends_it_as_one_later_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "import_module", interrupted)
    assert run("explain", "sync.db", status=130).stderr == "error: interrupted\n"


def test_what_cannot_be_gone_on_with_is_not_advised(folder: Path) -> None:
    run("log", "export", "sync.db", "--redact", "-o", "red.jsonl", status=0)
    run("log", "import", "red.jsonl", "--log", "red.db", status=0)
    words = run("explain", "red.db", status=1).stdout
    assert "This log was redacted" in words
    assert "syncfsm sync" not in words


def test_an_empty_name_does_not_mean_every_process(folder: Path) -> None:
    assert "named by an empty text" in run("log", "check", "sync.db", "", status=2).stderr


def test_a_time_too_long_to_be_one_is_refused(folder: Path) -> None:
    words = run("log", "forget", "sync.db", "--older-than", "999999d", status=2).stderr
    assert "give fewer days" in words


def test_a_rerun_does_not_write_into_the_log_it_reads(folder: Path) -> None:
    words = run("rerun", "sync.db", "--sink", "sqlite:again.db", "--log", "./sync.db", status=2).stderr
    assert "a log of its own" in words


def test_of_a_hole_that_two_processes_share_each_export_says_what_it_lost(folder: Path) -> None:
    with open_log("two.db") as log:
        interleave(log, {"aaa": done(20), "bbb": done(20)})
    with sqlite3.connect("two.db") as connection:
        connection.execute("DROP TRIGGER events_refuse_unpruned")
        connection.execute("DELETE FROM events WHERE position IN (5, 6)")
    connection.close()
    for process in ("aaa", "bbb"):
        run("log", "export", "two.db", process, "-o", f"{process}.jsonl", status=3)


def done(count: int) -> Sequence[Recorded]:
    sync = PureSync(slice_of(people(count)), page_size=5)
    sync.run()
    return sync.recorded

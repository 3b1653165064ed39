"""`syncfsm check`: it says what a sync would find and do, in the sync's own words, and leaves no trace."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncfsm.core.describe import time_words
from tests.acceptance.conftest import Cli, Server

Serve = Callable[..., Server]
STEPWISE = ("--page-size", 50, "--read-ahead", 1)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Checked:
    """Runs `check`, and holds it to its promise: the folder stays as it was, byte for byte."""

    def __init__(self, cli: Cli) -> None:
        self.cli = cli

    def words(self, url: str, *args: object, status: int = 0) -> tuple[str, str]:
        before = files(self.cli.folder)
        out, err = self.cli("check", *self.cli.sync_args(url)[1:], *args, status=status)
        assert files(self.cli.folder) == before
        return out, err

    def json(self, url: str, *args: object, status: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.words(url, *args, "--json", status=status)[0])
        assert answer["could_start"] is (status == 0)
        return answer


@pytest.fixture
def check(cli: Cli) -> Checked:
    return Checked(cli)


def killed_midway(server: Server, cli: Cli, *args: object, queries: int = 5) -> str:
    """Kill a sync while it waits for an answer; return its process."""
    server.hold_after(queries)
    process = cli.start(*cli.sync_args(server.url), *STEPWISE, *args)
    assert server.is_holding.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.hold_after(None)
    return str(cli.json("log", "ls", "sync.db")["processes"][0]["process"])


# ── what would happen ────────────────────────────────────────────────────────────────────────


def test_before_the_first_sync_all_is_said_and_no_file_is_made(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(5000)
    out, err = check.words(server.url)
    assert list(cli.folder.iterdir()) == []
    assert err == ""
    (workspace,) = {line for line in out.splitlines() if line.startswith("  source")}
    assert workspace.startswith("  source  in order: workspace ")
    assert workspace.endswith("object people; the first page shows at least 500 people")
    for line in (
        "a sync could start: it would begin anew",
        "  sink    in order: sqlite:contacts.db, file not there yet: a sync makes it",
        "  log     sync.db, not there yet: a sync makes it",
        "  last    no sync into this sink was completed yet",
        "  pages   499 records each, newest first; at most 90 requests a second",
    ):
        assert line in out.splitlines()
    assert server.queries == {"people": 1, "companies": 1}, "one page, and one look-up to try"


@pytest.mark.parametrize(("people", "words"), [(0, "0 people"), (1, "1 record"), (50, "50 people")])
def test_people_who_fit_the_first_page_are_all_there_are(
    serve: Serve, check: Checked, people: int, words: str
) -> None:
    server = serve(people)
    assert f"; the first page shows {words}\n" in check.words(server.url)[0]
    assert check.json(server.url)["first_page"] == {"rows": people, "has_more": False}


def test_after_a_sync_it_says_when_that_was_and_what_it_has_seen(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(120)
    done = cli.sync(server.url)
    found = check.json(server.url)
    assert (found["would"], found["process"], found["page"]) == ("begin", None, 1)
    assert found["last_completed"] == {
        "process": done["process"],
        "at": done["updated_at"],
        "watermark": done["watermark"],
    }
    assert found["sink"]["found"]["contacts"] == "120"
    assert f"process {done['process']} was completed at " in check.words(server.url)[0]


def test_an_ongoing_sync_says_since_when_it_would_ask_and_without_a_sync_before_it_begins_anew(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(60)
    assert "it would begin anew\n" in check.words(server.url, "--mode", "ongoing")[0]
    watermark = datetime.fromisoformat(cli.sync(server.url)["watermark"])
    since = time_words(watermark - timedelta(seconds=300))
    words = check.words(server.url, "--mode", "ongoing")[0]
    assert f"it would begin an ongoing sync, of those created since {since}\n" in words


def test_an_attribute_that_nobody_has_is_named_with_the_option_that_names_it(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(60)
    cli.sync(server.url)
    out, err = check.words(server.url, "--mode", "ongoing", "--changed-by", "last_edited", status=1)
    assert "of those changed (by last_edited) since 20" in out
    assert "people have no attribute last_edited, which --changed-by / changed_by names." in err


def test_a_sync_that_was_killed_would_go_on_at_its_page_and_does(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(500)
    process = killed_midway(server, cli)
    assert (cli.folder / "sync.db-wal").exists()
    found = check.json(server.url)
    assert (found["would"], found["process"]) == ("go on", process)
    assert f"it would go on with process {process} at page {found['page']}, 50" in check.words(server.url)[0]
    before = cli.json("replay", "sync.db")["pages"]
    assert (found["page"], cli.sync(server.url)["process"]) == (before + 1, process)


def test_a_sync_that_failed_would_go_on_with_the_page_size_and_the_limits_asked_for(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(120, api_key="another")
    cli(*cli.sync_args(server.url), status=1)
    cli.env["ATTIO_API_KEY"] = "another"
    found = check.json(server.url, "--page-size", 20, "--set", "attempts_max=3")
    assert (found["would"], found["page"], found["page_size"]) == ("go on", 1, 20)
    assert found["limits"]["attempts_max"] == 3
    assert "limits  attempts_max 3, " in check.words(server.url, "--set", "attempts_max=3")[0]


def test_starting_anew_would_cancel_what_is_active_and_checking_does_not(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(300)
    process = killed_midway(server, cli)
    out, err = check.words(server.url, "--fresh")
    assert f"it would cancel process {process}, which is active, and begin anew" in out
    assert err == ""
    assert check.json(server.url, "--fresh")["cancels"] == process
    assert cli.json("log", "ls", "sync.db")["processes"][0]["state"] == "FETCHING"


def test_it_can_be_asked_while_a_sync_runs(serve: Serve, cli: Cli, check: Checked) -> None:
    server = serve(300)
    server.hold_after(2)
    process = cli.start(*cli.sync_args(server.url), *STEPWISE)
    assert server.is_holding.wait(30)
    server._queries_left = None  # the check's own requests are answered, the sync still waits
    found = check.json(server.url)
    assert (found["would"], found["page"]) == ("go on", 2)
    server.hold_after(None)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert cli.json("log", "verify", "sync.db")["findings"] == []


def test_a_jsonl_file_is_counted_and_a_line_cut_short_is_left_as_it_is(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(60)
    args = ("--sink", "jsonl:people.jsonl")
    assert check.json(server.url, *args)["sink"]["found"]["file"].startswith("not there yet")
    cli.sync(server.url, *args)
    with (cli.folder / "people.jsonl").open("a") as lines:
        lines.write('{"external_id": "cut')
    assert check.json(server.url, *args)["sink"]["found"]["contacts"] == "60"


def test_quo_is_asked_and_nothing_is_written_there(serve: Serve, cli: Cli, check: Checked) -> None:
    server = serve(3)
    cli.env["QUO_API_KEY"] = "any-key-for-quo"
    args = ("--sink", "quo:", "--quo-base-url", server.url)
    assert check.json(server.url, *args)["sink"]["found"] == {"sink": f"quo:{server.url}"}
    assert server.quo.requests
    assert {method for method, *_ in server.quo.requests} == {"GET"}


# ── what would be refused, or fail ───────────────────────────────────────────────────────────


def same_words(check: Checked, server: Server, *args: object, sync_status: int = 1) -> str:
    """Return what `check` says is wrong, after hearing the same from `sync`."""
    out, err = check.words(server.url, *args, status=1)
    (said,) = {line for line in err.splitlines() if line.startswith("error: ")}
    assert out.startswith("a sync could not start: ")
    _, err = check.cli(*check.cli.sync_args(server.url), *args, status=sync_status)
    assert said in err
    return said


def test_a_wrong_key_a_missing_scope_and_a_wrong_object_are_told_in_the_syncs_words(
    serve: Serve, check: Checked
) -> None:
    assert "does not accept the key" in same_words(check, serve(1, api_key="another"))
    scopes = frozenset({"record_permission:read"})
    assert "lacks the scopes object_configuration:read" in same_words(check, serve(1, scopes=scopes))
    assert "there are: companies, people" in same_words(check, serve(1), "--object", "persons")


def test_rows_out_of_order_are_told_before_a_sync_fails_on_them(serve: Serve, check: Checked) -> None:
    said = same_words(check, serve(200, honours_sorts=False))
    assert "Start anew with another order" in said


def test_a_sink_of_another_program_is_told_and_left_alone(serve: Serve, cli: Cli, check: Checked) -> None:
    server = serve(1)
    with sqlite3.connect(cli.folder / "contacts.db") as connection:
        connection.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
    connection.close()
    assert "another program's" in same_words(check, server)
    (cli.folder / "notes.txt").write_text("not what a sink holds, and much longer than a header " * 20)
    assert "no sound SQLite file" in same_words(check, server, "--sink", "sqlite:notes.txt", "--log", "a.db")
    args = ("--sink", "jsonl:notes.txt", "--log", "b.db")
    (cli.folder / "notes.txt").write_text("no contact\n")
    assert "holds a line that is no contact" in same_words(check, server, *args)


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_folder_that_is_not_there_is_told(serve: Serve, check: Checked, kind: str) -> None:
    said = same_words(check, serve(1), "--sink", f"{kind}:nowhere/contacts")
    assert "its folder does not exist; make it" in said


def test_a_log_that_cannot_be_written_is_told(serve: Serve, check: Checked) -> None:
    said = same_words(check, serve(1), "--log", "nowhere/sync.db")
    assert "the log nowhere/sync.db cannot be written: its folder does not exist; make it" in said


def test_another_sink_is_refused_while_a_sync_is_active(serve: Serve, cli: Cli, check: Checked) -> None:
    server = serve(300)
    process = killed_midway(server, cli)
    args = ("--sink", "jsonl:people.jsonl")
    said = same_words(check, server, *args, sync_status=2)
    assert f"is active already: process {process}" in said
    found = check.json(server.url, *args, status=1)
    assert (found["would"], found["refusal"]) == ("refuse", said.removeprefix("error: "))


def test_another_order_than_the_unfinished_sync_has_is_refused(
    serve: Serve, cli: Cli, check: Checked
) -> None:
    server = serve(300)
    killed_midway(server, cli)
    said = same_words(check, server, "--order", "oldest", sync_status=2)
    assert said.endswith("go on with that order, or start anew with --fresh")


def test_a_source_that_is_switched_off_could_not_start(serve: Serve, cli: Cli, check: Checked) -> None:
    cli.env["SYNCFSM_SOURCES_ATTIO_ENABLED"] = "no"
    out, err = check.words(serve(1).url, status=1)
    assert "a sync could not start: it would be refused" in out
    assert "switched off by SYNCFSM_SOURCES_ATTIO_ENABLED" in err


def test_what_may_pass_is_said_to_be_tried_again_by_a_sync(check: Checked) -> None:
    out, err = check.words("http://127.0.0.1:9", status=1)
    assert "  source  not in order, see below" in out
    assert "cannot be reached" in err
    assert "A sync would try again by itself." in err
    assert check.json("http://127.0.0.1:9", status=1)["source"]["problem"]["is_passing"] is True


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--page-size", 500), "choose 1 to 499"),
        (("--set", "attempts=3"), "'attempts' is no limit"),
        (("--sink", "mysql:x"), "no sink is known"),
        (("--sink", "sqlite:sync.db"), "the same file"),
    ],
)
def test_wrong_use_is_wrong_use_here_too(
    serve: Serve, check: Checked, args: tuple[object, ...], words: str
) -> None:
    assert words in check.words(serve(1).url, *args, status=2)[1]


def test_a_log_that_is_none_is_refused_as_by_a_sync(serve: Serve, cli: Cli, check: Checked) -> None:
    (cli.folder / "notes.txt").write_text("no log, and longer than the header of one " * 20)
    _, err = check.words(serve(1).url, "--log", "notes.txt", status=3)
    assert "not a sound SQLite file" in err

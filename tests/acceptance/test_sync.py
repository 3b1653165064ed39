"""The main job, as a user does it: the command line, over real sockets, into real files."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from syncfsm.outside.clock import SystemClock
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.serve import served
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import KEY, Cli, Server
from tests.planted import UNREADABLE

Serve = Callable[..., Server]
STEPWISE = ("--page-size", 50, "--read-ahead", 1)


@pytest.mark.parametrize("people", [0, 1, 498, 499, 500, 998, 5000])
def test_all_people_arrive_once_and_a_second_run_writes_nothing(serve: Serve, cli: Cli, people: int) -> None:
    server = serve(people)
    first = cli.sync(server.url)
    rows = contacts_in(cli.folder / "contacts.db")
    assert {row[0] for row in rows} == set(server.world.entities("people"))
    assert len(rows) == people
    assert (first["state"], first["fetched"], first["created"]) == ("COMPLETED", people, people)
    assert first["pages"] == max(1, -(-people // 499))
    second = cli.sync(server.url)
    assert (second["created"], second["updated"], second["unchanged"]) == (0, 0, people)
    assert contacts_in(cli.folder / "contacts.db") == rows


@pytest.mark.parametrize("order", ["newest", "oldest", "id"])
def test_every_order_brings_the_same_people(serve: Serve, cli: Cli, order: str) -> None:
    server = serve(120)
    assert cli.sync(server.url, "--order", order)["created"] == 120
    assert {row[0] for row in contacts_in(cli.folder / "contacts.db")} == set(server.world.entities("people"))


def test_a_sync_killed_midway_goes_on_and_ends_with_everybody_once(serve: Serve, cli: Cli) -> None:
    server = serve(1500)
    for queries in (9, 12, 1):
        server.hold_after(queries)
        process = cli.start(*cli.sync_args(server.url), *STEPWISE)
        assert server.is_holding.wait(30)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    server.hold_after(None)
    last = cli.sync(server.url)
    assert (last["state"], last["fetched"], last["created"] + last["unchanged"]) == ("COMPLETED", 1500, 1500)
    assert {row[0] for row in contacts_in(cli.folder / "contacts.db")} == set(server.world.entities("people"))
    assert len(cli.json("log", "ls", "sync.db")["processes"]) == 1
    assert cli.json("log", "verify", "sync.db")["findings"] == []


@pytest.mark.parametrize(
    ("sent", "status", "kind"), [("SIGINT", 130, "Interrupted"), ("SIGTERM", 143, "Terminated")]
)
def test_ctrl_c_and_sigterm_say_how_to_go_on_and_leave_it_so(
    serve: Serve, cli: Cli, sent: str, status: int, kind: str
) -> None:
    server = serve(200)
    server.hold_after(3)
    process = cli.start(*cli.sync_args(server.url), *STEPWISE, "--json")
    assert server.is_holding.wait(30)
    process.send_signal(getattr(signal, sent))
    out, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert f"error: {kind.lower()}; run the same command again" in err
    assert json.loads(out)["type"] == kind
    assert "Traceback" not in err
    server.hold_after(None)
    assert not (cli.folder / "sync.db-wal").exists(), "the log was closed in good order"
    last = cli.sync(server.url)
    assert (last["state"], last["fetched"]) == ("COMPLETED", 200)
    assert len(cli.json("log", "ls", "sync.db")["processes"]) == 1


def test_sigterm_is_heeded_where_ctrl_c_is_ignored_and_while_a_sync_waits(cli: Cli) -> None:
    cli.sigint = signal.SIG_IGN  # as in the background of a shell
    process = cli.start(*cli.sync_args("http://127.0.0.1:9"), "-v")
    assert process.stderr is not None
    next(line for line in process.stderr if "RetryScheduled" in line)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "terminated; run the same command again" in err


def test_a_wrong_key_fails_while_initializing_and_names_the_variable(serve: Serve, cli: Cli) -> None:
    server = serve(10, api_key="another-key")
    out, err = cli(*cli.sync_args(server.url), status=1)
    assert "set ATTIO_API_KEY" in err
    assert out.startswith("FAILED")
    replay = cli.json("replay", "sync.db")
    assert (replay["state"], replay["version"], replay["failure"]["action"]) == ("FAILED", 2, "check")
    assert not (cli.folder / "contacts.db").exists()


def test_no_key_at_all_is_wrong_use(serve: Serve, cli: Cli) -> None:
    cli.env["ATTIO_API_KEY"] = " "
    _, err = cli(*cli.sync_args(serve(1).url), status=2)
    assert "set ATTIO_API_KEY" in err


def test_a_wrong_object_says_which_there_are_and_the_right_one_then_works(serve: Serve, cli: Cli) -> None:
    server = serve(10)
    _, err = cli(*cli.sync_args(server.url), "--object", "persons", status=1)
    assert "no object 'persons'; there are: companies, people" in err
    assert cli.sync(server.url)["created"] == 10


def test_a_key_without_the_scopes_says_which_it_lacks(serve: Serve, cli: Cli) -> None:
    server = serve(10, scopes=frozenset({"record_permission:read"}))
    _, err = cli(*cli.sync_args(server.url), status=1)
    assert "lacks the scopes object_configuration:read" in err


def test_a_server_that_is_not_there_is_tried_and_said_to_be_unreachable(cli: Cli) -> None:
    process = cli.start(*cli.sync_args("http://127.0.0.1:9"), "-v")
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if "RetryScheduled" in line:
            break
    process.kill()
    process.communicate()
    assert "cannot be reached" in lines[-1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["sync", "--source", "attio", "--sink", "mysql:x"], "no sink is known as 'mysql'"),
        (["sync", "--source", "attio", "--sink", "jsonl:p", "--page-size", "500"], "choose 1 to 499"),
        (
            ["sync", "--source", "attio", "--sink", "jsonl:p", "--base-url", "nowhere"],
            "is not a URL of an API",
        ),
        (["sync", "--source", "attio"], "Missing option '--sink'"),
        (["replay", "nothing.db"], "there is no log nothing.db"),
        (["log", "ls", "nothing.db"], "there is no log nothing.db"),
        (["cancel", "nothing.db", "x"], "there is no log nothing.db"),
        (["simulate", "nothing.toml"], "cannot be read: No such file"),
        (["simulate", "--people", "-1"], "-1"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_would_be_right(cli: Cli, args: list[str], words: str) -> None:
    _, err = cli(*args, status=2)
    assert words in err


def test_an_unfinished_sync_goes_on_with_its_own_order_or_starts_anew(serve: Serve, cli: Cli) -> None:
    server = serve(120, api_key="another-key")
    cli(*cli.sync_args(server.url), "--order", "oldest", status=1)
    _, err = cli(*cli.sync_args(server.url), status=2)
    assert "began with order 'oldest'" in err
    cli.env["ATTIO_API_KEY"] = "another-key"
    assert cli.sync(server.url, "--fresh")["created"] == 120


def test_what_is_asked_for_and_not_heeded_or_cancelled_is_said(serve: Serve, cli: Cli) -> None:
    server = serve(120)
    server.hold_after(2)
    process = cli.start(*cli.sync_args(server.url), *STEPWISE)
    assert server.is_holding.wait(30)
    process.kill()
    process.communicate()
    server.hold_after(2)
    process = cli.start(*cli.sync_args(server.url), "--page-size", 20)
    assert server.is_holding.wait(30)
    process.kill()
    _, err = process.communicate()
    assert "50 records a page, as it began, not 20: an active sync keeps its page size" in err
    server.hold_after(None)
    active = cli.json("log", "ls", "sync.db")["processes"][0]["process"]
    _, err = cli(*cli.sync_args(server.url), "--fresh", "--page-size", 20)
    assert f"cancelled process {active}, which was active: --fresh starts anew" in err
    assert "keeps its page size" not in err


def test_a_failure_that_the_same_command_would_meet_again_says_what_to_change(serve: Serve, cli: Cli) -> None:
    server = serve(1)
    _, err = cli(*cli.sync_args(server.url), "--object", "persons", status=1)
    assert "Name an object that the source has" in err
    with sqlite3.connect(cli.folder / "contacts.db") as connection:
        connection.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
    connection.close()
    _, err = cli(*cli.sync_args(server.url), status=1)
    assert "another program's: it has a table `contacts` of another shape; name another file." in err
    assert "Name another sink: a new sync into it then begins." in err
    assert cli.sync(server.url, "--sink", "sqlite:mine.db")["created"] == 1


def test_a_limit_that_a_failure_names_is_raised_by_the_words_it_says(serve: Serve, cli: Cli) -> None:
    server = serve(60)
    by_id = sorted(server.world.entities("people").values(), key=lambda person: person.record_id)
    newest_first = sorted(by_id, key=lambda person: person.created_at, reverse=True)
    for person in newest_first[::4]:  # five on each page of twenty
        person.set("job_title", UNREADABLE)
    args = ("--page-size", 20, "--set", "reject_min=3")
    _, err = cli(*cli.sync_args(server.url), *args, status=1)
    words = "The limit reject_ratio_max is 0.01: to raise reject_ratio_max, run again with --set "
    setting = err.partition(words)[2].split(".\n")[0]
    again = cli.sync(server.url, *args, "--set", setting)
    assert (again["state"], again["fetched"], again["rejected"]) == ("COMPLETED", 60, 15)
    assert len(cli.json("log", "ls", "sync.db")["processes"]) == 1


@pytest.mark.parametrize("setting", ["attempts=20", "attempts_max=many"])
def test_a_limit_that_is_none_is_wrong_use_and_the_names_are_listed(
    serve: Serve, cli: Cli, setting: str
) -> None:
    _, err = cli(*cli.sync_args(serve(1).url), "--set", setting, status=2)
    assert "attempts_max, backoff_s_base, wait_s_max, waiting_s_max, step_backs_max" in err
    assert cli.json("log", "ls", "sync.db")["processes"] == []


def test_a_cancelled_sync_stays_cancelled_and_the_next_starts_anew(serve: Serve, cli: Cli) -> None:
    server = serve(120)
    process = cli.start(*cli.sync_args(server.url), "-v")
    assert process.stderr is not None
    next(line for line in process.stderr if "FetchingBegan" in line)
    process.kill()
    process.communicate()
    cancelled = cli.json("cancel", "sync.db", cli.json("log", "ls", "sync.db")["processes"][0]["process"][:4])
    assert cancelled["state"] == "CANCELLED"
    fresh = cli.sync(server.url)
    assert fresh["process"] != cancelled["process"]
    assert fresh["fetched"] == 120


def test_another_sink_is_refused_while_a_sync_is_active(serve: Serve, cli: Cli) -> None:
    server = serve(200)
    server.hold_after(3)
    process = cli.start(*cli.sync_args(server.url), *STEPWISE)
    assert server.is_holding.wait(30)
    _, err = cli(*cli.sync_args(server.url), "--sink", "jsonl:people.jsonl", status=2)
    process.kill()
    process.communicate()
    assert "is active already: process" in err


def test_the_key_is_nowhere_in_what_was_written(serve: Serve, cli: Cli) -> None:
    cli(*cli.sync_args(serve(60).url), "-v")
    cli(*cli.sync_args(serve(60, api_key="other").url), status=1)
    for path in cli.folder.iterdir():
        assert KEY.encode() not in path.read_bytes(), path


def test_serve_prints_its_url_first_and_stops_on_sigterm(cli: Cli) -> None:
    process = cli.start("serve", "--port", 0, "--people", 30)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert cli.sync(url)["created"] == 30
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) in {(0, False), (-signal.SIGTERM, False)}


def test_a_taken_port_is_said_to_be_taken(serve: Serve, cli: Cli) -> None:
    _, err = cli("serve", "--port", serve(0).url.rpartition(":")[2], "--people", 0, status=2)
    assert "is taken: choose another" in err


class SmallDisk:
    """A file system with little room, of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._mount("tmpfs", "-t", "tmpfs", "-o", "size=600k")

    def _mount(self, device: str, *options: str) -> None:
        subprocess.run(["mount", *options, device, self.path], check=True, capture_output=True)

    def remount(self, options: str) -> None:
        self._mount("tmpfs", "-o", f"remount,{options}")

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    try:
        disk = SmallDisk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    disk.close()


@pytest.mark.parametrize("full", ["sink", "log"])
def test_a_full_disk_says_so_and_nothing_is_lost(
    serve: Serve, cli: Cli, small_disk: SmallDisk, full: str
) -> None:
    server = serve(1500)
    files = {"sink": "disk/contacts.db" if full == "sink" else "contacts.db"}
    files["log"] = "disk/sync.db" if full == "log" else "sync.db"
    args = ("--sink", f"sqlite:{files['sink']}", "--log", files["log"])
    _, err = cli(*cli.sync_args(server.url), *args, status=1)
    assert "the disk is full; make room" in err
    assert cli.json("log", "verify", files["log"])["findings"] == []
    small_disk.remount("size=64m")
    last = cli.sync(server.url, *args)
    assert (last["state"], last["fetched"]) == ("COMPLETED", 1500)
    assert len(cli.json("log", "ls", files["log"])["processes"]) == 1


def test_a_read_only_disk_says_so_and_its_log_can_still_be_read(
    serve: Serve, cli: Cli, small_disk: SmallDisk
) -> None:
    server = serve(60)
    small_disk.remount("size=4m")
    args = ("--sink", "sqlite:disk/contacts.db", "--log", "disk/sync.db")
    cli.sync(server.url, *args)
    small_disk.remount("ro")
    _, err = cli("check", *cli.sync_args(server.url)[1:], *args, status=1)
    assert err.count("read-only; give write permission") == 2, "the log and the sink"
    jsonl = ("--sink", "jsonl:disk/people.jsonl")
    _, err = cli("check", *cli.sync_args(server.url)[1:], *jsonl, status=1)
    assert "the disk is read-only; name another file" in err
    _, err = cli(*cli.sync_args(server.url), *args, status=1)
    assert "read-only; give write permission" in err
    _, err = cli(*cli.sync_args(server.url), "--sink", "sqlite:disk/contacts.db", status=1)
    assert "read-only; give write permission" in err
    assert cli.json("replay", "disk/sync.db")["fetched"] == 60


def test_a_rate_limit_is_waited_for_over_real_http(serve: Serve, cli: Cli) -> None:
    server = serve(40, reads_per_s=2)
    dates = httpx.get(f"{server.url}/v2/self").headers.get_list("date")
    assert len(dates) == 2, "the server adds one to the fake's, as a proxy may"
    done = cli.sync(server.url, "--page-size", 20, "--no-companies")
    assert (done["state"], done["created"]) == ("COMPLETED", 40)
    assert done["rate_limited"] >= 1


def test_the_fake_is_served_with_its_own_date_and_no_other() -> None:
    with served(FakeAttio(World(1, people=1, now=EPOCH), SystemClock())) as url:
        assert len(httpx.get(f"{url}/v2/self").headers.get_list("date")) == 1

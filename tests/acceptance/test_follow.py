"""`syncfsm log follow`: events from another process, as they come."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncfsm.core.process import Process
from syncfsm.log import EventLog, open_log
from tests.acceptance.conftest import Cli, Server, Started
from tests.contracts.event_log import BEGAN, CANCELLED, STARTED, add

Serve = Callable[..., Server]
QUICK = ("--interval", "0.01")


@pytest.fixture
def log(cli: Cli) -> Iterator[EventLog]:
    with open_log(cli.folder / "sync.db") as log:
        yield log


@pytest.fixture
def follow(cli: Cli) -> Iterator[Callable[..., Started]]:
    """Start `log follow`; what still runs at the end is killed."""
    begun: list[Started] = []

    def start(*args: object) -> Started:
        begun.append(cli.start("log", "follow", "sync.db", *QUICK, *args))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def line(process: Started) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def begun(log: EventLog, process_id: str = "p1", object_: str = "people") -> Process:
    values: dict[str, Any] = {name: getattr(STARTED, name) for name in STARTED.__struct_fields__}
    return add(log, None, type(STARTED)(**{**values, "object": object_}), process_id=process_id)


def test_events_of_another_process_are_shown_as_they_come(log: EventLog, follow: Any) -> None:
    process = begun(log)
    following = follow()
    assert line(following).split()[::3][:2] == ["p1", "SyncStarted"]
    add(log, process, BEGAN)
    assert "FetchingBegan   source and sink are in order" in line(following)


def test_a_line_is_that_of_log_show_after_the_process(log: EventLog, follow: Any, cli: Cli) -> None:
    process = begun(log)
    shown, _ = cli("log", "show", "sync.db")
    assert line(follow()) == f"p1  {shown}"
    assert line(follow("p1")) == shown
    following = follow("p", "-n", "0")
    assert following.poll() is None
    add(log, process, BEGAN)


def test_only_the_process_that_is_named_is_followed(log: EventLog, follow: Any) -> None:
    begun(log, "p1")
    other = begun(log, "q1", "companies")
    following = follow("q", "--until-over")
    add(log, log.load("p1"), BEGAN)
    add(log, other, CANCELLED, process_id="q1")
    out, err = following.communicate(timeout=30)
    assert [row.split()[2] for row in out.splitlines()] == ["SyncStarted", "SyncCancelled"]
    assert (following.returncode, err) == (1, "")


def test_until_over_waits_for_a_sync_and_ends_with_its_status(serve: Serve, cli: Cli, follow: Any) -> None:
    following = follow("--wait", "--until-over", "-n", "100")
    cli.sync(serve(120).url)
    out, err = following.communicate(timeout=30)
    shown, _ = cli("log", "show", "sync.db")
    assert out == shown
    assert following.returncode == 0
    assert "Traceback" not in err
    cli.sync(serve(1, api_key="other").url, status=1)
    out, _ = cli("log", "follow", "sync.db", "--until-over", "-n", 1, status=1)
    assert "SyncFailed" in out


def test_the_last_events_or_those_since_a_time_come_first(serve: Serve, cli: Cli) -> None:
    cli.sync(serve(120).url)
    shown = cli("log", "show", "sync.db")[0].splitlines()
    over = ("log", "follow", "sync.db", "--until-over")
    assert cli(*over, "-n", 3)[0].splitlines() == shown[-3:]
    assert cli(*over, "-n", 0)[0] == ""
    assert cli(*over, "--since", "1h")[0].splitlines() == shown
    fourth = cli.json("log", "show", "sync.db")["events"][3]["at"]
    assert cli(*over, "--since", fourth)[0].splitlines() == shown[3:]
    assert cli(*over, "--since", "2999-01-01")[0] == ""
    _, err = cli(*over, "--since", "yesterday", status=2)
    assert "give one like 2026-01-31T09:30 (UTC), or 90s, 10m, 2h, 1d for so long ago" in err


def test_with_json_each_event_is_an_object_on_a_line(serve: Serve, cli: Cli) -> None:
    cli.sync(serve(60).url)
    out, _ = cli("log", "follow", "sync.db", "--until-over", "--json", "-n", 99)
    assert list(map(json.loads, out.splitlines())) == cli.json("log", "show", "sync.db")["events"]


def test_ctrl_c_ends_it_quietly(log: EventLog, follow: Any) -> None:
    begun(log)
    following = follow("--json")
    line(following)
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=30) == ("", "")
    assert following.returncode == 130


def test_a_closed_pipe_ends_it_quietly(log: EventLog, follow: Any) -> None:
    process = begun(log)
    following = follow()
    line(following)
    following.stdout.close()
    add(log, process, BEGAN)
    assert following.wait(timeout=30) == 141
    assert following.stderr.read() == ""


def test_a_log_that_is_not_there_is_waited_for_only_when_asked(cli: Cli) -> None:
    _, err = cli("log", "follow", "sync.db", status=2)
    assert "there is no log sync.db" in err
    assert not (cli.folder / "sync.db").exists()
    _, err = cli("log", "follow", ".", "--wait", status=2)
    assert "is a folder: name the file" in err


def test_a_process_that_is_not_there_is_waited_for_only_when_asked(
    log: EventLog, follow: Any, cli: Cli
) -> None:
    begun(log)
    _, err = cli("log", "follow", "sync.db", "q", status=2)
    assert "no process begins with 'q'" in err
    following = follow("q", "--wait", "--until-over")
    add(log, begun(log, "q1", "companies"), CANCELLED, process_id="q1")
    assert following.wait(timeout=30) == 1


def test_a_locked_log_is_said_to_be_locked_and_read_when_it_is_free(
    log: EventLog, follow: Any, cli: Cli
) -> None:
    add(log, begun(log), CANCELLED)
    log.close()
    holder = sqlite3.connect(cli.folder / "sync.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    following = follow("--until-over")
    assert "another program holds it locked" in following.stderr.readline()
    holder.close()
    out, err = following.communicate(timeout=30)
    assert len(out.splitlines()) == 2
    assert err == ""

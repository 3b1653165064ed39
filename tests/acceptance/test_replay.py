"""`replay`, `diff` and `log check` as a user meets them, and stepping by keys on a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncfsm.cli import main
from syncfsm.history.replay import Timeline, at
from syncfsm.log import open_log
from tests.planted import CHECKS, planted, strikes


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The log of a sync with retries that a wrong key ended at page 8."""
    script = [*strikes("error_500", CHECKS + 2, 2), *strikes("unauthorized", CHECKS + 9)]
    return planted(tmp_path_factory.mktemp("log"), script)


def run(*args: object, status: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == status, result.output
    return result


def run_json(*args: object, status: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(*args, "--json", status=status).stdout)
    return answer


def test_until_shows_the_first_version_that_came_to_a_state(path: str) -> None:
    words = run("replay", path, "--until", "FAILED").stdout
    assert "  due was    ask for 51 rows from offset 350" in words
    assert "  state      FETCHING → FAILED" in words
    assert (
        "             failure  none → unauthorized" in words
        or "changed    failure  none → unauthorized" in words
    )
    assert "next       nothing: the process is FAILED; it can be resumed" in words


def test_until_takes_the_types_of_events_too(path: str) -> None:
    step = run_json("replay", path, "--until", "RetryScheduled")
    assert step["event"]["type"] == "RetryScheduled"
    assert step["action"]["action"] == "fetch"
    assert step["next_action"]["not_before"] == step["event"]["event"]["retry_at"]
    assert {change["field"] for change in step["changes"]} == {
        "progress.retries",
        "progress.waited_s",
        "retry",
    }
    assert step["before"]["retries"] == 0
    assert step["since_s"] > 0.1
    assert step["elapsed_s"] > step["since_s"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("CANCELLED", "never came to CANCELLED: it is FAILED at version"),
        ("broken", "there is no state or event 'broken': choose from INITIALIZING"),
    ],
)
def test_until_says_what_there_is_where_it_finds_nothing(path: str, what: str, words: str) -> None:
    assert words in run("replay", path, "--until", what, status=2).stderr


def test_at_and_until_together_are_refused(path: str) -> None:
    assert "give one of them" in run("replay", path, "--at", "3", "--until", "FAILED", status=2).stderr


def test_a_timeline_shows_every_step_as_the_fold_does_in_any_order(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Timeline, "STRIDE", 4)
    with open_log(path, read_only=True) as log:
        process_id = log.ids()[0]
        timeline = Timeline(log, process_id)
        versions = [*range(timeline.last, 0, -3), *range(1, timeline.last + 1)]
        assert [timeline.at(version) for version in versions] == [
            at(log, process_id, version) for version in versions
        ]


def test_two_equal_syncs_have_no_difference(tmp_path: Path, path: str) -> None:
    script = [*strikes("error_500", CHECKS + 2, 2), *strikes("unauthorized", CHECKS + 9)]
    again = planted(tmp_path, script)
    answer = run_json("diff", path, again, status=1)
    assert answer["parting"] is None
    assert [change["field"] for change in answer["settings"]] == ["found"]  # the sink lies in another folder
    assert run_json("diff", path, path)["same"] is True


def test_diff_names_the_first_event_in_which_two_syncs_part_and_what_was_due(
    tmp_path: Path, path: str
) -> None:
    other = planted(tmp_path, strikes("error_500", CHECKS + 2, 2))
    answer = run_json("diff", path, other, status=1)
    assert answer["parting"]["one"]["type"] == "SyncFailed"
    assert answer["parting"]["two"]["type"] == "PageFetched"
    assert answer["only_one"] == {"SyncFailed": 1}
    assert {"field": "state", "before": "FAILED", "after": "COMPLETED"} in answer["ends"]
    words = run("diff", path, other, status=1).stdout
    assert "due    ask for 51 rows from offset 350" in words
    assert "one    SyncFailed: fetch failed for good (unauthorized)" in words


def test_diff_tells_what_was_asked_for_from_what_happened(tmp_path: Path, path: str) -> None:
    other = planted(tmp_path, sync={"page_size": 40})
    words = run("diff", path, other, status=1).stdout
    assert "what was asked for differs:\n    page_size  50 → 40\n" in words
    assert "part at version 3" in words


def test_diff_compares_a_process_with_itself_at_another_version(path: str) -> None:
    answer = run_json("diff", f"{path}@4", f"{path}@6", status=1)
    assert (answer["one"]["version"], answer["two"]["version"]) == (4, 6)
    assert (answer["only_one"], sum(answer["only_two"].values())) == ({}, 2)


def test_check_finds_each_event_of_a_sound_log_due(path: str) -> None:
    assert "each follows from what was due" in run("log", "check", path).stdout
    assert run_json("log", "check", path)["findings"] == []


# ── on a terminal ────────────────────────────────────────────────────────────────────────────


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *args: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        command = [sys.executable, "-m", "syncfsm.cli", *args]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
        os.close(slave)
        self._shown = ""

    def press(self, keys: str) -> None:
        self._shown = ""
        os.write(self._master, keys.encode())

    def wait_for(self, words: str, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while words not in self._shown:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{words!r} did not come: {self._shown!r}"
            text = os.read(self._master, 65536).decode(errors="replace")
            self._shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    def close(self) -> int:
        status = self.process.wait(20)
        os.close(self._master)
        return status


def test_keys_step_forward_and_back_jump_to_trouble_and_leave(path: str) -> None:
    with open_log(path, read_only=True) as log:
        last = log.version(log.ids()[0])
    terminal = Terminal("replay", path)
    terminal.wait_for(f"version    {last} of {last}")
    terminal.press("\x1b[D")
    terminal.wait_for(f"version    {last - 1} of {last}")
    terminal.press("\x1b[H")
    terminal.wait_for(f"version    1 of {last}")
    terminal.press("n")
    terminal.wait_for("event      RetryScheduled")
    terminal.press("l")
    terminal.wait_for("event      RetryScheduled")
    terminal.press("G")
    terminal.wait_for(f"version    {last} of {last}")
    terminal.press("4g")
    terminal.wait_for(f"version    4 of {last}")
    terminal.press("\x1b[C\x1b[Clh")
    terminal.wait_for(f"version    6 of {last}")
    terminal.press("q")
    assert terminal.close() == 0

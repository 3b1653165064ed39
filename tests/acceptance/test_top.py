"""`syncfsm top`: on a real terminal, and without one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from syncfsm.core import events as e
from syncfsm.engine.commit import commit
from syncfsm.log import EventLog, open_log
from tests.acceptance.conftest import Cli, Server
from tests.contracts.event_log import BEGAN, CANCELLED, STARTED, add, copy_of
from tests.pure import PureSync, people, slice_of

Serve = Callable[..., Server]


def take_terminal() -> None:
    """Let Ctrl-C on the terminal be heard, also where a background job of a shell was told to ignore it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`syncfsm` on a terminal of its own, which is also the one that Ctrl-C comes from."""

    def __init__(self, cli: Cli, *args: str, width: int = 130) -> None:
        self._end, self._other_end = pty.openpty()
        fcntl.ioctl(self._other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.before = termios.tcgetattr(self._other_end)
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "syncfsm.cli", *args],
            cwd=cli.folder,
            env={**cli.env, "TERM": "xterm", "COLUMNS": str(width)},
            stdin=self._other_end,
            stdout=self._other_end,
            stderr=self._other_end,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - it does no more than that
        )

    def until(self, words: str) -> str:
        """Read until the words come, and return what came; then forget it."""
        while words not in self.text:
            ready, _, _ = select.select([self._end], [], [], 30)
            assert ready, f"{words!r} did not come:\n{self.text}"
            came = os.read(self._end, 65_536).decode(errors="replace")
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", came)
        text, self.text = self.text, ""
        return text

    def press(self, keys: str) -> int:
        """Press keys, and return the exit status they lead to."""
        os.write(self._end, keys.encode())
        return self.ended()

    def ended(self) -> int:
        """Return the exit status, when it comes; the terminal must be as it was."""
        status = self.process.wait(30)
        assert termios.tcgetattr(self._other_end) == self.before, "the terminal is not as it was"
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)
        os.close(self._other_end)


@pytest.fixture
def terminal(cli: Cli) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*args: str, width: int = 130) -> Terminal:
        opened.append(Terminal(cli, *args, width=width))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def log(cli: Cli) -> Iterator[EventLog]:
    with open_log(cli.folder / "sync.db") as log:
        yield log


def test_the_table_changes_with_the_log_and_q_leaves(
    log: EventLog, terminal: Callable[..., Terminal]
) -> None:
    process = add(log, None, STARTED)
    top = terminal("top", "sync.db", "--interval", "0.05")
    assert "INITIALIZING" in top.until("1 active, 0 over")
    process = add(log, process, BEGAN)
    top.until("FETCHING")
    add(log, process, CANCELLED)
    top.until("0 active, 1 over")
    assert top.press("xq") == 0


def test_ctrl_c_leaves_with_its_own_status_and_no_words(
    log: EventLog, terminal: Callable[..., Terminal]
) -> None:
    add(log, None, STARTED)
    top = terminal("top", "sync.db", "--interval", "0.05")
    top.until("1 active, 0 over")
    assert top.press("\x03") == 130
    top.until("1 active, 0 over")  # the last table stays on the screen
    assert "Traceback" not in top.text
    assert "error" not in top.text


def test_a_terminated_top_leaves_the_terminal_as_it_was(
    log: EventLog, terminal: Callable[..., Terminal]
) -> None:
    top = terminal("top", "sync.db", "--interval", "0.05")
    top.until("0 active, 0 over")
    top.process.terminate()
    assert top.ended() == 143


def test_a_log_that_goes_away_is_said_to_have_gone_and_the_table_stays(
    log: EventLog, terminal: Callable[..., Terminal], cli: Cli
) -> None:
    add(log, None, STARTED)
    top = terminal("top", "sync.db", "--interval", "0.05")
    top.until("1 active, 0 over")
    for name in ("sync.db", "sync.db-wal", "sync.db-shm"):
        (cli.folder / name).unlink(missing_ok=True)
    assert "INITIALIZING" in top.until("there is no log")
    assert top.press("q") == 0


def test_without_a_terminal_it_is_printed_once(serve: Serve, cli: Cli) -> None:
    cli.sync(serve(120).url, "--page-size", 50)
    out, err = cli("top", "sync.db")
    header, row, caption = out.splitlines()
    assert header.split() == [
        "process", "sync", "state", "pages", "records", "rejected", "records/s", "retries", "last", "event",
        "lag", "waiting",
    ]  # fmt: skip
    assert re.search(r"COMPLETED +3 +120 +0 ", row)
    assert caption.strip() == "sync.db: 0 active, 1 over"
    assert err == ""


def test_a_narrow_screen_has_the_columns_that_matter_most(
    log: EventLog, terminal: Callable[..., Terminal]
) -> None:
    add(log, None, STARTED)
    top = terminal("top", "sync.db", "--once", width=80)
    shown = top.until("1 active, 0 over")
    assert "process  state         records  records/s  retries  last event  waiting" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_for_machines_it_is_one_object(log: EventLog, cli: Cli) -> None:
    add(log, None, STARTED)
    (seen,) = cli.json("top", "sync.db")["processes"]
    assert (seen["process"], seen["state"], seen["lag_s"], seen["waiting_for"]) == (
        "p1",
        "INITIALIZING",
        None,
        None,
    )
    assert seen["last_event_age_s"] > 0


def test_a_sync_that_waits_says_for_what_and_the_lag_is_that_of_the_last_complete_one(
    log: EventLog, cli: Cli
) -> None:
    done = PureSync(slice_of(people(3)))
    done.run()
    copy_of(done, log)
    now = datetime.now(UTC)
    retry = e.RetryScheduled(
        action="check",
        cause="rate_limited",
        error="it asked for patience.",
        attempt=1,
        wait_s=300,
        retry_at=now + timedelta(seconds=300),
        cursor=None,
    )
    begun = done.recorded[0].event
    commit(log, None, "p2", (begun, retry), at=now)
    active, over = cli.json("top", "sync.db")["processes"]
    assert (active["process"], over["process"]) == ("p2", "p1")
    assert active["waiting_for"] == "rate_limited"
    assert 200 < active["waiting_s"] < 300
    assert 0 <= active["last_event_age_s"] < 100
    assert done.process.watermark is not None
    assert active["lag_s"] == pytest.approx((now - done.process.watermark).total_seconds(), abs=100)
    out, _ = cli("top", "sync.db", "--once")
    assert re.search(rf"(5|4) min, until {retry.retry_at:%H:%M:%S}: rate_limited", out)


def test_only_so_many_that_are_over_are_shown(log: EventLog, cli: Cli) -> None:
    for number in range(3):
        add(log, None, STARTED, CANCELLED, process_id=f"p{number}")
    assert len(cli.json("top", "sync.db", "--over", 2)["processes"]) == 2
    assert cli.json("top", "sync.db", "--over", 0)["processes"] == []


def test_a_log_that_is_none_is_wrong_use(cli: Cli) -> None:
    _, err = cli("top", "nowhere.db", status=2)
    assert "there is no log nowhere.db" in err

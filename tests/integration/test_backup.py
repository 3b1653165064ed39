"""A copy of a log: of one moment, sound, and whole or not there, whoever writes meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from syncfsm.core.capture import Exchange
from syncfsm.errors import ConfigurationError, CorruptLog
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.protocol import Scanned
from syncfsm.log.sqlite import backup
from syncfsm.log.sqlite.backup import back_up
from tests.busy import a_busy_log
from tests.contracts.event_log import BEGAN, STARTED, add
from tests.editing import edit, without_guards


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return a_busy_log(tmp_path / "log.db")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith("log.db-")}


def test_a_copy_is_one_file_that_only_its_owner_may_read_and_has_all_that_the_log_has(log: Path) -> None:
    target = log.with_name("copy.db")
    done = back_up(str(log), target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (done.events, done.bytes) == (110, target.stat().st_size)
    assert names(log.parent) == {"log.db", "copy.db"}
    with open_log(log, read_only=True) as one, open_log(target) as other:
        assert list(one.stored_events()) == list(other.stored_events())
        assert verify(other) == (110, [])
        assert [one.load(name) for name in one.ids()] == [other.load(name) for name in other.ids()]
        add(other, None, STARTED, process_id="more")


def test_what_is_still_in_the_wal_is_in_the_copy(log: Path) -> None:
    with open_log(log) as writer:
        add(writer, None, STARTED, process_id="late", exchanges=[Exchange(request="x", as_of="", body=b"1")])
        back_up(str(log), log.with_name("copy.db"))
    with open_log(log.with_name("copy.db"), read_only=True) as copy:
        assert copy.version("late") == 1
        assert copy.capture_counts() == {"late": 1}


class Writing:
    """Appends all the time, as fast as it goes, from a thread of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._moved = threading.Event()
        self._is_over = threading.Event()
        self.events = 0
        self.thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        with open_log(self._log) as writer:
            for number in itertools.count():
                if self._is_over.is_set():
                    return
                add(writer, None, replace(STARTED, object=f"o{number}"), BEGAN, process_id=f"w{number}")
                self.events += 2
                self._moved.set()

    def wait_for_more(self) -> None:
        self._moved.clear()
        assert self._moved.wait(10)

    def end(self) -> None:
        self._is_over.set()
        self.thread.join()


@pytest.fixture
def writing(log: Path) -> Iterator[Writing]:
    writing = Writing(log)
    writing.thread.start()
    yield writing
    writing.end()


def test_beside_a_writer_that_never_rests_a_copy_ends_and_is_of_one_moment(
    log: Path, writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "STEPS", 1000)  # so that the writer gets on while it is copied
    for number in range(3):
        writing.wait_for_more()
        before, target = writing.events, log.with_name(f"copy{number}.db")
        done = back_up(str(log), target)
        assert done.events >= 110 + before
        assert writing.events > before, "it was not written meanwhile"
        with open_log(target, read_only=True) as copy:
            assert verify(copy) == (done.events, [])


def test_a_log_from_before_is_copied_as_it_is(log: Path) -> None:
    without_guards(log)
    assert back_up(str(log), log.with_name("copy.db")).events == 110
    connection = sqlite3.connect(log.with_name("copy.db"))
    assert connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone() == (6,)
    connection.close()


def test_what_is_there_stays_unless_it_is_to_be_replaced(log: Path) -> None:
    target = log.with_name("copy.db")
    target.write_text("my own")
    with pytest.raises(ConfigurationError, match="is there already: name another file, or replace it with"):
        back_up(str(log), target)
    assert target.read_text() == "my own"
    link = log.with_name("link.db")
    link.symlink_to(target)
    back_up(str(log), link, replaces=True)
    assert link.is_symlink()
    with open_log(target, read_only=True) as copy:
        assert copy.ids()


def test_what_comes_to_the_place_while_it_is_copied_stays_too(log: Path) -> None:
    target = log.with_name("copy.db")
    with pytest.raises(ConfigurationError, match="is there already"):
        back_up(str(log), target, on_place=lambda _place: target.write_text("my own") and None)
    assert target.read_text() == "my own"
    assert names(log.parent) == {"log.db", "copy.db"}


@pytest.mark.parametrize(
    ("name", "words"), [("log.db", "is the log itself"), (".", "is a folder"), ("./../log.db", None)]
)
def test_what_is_no_place_for_a_copy_is_refused(log: Path, name: str, words: str | None) -> None:
    before = log.read_bytes()
    target = log.parent / name if words else log.parent / "sub" / ".." / "log.db"
    if words is None:
        (log.parent / "sub").mkdir()
    with pytest.raises(ConfigurationError, match=words or "is the log itself"):
        back_up(str(log), target, replaces=True)
    assert log.read_bytes() == before


def test_a_wal_that_another_file_left_is_not_taken_for_a_part_of_the_copy(log: Path) -> None:
    log.with_name("copy.db-wal").write_bytes(b"frames of another file")
    with pytest.raises(ConfigurationError, match=r"copy\.db-wal is there, which belongs to another copy\.db"):
        back_up(str(log), log.with_name("copy.db"), replaces=True)


def test_a_damaged_log_is_not_copied_and_nothing_is_left(log: Path) -> None:
    edit(log, "UPDATE events SET at = 'x' WHERE position = 9")
    with pytest.raises(CorruptLog, match=r"is damaged.*`syncfsm log verify .*log export"):
        back_up(str(log), log.with_name("copy.db"))
    assert names(log.parent) == {"log.db"}


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("when", ["copied", "verified"])
def test_ctrl_c_leaves_nothing_half(log: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setattr(backup, "STEPS", 10)
    on_place = interrupt if when == "verified" else None
    with pytest.raises(KeyboardInterrupt):
        back_up(
            str(log),
            log.with_name("copy.db"),
            on_copied=interrupt if when == "copied" else lambda _bytes: None,
            on_place=on_place,
        )
    assert names(log.parent) == {"log.db"}


def command(*args: str, file_bytes_max: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run `syncfsm log backup`, perhaps where no file may be larger."""

    def limit() -> None:
        if file_bytes_max is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))

    return subprocess.run(
        [sys.executable, "-m", "syncfsm.cli", "log", "backup", *args],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_where_there_is_no_room_it_says_so_and_leaves_nothing(log: Path) -> None:
    done = command(str(log), str(log.with_name("copy.db")), file_bytes_max=40_000)
    assert done.returncode == 1
    assert "copy.db cannot be written: " in done.stderr
    assert names(log.parent) == {"log.db"}


def test_the_command_says_in_words_or_json_what_was_copied(log: Path) -> None:
    target = log.with_name("copy.db")
    done = command(str(log), str(target))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{target}: 110 events of {log}, sound, " in done.stdout
    again = command(f"sqlite:{log}", str(target), "--force", "--json")
    assert json.loads(again.stdout) == {
        "log": f"sqlite:{log}",
        "backup": str(target),
        "events": 110,
        "bytes": target.stat().st_size,
    }


def test_progress_is_told_of_each_place(log: Path) -> None:
    places: list[Scanned] = []
    back_up(str(log), log.with_name("copy.db"), on_place=places.append)
    assert [place.position for place in places] == list(range(1, 111))

"""Watching a log that others write to: nothing missed, nothing twice, nobody in the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from syncfsm.core.events import Recorded
from syncfsm.errors import CorruptLog, LogNotFound
from syncfsm.log import open_log
from syncfsm.log.tail import EVENTS_MAX, LOOKS_MAX, Follower, Watch, is_passing
from tests.contracts.event_log import BEGAN, CANCELLED, STARTED, add, copy_of
from tests.pure import PureSync, people, slice_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def write(path: Path, process_id: str = "p1") -> None:
    """Begin and cancel a process: three events."""
    with open_log(path) as log:
        add(log, None, STARTED, BEGAN, CANCELLED, process_id=process_id)


def types(events: list[Recorded] | None) -> list[str]:
    assert events is not None
    return [recorded.type for recorded in events]


def test_a_follower_sees_each_event_of_another_connection_once(path: Path) -> None:
    follower = Follower()
    with open_log(path) as writer, Watch(str(path)) as watch:
        process = add(writer, None, STARTED)
        assert types(watch.look(lambda log: follower.begin(log, last=9))) == ["SyncStarted"]
        assert watch.look(follower.news) == []
        process = add(writer, process, BEGAN)
        assert types(watch.look(follower.news)) == ["FetchingBegan"]
        assert watch.look(follower.news) == []
        add(writer, process, CANCELLED)
        assert types(watch.look(follower.news)) == ["SyncCancelled"]


def test_more_than_a_look_holds_comes_with_the_next_looks(path: Path) -> None:
    sync = PureSync(slice_of(people(EVENTS_MAX)), page_size=1)
    sync.run()
    follower = Follower()
    with open_log(path) as writer, Watch(str(path)) as watch:
        watch.look(follower.begin)
        copy_of(sync, writer)
        seen = [recorded for _ in range(4) for recorded in watch.look(follower.news) or []]
    assert [recorded.version for recorded in seen] == [recorded.version for recorded in sync.recorded]
    assert len(seen) > 2 * EVENTS_MAX


def test_of_one_process_only_its_own_events_are_seen_whatever_others_write(path: Path) -> None:
    follower = Follower("p2")
    write(path, "p1")
    with Watch(str(path)) as watch:
        assert watch.look(lambda log: follower.begin(log, last=9)) == []
        for name in ("p2", "p3"):
            write(path, name)
        assert {recorded.stream for recorded in watch.look(follower.news) or []} == {"p2"}
        write(path, "p4")
        assert watch.look(follower.news) == []


def test_a_watcher_holds_nothing_between_looks_so_that_checkpoints_go_on(path: Path) -> None:
    follower = Follower()
    looks: list[Callable[[], object]] = [
        lambda: watch.look(lambda log: follower.begin(log, last=1)),
        lambda: watch.look(follower.news),
        lambda: watch.look(lambda log: log.recent(over_max=5)),
        lambda: watch.look(lambda log: log.load("p1")),
    ]
    with open_log(path) as writer, Watch(str(path)) as watch:
        for number, look in enumerate(looks, start=1):
            add(writer, None, STARTED, CANCELLED, process_id=f"p{number}")
            look()
            checkpoint = writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[attr-defined]
            assert checkpoint.fetchone() == (0, 0, 0), number


def test_a_watcher_cannot_write(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with Watch(str(path)) as watch:
        assert watch.look(lambda log: add(log, None, STARTED, process_id="p9")) is None
        assert "read-only" in str(watch.trouble)
    assert path.read_bytes() == before


def test_a_log_that_is_not_there_yet_is_a_trouble_and_is_found_when_it_comes(path: Path) -> None:
    follower = Follower()
    with Watch(str(path)) as watch:
        assert watch.look(follower.begin) is None
        assert isinstance(watch.trouble, LogNotFound)
        path.touch()  # as its maker does, a moment before there are tables in it
        assert watch.look(follower.begin) is None
        assert isinstance(watch.trouble, LogNotFound)
        write(path)
        assert len(watch.look(lambda log: follower.begin(log, last=9)) or []) == 3
        assert watch.trouble is None


def test_a_locked_log_is_a_trouble_that_passes(path: Path) -> None:
    write(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with Watch(str(path), busy_timeout_s=0.01) as watch:
        assert watch.look(lambda log: log.last_position()) is None
        assert watch.trouble is not None
        assert is_passing(watch.trouble)
        holder.close()
        assert watch.look(lambda log: log.last_position()) == 3


def test_a_log_made_anew_in_its_place_is_followed_from_its_beginning(path: Path) -> None:
    follower = Follower()
    write(path)
    with Watch(str(path)) as watch:
        watch.look(follower.begin)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for name in ("p7", "p8"):
            write(path, name)
        seen = [recorded for _ in range(LOOKS_MAX + 1) for recorded in watch.look(follower.news) or []]
    assert [recorded.stream for recorded in seen] == ["p7"] * 3 + ["p8"] * 3
    assert follower.anew == 1


def test_a_shorter_log_that_begins_alike_is_another_log_too(path: Path) -> None:
    follower = Follower()
    write(path)
    with Watch(str(path)) as watch:
        watch.look(follower.begin)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with open_log(path) as log:
            add(log, None, STARTED)
        seen = [recorded for _ in range(LOOKS_MAX + 1) for recorded in watch.look(follower.news) or []]
    assert types(seen) == ["SyncStarted"]
    assert follower.anew == 1


def test_what_another_look_would_not_help_is_raised(path: Path) -> None:
    path.write_text("remember the milk " * 100)
    with Watch(str(path)) as watch, pytest.raises(CorruptLog):
        watch.look(lambda log: log.last_position())

"""Looking without touching: sinks that are inspected, and logs on which things are only tried."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.options import Options
from syncfsm.engine.engine import Engine
from syncfsm.engine.preflight import preflight
from syncfsm.errors import ActiveSync, LogError, LogUnwritable
from syncfsm.log import EventLog, open_dry_run, open_log
from syncfsm.log.dry_run import DryRunLog
from syncfsm.sinks import open_sink
from syncfsm.sinks.protocol import NOT_THERE, capabilities
from tests.contracts.sink import ADA, upsert
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items
from tests.pure import EPOCH


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed_after(code: str) -> None:
    """Run code in a process of its own, and kill that before it can put anything in order."""
    program = f"""
import os, signal
from syncfsm.log import open_log
from syncfsm.engine.engine import Engine
from syncfsm.sinks import open_sink
from tests.contracts.sink import ADA, NOBODY, upsert
from tests.fakes import DictSink, ListSource, TestClock, to_items
kept = {code}  # or what is open would be closed
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL, done.stderr


def inspected(folder: Path, url: str) -> dict[str, str] | Failure:
    """Inspect a sink, and see that nothing is touched by it."""
    before = files(folder)
    sink = open_sink(url)
    able = capabilities(sink).inspectable
    assert able is not None
    found = asyncio.run(able.inspect())
    asyncio.run(sink.aclose())
    assert files(folder) == before
    return found


def checked(url: str) -> dict[str, str] | Failure:
    sink = open_sink(url)
    found = asyncio.run(sink.check())
    asyncio.run(sink.aclose())
    return found


def another_programs(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
    connection.close()


SPOILS: dict[str, Callable[[Path], object]] = {
    "another program's": another_programs,
    "no file of its kind": lambda path: path.write_text("no contact at all\n" * 100),
    "a folder": Path.mkdir,
    "in no folder": lambda path: path.parent.rmdir(),
}


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_an_inspection_fails_as_the_check_does_and_in_its_words(
    tmp_path: Path, kind: str, spoil: Callable[[Path], object]
) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "sink"
    spoil(path)
    found = inspected(tmp_path, f"{kind}:{path}")
    assert isinstance(found, Failure)
    assert found == checked(f"{kind}:{path}")


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_an_inspection_counts_what_there_is(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'sink'}"
    assert inspected(tmp_path, url) == {"sink": url, "file": NOT_THERE}
    killed_after(f"upsert(sink := open_sink({url!r}), ADA, NOBODY)")
    assert (tmp_path / "sink-wal").exists() is (kind == "sqlite")
    assert inspected(tmp_path, url) == {"sink": url, "contacts": "2"}
    assert not isinstance(checked(url), Failure)
    assert inspected(tmp_path, url) == {"sink": url, "contacts": "2"}


@pytest.mark.parametrize(
    "content", [b'{"name": "precious"}', b"SQLite format 3\0 and more", b'{"external', b"\0\0"]
)
def test_only_the_beginning_of_a_line_of_ours_is_ever_dropped(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "people.jsonl"
    path.write_bytes(content)
    is_ours = content in {b'{"external', b"\0\0"}
    assert isinstance(checked(f"jsonl:{path}"), Failure) is not is_ours
    assert path.read_bytes() == (b"" if is_ours else content)


def test_the_log_of_another_sync_is_no_sink_and_stays_as_it_was(tmp_path: Path) -> None:
    open_log(tmp_path / "other.db").close()
    before = files(tmp_path)
    url = f"sqlite:{tmp_path / 'other.db'}"
    found = inspected(tmp_path, url)
    assert isinstance(found, Failure)
    assert (found.kind, found) == (FailureKind.FOREIGN, checked(url))
    assert "is the log of a sync" in found.message
    assert files(tmp_path) == before


def test_a_database_without_the_table_is_one_that_a_sync_makes_it_in(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'mine.db'}"
    with sqlite3.connect(tmp_path / "mine.db") as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    connection.close()
    assert inspected(tmp_path, url) == {"sink": url, "table": NOT_THERE}


# ── logs ─────────────────────────────────────────────────────────────────────────────────────


def processes(log: EventLog, sink: DictSink | None = None) -> Engine[Item]:
    return Engine(log, ListSource(TestClock(), 10), sink or DictSink(), to_items)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The log of a sync whose process was killed, with what SQLite keeps beside it."""
    path = tmp_path / "sync.db"
    log = f"log := open_log({str(path)!r})"
    killed_after(f"Engine({log}, ListSource(TestClock(), 10), DictSink(), to_items).start()")
    assert (tmp_path / "sync.db-shm").exists()
    return path


def test_what_is_tried_on_a_log_is_seen_there_and_nowhere_else(tmp_path: Path, killed: Path) -> None:
    before = files(tmp_path)
    with open_dry_run(killed) as log:
        ours = processes(log)
        active = ours.active()
        assert active is not None
        assert ours.cancel(active.id).state is State.CANCELLED
        assert (ours.active(), log.version(active.id)) == (None, 2)
        fresh = ours.start()
        assert (ours.active(), log.load(fresh.id)) == (fresh, fresh)
    assert files(tmp_path) == before
    with open_log(killed) as real:
        assert [real.load(process).state for process in real.ids()] == [State.INITIALIZING]


def test_any_log_can_be_tried_on_and_is_not_written(tmp_path: Path) -> None:
    with open_log(tmp_path / "sync.db") as real:
        began = processes(real).start()
        rows = list(real.stored_events())
        tried = DryRunLog(real, path="the log of a friend")
        ours = processes(tried)
        cancelled = ours.cancel(began.id)
        assert tried.latest(ours.source.name, ours.source.object, ours.sink.name) == cancelled
        assert tried.recent(over_max=1) == [cancelled]
        ours.start()
        notice = Notice(source="a", object="b", key=None, record_ids=("r1",), received_at=EPOCH)
        for write in (
            lambda: tried.receive(notice),
            lambda: tried.clear_inbox(EPOCH),
            lambda: tried.forget(before=EPOCH),
            lambda: tried.restore(rows, list),
        ):
            with pytest.raises(LogUnwritable, match="the log of a friend is only read"):
                write()
        tried.check_writable()
        assert list(real.stored_events()) == rows
        assert real.load(began.id) == began


def test_a_second_active_sync_is_refused_in_the_words_of_the_log(tmp_path: Path, killed: Path) -> None:
    other = DictSink()
    other.name = "other"
    with open_dry_run(killed) as log, pytest.raises(ActiveSync) as rehearsed:
        processes(log, other).start()
    with open_log(killed) as real, pytest.raises(ActiveSync) as refused:
        Engine(real, ListSource(TestClock(), 10), other, to_items).start()
    assert str(rehearsed.value) == str(refused.value)
    assert rehearsed.value.process_id == refused.value.process_id


def test_a_log_that_is_not_there_is_tried_as_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    for name in ("none.db", "empty.db"):
        with open_dry_run(tmp_path / name) as log:
            assert log.is_new
            assert processes(log).start().version == 1
            log.check_writable()
    assert files(tmp_path) == {"empty.db": b""}


def test_a_log_in_no_folder_is_refused_in_the_words_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "sync.db"
    with open_dry_run(path) as log, pytest.raises(LogUnwritable) as rehearsed:
        log.check_writable()
    with pytest.raises(LogUnwritable) as refused:
        open_log(path)
    assert str(rehearsed.value) == str(refused.value)


def test_a_log_that_lost_half_of_what_lay_beside_it_is_not_guessed_at(tmp_path: Path, killed: Path) -> None:
    (tmp_path / "sync.db-shm").unlink()
    before = files(tmp_path)
    with pytest.raises(LogError, match="syncfsm log ls"):
        open_dry_run(killed)
    assert files(tmp_path) == before
    with open_log(killed, read_only=True) as log:  # as `log ls` does
        assert len(log.ids()) == 1
    with open_dry_run(killed) as log:
        assert len(log.ids()) == 1


def test_a_sink_that_lost_half_of_what_lay_beside_it_is_said_to_be_put_in_order(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:{tmp_path / 'a.db'}")
    upsert(sink, ADA)
    for end in ("", "-wal"):
        shutil.copy(tmp_path / f"a.db{end}", tmp_path / f"b.db{end}")
    asyncio.run(sink.aclose())
    found = inspected(tmp_path, f"sqlite:{tmp_path / 'b.db'}")
    assert found == {
        "sink": f"sqlite:{tmp_path / 'b.db'}",
        "file": "its writer was cut off; a sync puts it in order",
    }


# ── the preflight of an engine of one's own ──────────────────────────────────────────────────


def test_a_sink_that_cannot_be_looked_at_is_not_touched(tmp_path: Path) -> None:
    class Jealous(DictSink):
        async def check(self) -> dict[str, str] | Failure:
            raise AssertionError("a check may touch")

    with open_dry_run(tmp_path / "sync.db") as log:
        engine = Engine(log, ListSource(TestClock(), 60), Jealous(), to_items, clock=TestClock())
        found = asyncio.run(preflight(engine, lambda engine: engine.take_up(), page_size=50, order="newest"))
    assert found.could_start
    assert found.sink.found == {"sink": "dict", "checks": "only when a sync begins"}
    assert (found.first_page.rows, found.first_page.has_more) == (51, True) if found.first_page else False


def test_the_first_page_of_a_source_that_cannot_peek_says_at_least_so_many(tmp_path: Path) -> None:
    options = Options(termination="short_page")
    with open_dry_run(tmp_path / "sync.db") as log:
        engine = Engine(log, ListSource(TestClock(), 60), DictSink(), to_items, clock=TestClock())
        found = asyncio.run(
            preflight(
                engine,
                lambda engine: engine.take_up(options=options),
                page_size=50,
                order="newest",
                options=options,
            )
        )
    assert found.first_page is not None
    assert (found.first_page.rows, found.first_page.has_more) == (50, True)

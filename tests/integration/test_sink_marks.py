"""A sink that knows by itself who it is and how far it got: a log is believed as far as that."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from syncfsm.core.events import FetchingBegan
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.marks import Mark, known_as, plain_name
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.preflight import Preflight, preflight
from syncfsm.errors import ActiveSync
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.sinks import Sink, open_sink
from syncfsm.sinks.postgres.place import placed
from syncfsm.sinks.protocol import capabilities
from syncfsm.sources.protocol import Record, Transformed
from tests.crm import Crm
from tests.fakes import TestClock
from tests.integration.test_postgres_sink import ask


class Desk:
    """A CRM of ten, and engines that know a log and a sink's file only."""

    def __init__(self, log: EventLog, kind: str, path: Path) -> None:
        self.log, self.kind, self.path = log, kind, path
        self.clock = TestClock()
        self.crm = Crm(self.clock)
        for _ in range(10):
            self.crm.create()
        self.around: Callable[[], None] = lambda: None

    def use(self, use: Callable[[Engine[Contact]], object], url: str | None = None) -> object:
        async def to_contacts(records: tuple[Record, ...]) -> Transformed[Contact]:
            self.around()
            return Transformed(
                items=tuple(
                    Contact(external_id=record.id, source="crm", role=record.raw.decode())
                    for record in records
                )
            )

        async def used() -> object:
            sink: Sink[Contact] = open_sink(url or self.url)
            async with Engine(self.log, self.crm, sink, to_contacts, clock=self.clock) as engine:  # type: ignore[arg-type]
                return await use(engine)  # type: ignore[misc]

        return asyncio.run(used())

    def sync(self, url: str | None = None, **asked: object) -> Process:
        done = self.use(lambda engine: engine.sync(**asked), url)  # type: ignore[arg-type]
        assert isinstance(done, Process)
        return done

    def cut_short(self) -> Process:
        async def begin(engine: Engine[Contact]) -> Process:
            return await engine.step((await engine.step(engine.start(page_size=4).id)).id)

        begun = self.use(begin)
        assert isinstance(begun, Process)
        assert begun.progress.created
        return begun

    def new_day(self) -> None:
        self.clock.at += timedelta(days=1)

    @property
    def url(self) -> str:
        return f"{self.kind}:{self.path}"

    def files(self) -> list[Path]:
        return [*self.path.parent.glob(f"{self.path.name}*")]

    def content(self) -> object:
        return {path: path.read_bytes() for path in self.files()}

    def remove(self) -> None:
        for path in self.files():
            path.unlink()

    def back_up(self, name: str = "backup") -> None:
        (self.path.parent / name).mkdir(exist_ok=True)
        for path in self.files():
            shutil.copy2(path, self.path.parent / name / path.name)

    def put_back(self, name: str = "backup") -> None:
        self.remove()
        for path in (self.path.parent / name).iterdir():
            shutil.copy2(path, self.path.parent / path.name)

    def forget_marks(self) -> None:
        if self.kind == "jsonl":
            self.path.with_name("sink.mark").unlink()
            return
        with sqlite3.connect(self.path) as connection:
            connection.execute("DROP TABLE syncfsm_sink")
            connection.execute("DROP TABLE syncfsm_marks")
        connection.close()

    def spoil(self, statement: str) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement.format(marks="syncfsm_marks", table="contacts"))
        connection.close()

    def ids(self) -> set[str]:
        sink = open_sink(self.url)
        able = capabilities(sink).enumerable
        assert able is not None
        found = asyncio.run(able.known("crm"))
        asyncio.run(sink.aclose())
        assert not isinstance(found, Failure)
        return set(found)

    def marks(self) -> tuple[Mark, ...]:
        sink = open_sink(self.url)
        able = capabilities(sink).marked
        assert able is not None
        found = able.marks()
        asyncio.run(sink.aclose())
        return found

    def state_told(self, process: Process) -> str:
        events = [record.event for record in self.log.read(process.id)]
        (began,) = [event for event in events if isinstance(event, FetchingBegan)]
        return began.found.get("sink_state", "")


class PostgresDesk(Desk):
    """The same with a sink in PostgreSQL: an older copy of it is a dump of its schema, restored over it."""

    def __init__(self, log: EventLog, url: str) -> None:
        super().__init__(log, "postgresql", Path())
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    def content(self) -> object:
        tables = ("{table}", "{sinks}", "{marks}")
        return [ask(self.url, f"SELECT xmin::text, t.* FROM {table} AS t") for table in tables]

    def remove(self) -> None:
        ask(self.url, "DROP SCHEMA {schema} CASCADE")

    def back_up(self, name: str = "backup") -> None:
        there, copy = self.url, self._copy(name)
        ask(copy, "DROP SCHEMA IF EXISTS {schema} CASCADE")
        _copy_tables(there, copy)

    def put_back(self, name: str = "backup") -> None:
        self.remove()
        _copy_tables(self._copy(name), self.url)

    def forget_marks(self) -> None:
        ask(self.url, "DROP TABLE {sinks}, {marks}")

    def spoil(self, statement: str) -> None:
        ask(self.url, statement)

    def _copy(self, name: str) -> str:
        return f"{self.url}-{name}"  # a URL ends in its schema


def _copy_tables(url: str, to: str) -> None:
    """Let a schema have the tables of another one, as a dump has them that is restored."""
    ask(to, "CREATE SCHEMA {schema}")
    for table in ("{table}", "{sinks}", "{marks}"):
        there = placed(url).composed(table).as_string().replace("{", "{{").replace("}", "}}")
        ask(to, f"CREATE TABLE {table} (LIKE {there} INCLUDING ALL)")
        ask(to, f"INSERT INTO {table} SELECT * FROM {there}")


@contextmanager
def a_desk(kind: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Yield a desk with a sink of a kind."""
    with open_log(":memory:") as log:
        if kind != "postgresql":
            yield Desk(log, kind, request.getfixturevalue("tmp_path") / "sink")
            return
        desk = PostgresDesk(log, request.getfixturevalue("newest_postgres_url"))
        yield desk
        for name in ("backup", "kept"):
            ask(f"{desk.url}-{name}", "DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture(params=["sqlite", "jsonl", "postgresql"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with a_desk(request.param, request) as desk:
        yield desk


@pytest.fixture(params=["sqlite", "jsonl"])
def file_desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with a_desk(request.param, request) as desk:
        yield desk


def test_a_sync_leaves_its_mark_with_what_it_delivered(desk: Desk) -> None:
    done = desk.sync(page_size=4)
    (mark,) = desk.marks()
    assert (mark.source, mark.object, mark.process) == ("crm", "people", done.id)
    assert (mark.version, mark.watermark) == (done.version - 1, done.watermark)


def test_a_sync_that_is_cut_short_leaves_the_mark_of_its_last_page_and_no_watermark(desk: Desk) -> None:
    begun = desk.cut_short()
    (mark,) = desk.marks()
    assert (mark.process, mark.watermark) == (begun.id, None)
    assert 0 < mark.version <= begun.version


# ── an older copy that was put back ──────────────────────────────────────────────────────────


def test_what_only_ongoing_syncs_brought_since_is_brought_again_by_an_ongoing_one(desk: Desk) -> None:
    desk.sync()
    desk.new_day()
    desk.back_up()
    desk.crm.create()
    lost = desk.sync(mode="ongoing")
    desk.new_day()
    desk.put_back()
    again = desk.sync(mode="ongoing")
    assert (again.mode, again.since, again.progress.created) == ("ongoing", lost.since, 1)
    assert "an older copy of it was put back" in desk.state_told(again)
    assert desk.ids() == desk.crm.people.keys()
    desk.new_day()
    assert desk.sync(mode="ongoing").since > lost.since  # type: ignore[operator]


def test_what_a_sync_of_all_brought_since_needs_another_one(desk: Desk) -> None:
    desk.sync()
    desk.new_day()
    desk.back_up()
    desk.crm.create(lag_s=7200)  # so that no ongoing sync would ask for them
    desk.sync()
    desk.put_back()
    again = desk.sync(mode="ongoing")
    assert (again.mode, again.state) == ("initial", State.COMPLETED)
    assert desk.ids() == desk.crm.people.keys()
    assert desk.sync(mode="ongoing").mode == "ongoing"


def test_that_it_was_put_back_is_not_forgotten_when_the_sync_that_mends_it_fails(desk: Desk) -> None:
    desk.sync()
    desk.new_day()
    desk.back_up()
    desk.crm.create(lag_s=7200)
    desk.sync()
    desk.put_back()
    desk.use(lambda engine: engine.step(engine.take_up(mode="ongoing", page_size=4).id))
    desk.use(lambda engine: engine.step(engine.active().id))  # type: ignore[union-attr]
    desk.use(_cancel_active)
    assert desk.sync(mode="ongoing").mode == "initial"
    assert desk.ids() == desk.crm.people.keys()


async def _cancel_active(engine: Engine[Contact]) -> None:
    active = engine.active()
    assert active is not None
    engine.cancel(active.id)


def test_an_unfinished_sync_does_not_go_on_over_what_was_lost(desk: Desk) -> None:
    desk.sync()
    desk.back_up()
    for _ in range(10):
        desk.crm.create()
    begun = _begin(desk)
    desk.put_back()
    failed = desk.sync()
    assert failed.failure is not None
    assert (failed.id, failed.failure.reason, failed.is_resumable) == (begun.id, "put_back", True)
    assert "--fresh" in failed.failure.error
    done = desk.sync()
    assert (done.state, done.id != begun.id) == (State.COMPLETED, True)
    assert desk.ids() == desk.crm.people.keys()


def _begin(desk: Desk) -> Process:
    async def begin(engine: Engine[Contact]) -> Process:
        process = engine.start(page_size=8)
        for _ in range(3):
            process = await engine.step(process.id)
        return process

    begun = desk.use(begin)
    assert isinstance(begun, Process)
    assert begun.progress.created
    return begun


def test_once_the_right_one_is_back_it_goes_on(desk: Desk) -> None:
    desk.sync()
    desk.back_up()
    for _ in range(10):
        desk.crm.create()
    begun = _begin(desk)
    desk.back_up("kept")
    desk.put_back()
    assert desk.sync().state is State.FAILED
    desk.put_back("kept")
    done = desk.sync()
    assert (done.id, done.state) == (begun.id, State.COMPLETED)


def test_before_a_sync_it_is_said_too_and_nothing_is_touched(desk: Desk) -> None:
    desk.sync()
    desk.back_up()
    desk.new_day()
    desk.crm.create()
    desk.sync()
    desk.put_back()
    before = desk.content()
    found = desk.use(lambda engine: preflight(engine, lambda engine: engine.take_up(mode="ongoing")))
    assert isinstance(found, Preflight)
    assert "an older copy of it was put back" in found.sink.found["sink_state"]
    assert found.process is not None
    assert found.process.mode == "initial"
    assert desk.content() == before


def test_where_the_log_is_the_older_one_its_watermark_counts(desk: Desk, tmp_path: Path) -> None:
    with open_log(str(tmp_path / "s.db")) as log:
        desk.log = log
        first = desk.sync()
    shutil.copy2(tmp_path / "s.db", tmp_path / "older.db")
    with open_log(str(tmp_path / "s.db")) as log:
        desk.log = log
        desk.new_day()
        desk.crm.create()
        desk.sync(mode="ongoing")
    with open_log(str(tmp_path / "older.db")) as log:
        desk.log = log
        done = desk.sync(mode="ongoing")
        assert first.watermark is not None
        assert done.since == first.watermark - timedelta(seconds=done.options.overlap_s)
        assert "a process that this log does not know" in desk.state_told(done)


# ── who a sink is ────────────────────────────────────────────────────────────────────────────


def test_the_same_file_from_another_folder_is_the_same_sink(
    file_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file_desk.sync(f"{file_desk.kind}:sink")
    monkeypatch.chdir("/")
    done = file_desk.sync(f"{file_desk.kind}:{tmp_path / 'sink'}", mode="ongoing")
    assert (done.mode, done.sink) == ("ongoing", f"{file_desk.kind}:sink")


def test_a_file_that_was_moved_is_the_same_sink(file_desk: Desk) -> None:
    first = file_desk.sync()
    for path in file_desk.files():
        path.rename(path.with_name(path.name.replace("sink", "moved")))
    file_desk.path = file_desk.path.with_name("moved")
    done = file_desk.sync(mode="ongoing")
    assert (done.mode, done.sink) == ("ongoing", first.sink)


def test_two_files_of_one_name_are_two_sinks(
    file_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        with open_log(":memory:") as other:  # so that it is there, with an id of its own
            log, file_desk.log = file_desk.log, other
            file_desk.sync(f"{file_desk.kind}:sink")
            file_desk.log = log
    names = []
    for folder in ("one", "two", "one", "two"):
        monkeypatch.chdir(tmp_path / folder)
        names.append(file_desk.sync(f"{file_desk.kind}:sink", mode="ongoing"))
    assert [done.mode for done in names] == ["initial", "initial", "ongoing", "ongoing"]
    assert names[0].sink == names[2].sink == f"{file_desk.kind}:sink"
    assert names[1].sink == names[3].sink
    assert names[1].sink.startswith(f"{file_desk.kind}:sink#")
    assert plain_name(names[1].sink) == names[0].sink


def test_another_file_at_the_path_of_an_unfinished_sync_is_not_gone_on_with(desk: Desk) -> None:
    begun = desk.cut_short()
    desk.remove()
    with open_log(":memory:") as other:
        log, desk.log = desk.log, other
        desk.sync()
        desk.log = log
    with pytest.raises(ActiveSync, match=begun.id):
        desk.sync()


def test_what_a_log_calls_a_sink() -> None:
    assert known_as("sqlite:c.db", None, [("sqlite:c.db", "aa")]) == "sqlite:c.db"
    assert known_as("sqlite:/d/c.db", "aa", [("sqlite:c.db", "aa")]) == "sqlite:c.db"
    assert known_as("sqlite:c.db", "aa", [("sqlite:c.db", None)]) == "sqlite:c.db"
    assert known_as("sqlite:c.db", "0123456789", [("sqlite:c.db", "aa")]) == "sqlite:c.db#01234567"
    assert plain_name("sqlite:c.db#01234567") == "sqlite:c.db"
    assert plain_name("sqlite:c#1.db") == "sqlite:c#1.db"


# ── from before there were marks ─────────────────────────────────────────────────────────────


def test_a_sink_and_a_log_from_before_there_were_marks_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setattr("syncfsm.history.sink_marks.capabilities", _without_marks)
        then.setattr("syncfsm.engine.deliver.capabilities", _without_marks)
        then.setattr("syncfsm.engine.perform.capabilities", _without_marks)
        first = desk.sync()
    desk.forget_marks()
    desk.new_day()
    desk.crm.create()
    done = desk.sync(mode="ongoing")
    assert first.watermark is not None
    assert done.since == first.watermark - timedelta(seconds=done.options.overlap_s)
    assert desk.state_told(done) == ""
    (mark,) = desk.marks()
    assert (mark.process, mark.watermark) == (done.id, done.watermark)


def _without_marks(sink: Sink[Contact]) -> object:
    return capabilities(sink)._replace(marked=None)


def test_a_file_beside_the_lines_that_says_nothing_sound_is_not_believed(tmp_path: Path) -> None:
    with open_log(":memory:") as log:
        desk = Desk(log, "jsonl", tmp_path / "sink")
        desk.sync()
        desk.path.with_name("sink.mark").write_bytes(b"[" * 100_000)
        failed = desk.sync(mode="ongoing")
        assert failed.failure is not None
        assert failed.failure.reason == "put_back"
        done = desk.use(lambda engine: engine.run(engine.start().id))
        assert isinstance(done, Process)
        assert (done.state, desk.sync(mode="ongoing").state) == (State.COMPLETED, State.COMPLETED)


# ── under a running sync ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["moved", "removed", "cut", "replaced"])
@pytest.mark.parametrize("page", [2, 3])
def test_a_file_that_goes_away_under_a_sync_is_noticed_before_a_page_counts(
    file_desk: Desk, what: str, page: int
) -> None:
    pages = 0

    def around() -> None:
        nonlocal pages
        pages += 1
        if pages == page:
            happens_to(file_desk.path, what)

    file_desk.around = around
    process = file_desk.sync(page_size=4)
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == (FailureKind.REPLACED.value, True)
    assert process.progress.pages == page - 1


def test_one_that_goes_away_before_the_end_is_noticed_there(file_desk: Desk) -> None:
    async def without_end(engine: Engine[Contact]) -> Process:
        process = engine.start(page_size=10)
        for _ in range(2):
            process = await engine.step(process.id)
        if process.is_active:
            happens_to(file_desk.path, "removed")
            process = await engine.run(process.id)
        return process

    process = file_desk.use(without_end)
    assert isinstance(process, Process)
    assert process.failure is not None
    assert process.failure.reason == FailureKind.REPLACED.value


def happens_to(path: Path, what: str) -> None:
    if what == "moved":
        path.rename(path.with_name("elsewhere"))
    elif what == "removed":
        path.unlink()
    elif what == "cut":
        os.truncate(path, 10)
    else:
        path.with_name("other").write_bytes(path.read_bytes())
        path.with_name("other").replace(path)


# ── two accounts in one sink ─────────────────────────────────────────────────────────────────


def test_another_account_whose_ids_may_be_the_same_is_refused(desk: Desk) -> None:
    desk.crm.name = "crm:https://one.example"
    desk.sync()
    there = desk.ids()
    desk.crm.name = "crm:https://two.example"
    with open_log(":memory:") as other:
        for log in (desk.log, other):  # the sink knows it by itself
            desk.log = log
            failed = desk.sync()
            assert failed.failure is not None
            assert (failed.failure.reason, failed.is_resumable) == (FailureKind.MIXED.value, True)
            assert "crm:https://one.example" in failed.failure.error
    assert desk.ids() == there


def test_accounts_whose_ids_are_unique_may_share_a_sink(desk: Desk) -> None:
    desk.crm.ids_are_unique = True  # type: ignore[attr-defined]
    for name in ("crm:https://one.example", "crm:https://two.example"):
        desk.crm.name = name
        assert desk.sync().state is State.COMPLETED

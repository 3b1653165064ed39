"""What becomes of a sink between two syncs, or in the midst of one, and what is believed of it then."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

import syncfsm.engine.processes
from syncfsm.core.failure import FailureKind
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.errors import ConfigurationError, LogUnwritable
from syncfsm.files.sqlite import lacks_shm
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.outside.authorization import Authorization
from syncfsm.outside.clock import SystemClock
from syncfsm.outside.http import HttpClient, Reply
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.protocol import Record, Transformed
from tests.crm import Died
from tests.fakes import DictSink, ListSource, TestClock
from tests.integration.test_postgres_sink import a_trigger
from tests.integration.test_sink_marks import Desk, a_desk

BROUGHT_AGAIN = "an older copy of it was put back; what came since is brought again"


@pytest.fixture(params=["sqlite", "jsonl", "postgresql"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with a_desk(request.param, request) as desk:
        yield desk


@pytest.fixture(params=["sqlite", "postgresql"])
def in_a_table(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with a_desk(request.param, request) as desk:
        yield desk


@pytest.fixture
def in_sqlite(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with a_desk("sqlite", request) as desk:
        yield desk


@pytest.fixture
def in_postgres(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with a_desk("postgresql", request) as desk:
        yield desk


def tell(desk: Desk, record_ids: list[str], *, are_gone: bool = False) -> None:
    """Let webhooks tell of records, a while ago."""
    notice = Notice(
        source="crm",
        object="people",
        key=None,
        record_ids=tuple(record_ids),
        received_at=desk.clock.now() - timedelta(seconds=10),
        gone=tuple(ToldGone(record_id=record_id) for record_id in record_ids if are_gone),
    )
    desk.log.receive(notice)


def see_to_webhooks(desk: Desk) -> Process:
    async def seen_to(engine: Engine[Contact]) -> Process:
        process = engine.take_up_webhooks()
        assert process is not None
        return await engine.run(process.id)

    process = desk.use(seen_to)
    assert isinstance(process, Process)
    return process


def die_at_delivery(patch: pytest.MonkeyPatch) -> None:
    """Let the program die when the sink has taken a page and the log does not know it."""
    commit = syncfsm.engine.processes.c.commit

    def dying(log: Any, process: Any, process_id: str, events: Any, **more: Any) -> Process:
        if any(type(event).__name__ == "PageDelivered" for event in events):
            raise Died
        return commit(log, process, process_id, events, **more)

    patch.setattr(syncfsm.engine.processes.c, "commit", dying)


def test_an_engine_that_is_kept_looks_at_the_sink_again_before_it_goes_on(desk: Desk) -> None:
    async def used(engine: Engine[Contact]) -> Process:
        process = await engine.step(engine.start(page_size=4).id)
        process = await engine.step(process.id)
        desk.remove()
        failed = await engine.run(process.id)
        assert failed.failure is not None
        assert failed.failure.reason == FailureKind.REPLACED
        return await engine.sync(page_size=4)

    process = desk.use(used)
    assert isinstance(process, Process)
    assert process.failure is not None
    assert process.failure.reason == FailureKind.EMPTIED


def test_that_somebody_was_deleted_as_missing_is_lost_with_the_sink_too(desk: Desk) -> None:
    desk.sync(deletes_missing=True)
    desk.new_day()
    desk.back_up()
    desk.crm.delete(next(iter(desk.crm.people)))
    assert desk.sync(deletes_missing=True).progress.missing == 1
    desk.new_day()
    desk.put_back()
    process = desk.sync(mode="ongoing")
    assert (process.mode, desk.state_told(process)) == ("initial", BROUGHT_AGAIN)


def test_what_was_delivered_again_after_a_crash_is_lost_with_the_sink_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sync()
    desk.new_day()
    desk.back_up()
    changed = next(iter(desk.crm.people))
    desk.crm.change(changed)
    tell(desk, [changed])
    with monkeypatch.context() as patch:
        die_at_delivery(patch)
        with pytest.raises(Died):
            see_to_webhooks(desk)
    assert see_to_webhooks(desk).progress.unchanged == 1
    desk.new_day()
    desk.put_back()
    assert desk.sync(mode="ongoing").mode == "initial"


def die() -> None:
    raise Died


def test_a_sink_from_before_there_were_marks_has_what_webhooks_brought(
    in_sqlite: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = next(iter(in_sqlite.crm.people))
    with monkeypatch.context() as before:
        before.setattr(SqliteSink, "set_mark", None)
        before.setattr(SqliteSink, "_name", lambda _sink, _db: None)
        in_sqlite.sync()
        in_sqlite.new_day()
        in_sqlite.crm.change(changed)
        tell(in_sqlite, [changed])
        see_to_webhooks(in_sqlite)
    in_sqlite.new_day()
    in_sqlite.crm.change(changed)
    tell(in_sqlite, [changed])
    with monkeypatch.context() as patch:
        patch.setattr(in_sqlite.crm, "before_answer", die)
        with pytest.raises(Died):
            see_to_webhooks(in_sqlite)
    assert see_to_webhooks(in_sqlite).failure is None
    in_sqlite.new_day()
    assert in_sqlite.sync(mode="ongoing").mode == "ongoing"


def test_deletions_that_a_crash_left_half_told_are_not_counted_twice(
    in_a_table: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(90):
        in_a_table.crm.create()
    in_a_table.sync()
    in_a_table.new_day()
    gone = list(in_a_table.crm.people)[:40]
    for record_id in gone:
        in_a_table.crm.delete(record_id)
    tell(in_a_table, gone, are_gone=True)
    with monkeypatch.context() as patch:
        die_at_delivery(patch)
        with pytest.raises(Died):
            see_to_webhooks(in_a_table)
    assert not in_a_table.ids() & set(gone)
    assert see_to_webhooks(in_a_table).failure is None


@pytest.mark.parametrize("shm", [None, bytes(32_768)], ids=["no index", "an unfinished one"])
def test_a_sink_whose_writer_was_cut_off_is_known_by_its_id(in_sqlite: Desk, shm: bytes | None) -> None:
    in_sqlite.sync()
    in_sqlite.new_day()
    writer = sqlite3.connect(in_sqlite.path)
    writer.execute("UPDATE contacts SET role = role || ' '")
    writer.commit()
    files = {file: file.read_bytes() for file in in_sqlite.files()}
    writer.close()
    for file in in_sqlite.files():
        file.unlink()
    for file, data in files.items():
        if not file.name.endswith("-shm"):
            file.write_bytes(data)
        elif shm is not None:
            file.write_bytes(shm)
    assert lacks_shm(in_sqlite.path)
    assert any(file.name.endswith("-wal") for file in in_sqlite.files())
    created = in_sqlite.crm.create()
    assert in_sqlite.sync(mode="ongoing").failure is None
    assert created in in_sqlite.ids()


def test_what_a_hook_could_not_write_is_no_reason_to_write_again() -> None:
    hooked: list[str] = []

    def hook(_process: Process, recorded: Any) -> None:
        hooked.append(recorded.type)
        if recorded.type == "PageFetched":
            raise LogUnwritable("the hook's own log is held", is_locked=True)

    async def nothing(_records: tuple[Record, ...]) -> Transformed[Any]:
        return Transformed(items=())

    with open_log(":memory:") as log:
        source = ListSource(TestClock(), 3)
        engine = Engine(log, source, DictSink(), nothing, clock=source.clock, hooks=[hook])
        with pytest.raises(LogUnwritable, match="the hook's own log"):
            asyncio.run(engine.sync())
    assert hooked.count("PageFetched") == 1


def test_an_answer_without_a_body_may_name_a_coding() -> None:
    class NoBody(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for piece in ():
                yield piece

    async def asked() -> object:
        transport = httpx.MockTransport(
            lambda _request: httpx.Response(204, headers={"Content-Encoding": "gzip"}, stream=NoBody())
        )
        client = HttpClient(
            "Quo",
            "https://quo.test",
            Authorization("Quo", "key"),
            clock=SystemClock(),
            transport=transport,
            per_s=10,
        )
        return await client.request("DELETE", "/v1/contacts/1")

    assert isinstance(asyncio.run(asked()), Reply)


def test_a_vacuum_during_a_sync_is_no_other_file(in_sqlite: Desk) -> None:
    for _ in range(400):
        in_sqlite.crm.create()
    in_sqlite.sync()
    in_sqlite.new_day()
    in_sqlite.crm.create()

    async def used(engine: Engine[Contact]) -> Process:
        process = await engine.step(engine.start(page_size=50).id)
        process = await engine.step(process.id)
        with sqlite3.connect(in_sqlite.path, isolation_level=None) as somebody:
            somebody.execute("DELETE FROM contacts WHERE external_id > 'r5'")
            somebody.execute("VACUUM")
            somebody.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        somebody.close()
        return await engine.run(process.id)

    process = in_sqlite.use(used)
    assert isinstance(process, Process)
    assert process.failure is None


def test_contacts_that_a_trigger_keeps_out_are_not_delivered(in_sqlite: Desk) -> None:
    in_sqlite.sync()
    in_sqlite.new_day()
    with sqlite3.connect(in_sqlite.path) as somebody:
        somebody.execute("CREATE TRIGGER mine BEFORE INSERT ON contacts BEGIN SELECT RAISE(IGNORE); END")
    somebody.close()
    in_sqlite.crm.create()
    process = in_sqlite.sync()
    assert process.failure is not None
    assert "a trigger in it keeps 1 contacts out" in process.failure.error


def test_a_mark_that_makes_no_sense_says_nothing(in_a_table: Desk) -> None:
    in_a_table.sync()
    in_a_table.spoil("UPDATE {marks} SET watermark = 'yesterday'")
    in_a_table.new_day()
    assert in_a_table.sync(mode="ongoing").failure is None


def test_what_another_log_brought_into_the_sink_is_not_missing(in_sqlite: Desk) -> None:
    in_sqlite.crm.ids_are_unique = True  # type: ignore[attr-defined]
    in_sqlite.sync()
    with open_log(":memory:") as other_log:
        other = Desk(other_log, "sqlite", in_sqlite.path)
        other.crm.name = f"{other.crm.kind}:b"
        other.crm.ids_are_unique = True  # type: ignore[attr-defined]
        with pytest.raises(ConfigurationError, match="crm"):
            other.sync(deletes_missing=True)


def test_a_journal_that_has_its_header_alone_has_nothing(in_sqlite: Desk) -> None:
    in_sqlite.sync()
    for suffix, data in (("-wal", bytes(32)), ("-shm", bytes(32_768))):
        in_sqlite.path.with_name(f"{in_sqlite.path.name}{suffix}").write_bytes(data)
    assert not lacks_shm(in_sqlite.path)
    in_sqlite.new_day()
    assert in_sqlite.sync(mode="ongoing").failure is None


def test_contacts_that_a_trigger_of_a_server_keeps_out_are_rejected(in_postgres: Desk) -> None:
    in_postgres.sync()
    in_postgres.new_day()
    in_postgres.spoil(a_trigger("RETURN NULL;", "BEFORE INSERT ON {table}"))
    kept_out = in_postgres.crm.create()
    process = in_postgres.sync()
    assert (process.state, process.progress.rejected) == (State.COMPLETED, 1)
    assert kept_out not in in_postgres.ids()


def test_a_sink_that_cannot_be_reached_for_a_while_has_not_lost_anything(
    in_postgres: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = in_postgres.cut_short()
    with monkeypatch.context() as patch:

        def down(*_: Any, **__: Any) -> None:
            raise psycopg.OperationalError("Connection refused")

        patch.setattr("syncfsm.sinks.postgres.session.connect", down)
        process = in_postgres.use(lambda engine: engine.step(begun.id))
    assert isinstance(process, Process)
    assert (process.failure, process.progress.retries) == (None, 1)
    done = in_postgres.sync()
    assert (done.id, done.failure, done.progress.created) == (begun.id, None, 10)

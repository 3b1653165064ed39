"""A sink file that is not there any more: no sync goes on from what it had, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.preflight import Preflight, preflight
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.sinks import Sink, open_sink
from syncfsm.sinks.protocol import capabilities
from syncfsm.sources.protocol import Record, Transformed
from tests.crm import Crm
from tests.fakes import TestClock
from tests.integration.test_postgres_sink import ask


async def to_contacts(records: tuple[Record, ...]) -> Transformed[Contact]:
    return Transformed(items=tuple(Contact(external_id=record.id, source="crm") for record in records))


class Desk:
    """A CRM of ten, and engines that know the log and the sink's file only."""

    def __init__(self, log: EventLog, url: str) -> None:
        self.log, self.url = log, url
        self.path = Path(url.partition(":")[2])
        self.clock = TestClock()
        self.crm = Crm(self.clock)
        for _ in range(10):
            self.crm.create()

    def with_engine(self, use: Callable[[Engine[Contact]], object]) -> object:
        async def used() -> object:
            sink: Sink[Contact] = open_sink(self.url)
            async with Engine(self.log, self.crm, sink, to_contacts, clock=self.clock) as engine:  # type: ignore[arg-type]
                return await use(engine)  # type: ignore[misc]

        return asyncio.run(used())

    def sync(self, **asked: object) -> Process:
        done = self.with_engine(lambda engine: engine.sync(**asked))  # type: ignore[arg-type]
        assert isinstance(done, Process)
        return done

    def cut_short(self) -> Process:
        """Begin a sync, and stop after its first page."""

        async def begin(engine: Engine[Contact]) -> Process:
            process = await engine.step(engine.start(page_size=4).id)
            return process if process.progress.pages else await engine.step(process.id)

        begun = self.with_engine(begin)
        assert isinstance(begun, Process)
        assert begun.progress.created
        return begun

    def remove(self) -> None:
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()

    def is_there(self) -> bool:
        return self.path.exists()

    def wipe(self) -> None:
        """Leave a sink with nothing in it."""
        self.remove()
        self.path.touch()

    def take_away(self) -> None:
        self.path.rename(self.path.with_name("kept"))

    def bring_back(self) -> None:
        self.path.with_name("kept").rename(self.path)

    def is_empty(self) -> bool:
        sink = open_sink(self.url)
        able = capabilities(sink).emptiable
        assert able is not None
        is_empty = asyncio.run(able.is_empty())
        asyncio.run(sink.aclose())
        return is_empty

    def looked(self) -> Preflight:
        found = self.with_engine(
            lambda engine: preflight(engine, lambda engine: engine.take_up(mode="ongoing"), page_size=4)
        )
        assert isinstance(found, Preflight)
        return found


class PostgresDesk(Desk):
    """The same with a table in PostgreSQL; what the sink says of itself beside it stays."""

    def remove(self) -> None:
        ask(self.url, "DROP TABLE {table}")

    def is_there(self) -> bool:
        return ask(self.url, "SELECT to_regclass('{table}') IS NOT NULL") == [(True,)]

    def wipe(self) -> None:
        ask(self.url, "TRUNCATE {table}")

    def take_away(self) -> None:
        ask(self.url, "ALTER TABLE {table} RENAME TO kept")

    def bring_back(self) -> None:
        ask(self.url, "ALTER TABLE {schema}.kept RENAME TO contacts")


@pytest.fixture(params=["sqlite", "jsonl", "postgresql"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with open_log(":memory:") as log:
        if request.param == "postgresql":
            yield PostgresDesk(log, request.getfixturevalue("newest_postgres_url"))
        else:
            yield Desk(log, f"{request.param}:{tmp_path / 'sink'}")


def assert_refused(process: Process) -> None:
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("emptied", True)
    assert "--fresh" in process.failure.error


def test_an_ongoing_sync_into_a_sink_that_is_gone_is_refused_and_makes_none(desk: Desk) -> None:
    desk.sync()
    desk.remove()
    assert_refused(desk.sync(mode="ongoing"))
    assert not desk.is_there()
    assert desk.sync().state is State.COMPLETED  # all of them
    assert not desk.is_empty()
    assert desk.sync(mode="ongoing").state is State.COMPLETED


def test_a_sink_that_was_emptied_is_as_bad_as_none(desk: Desk) -> None:
    desk.sync()
    desk.wipe()
    assert_refused(desk.sync(mode="ongoing"))


def test_a_sync_does_not_go_on_into_a_sink_that_is_gone_until_it_is_back(desk: Desk) -> None:
    begun = desk.cut_short()
    desk.take_away()
    assert_refused(desk.sync())
    desk.bring_back()
    done = desk.sync()
    assert (done.id, done.state, done.progress.created) == (begun.id, State.COMPLETED, 10)


def test_before_a_sync_it_is_said_too(desk: Desk) -> None:
    desk.sync()
    assert desk.looked().sink.problem is None
    desk.remove()
    problem = desk.looked().sink.problem
    assert problem is not None
    assert "has nothing any more" in problem.words
    assert not desk.is_there()


def test_a_sink_into_which_nobody_came_is_rightly_empty(desk: Desk) -> None:
    desk.crm.people.clear()
    desk.sync()
    assert desk.is_empty()
    assert desk.sync(mode="ongoing").state is State.COMPLETED


def test_a_sink_from_which_everybody_went_is_rightly_empty(desk: Desk) -> None:
    desk.sync()
    desk.crm.people.clear()
    desk.sync(deletes_missing=True, options=Options(missing_ratio_max=1.0))
    assert desk.sync(mode="ongoing").state is State.COMPLETED

"""What is plugged in raises: recorded as the process's failure, by its type and place, never its words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Never

import pytest

from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.process import Process
from syncfsm.core.state import FailureReason
from syncfsm.engine.engine import Engine
from syncfsm.engine.watcher import Watcher
from syncfsm.errors import ConfigurationError, LogUnwritable, SyncfsmError
from syncfsm.explain import explain, lines
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.sources.protocol import Record, Transformed
from syncfsm.webhooks import WebhookWorker
from tests.crm import Desk
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items

SAYS = "Ada's key is hunter2"


async def raising(*_: object) -> Never:
    raise KeyError(SAYS)


class Bare:
    """A source, a sink and a transform, of each of which a method may raise."""

    def __init__(self, log: EventLog, **plugged: Any) -> None:
        self.log = log
        self.clock = TestClock()
        self.source = ListSource(self.clock, 120)
        self.sink = DictSink()
        self.plugged = plugged

    def engine(self, **more: Any) -> Engine[Item]:
        transform = self.plugged.get("transform", to_items)
        return Engine(self.log, self.source, self.sink, transform, clock=self.clock, **more)

    def sync(self, **more: Any) -> Process:
        return asyncio.run(self.engine(**more).sync())


def failure_of(process: Process) -> FailureReason:
    assert process.failure is not None, process.state
    assert (process.state, process.failure.reason, process.is_resumable) == (State.FAILED, "raised", True)
    return process.failure


@pytest.mark.parametrize("ahead", [1, 4])
@pytest.mark.parametrize(
    ("whose", "method", "action"),
    [
        ("source", "check", "check"),
        ("sink", "check", "check"),
        ("source", "fetch", "fetch"),
        ("sink", "upsert", "deliver"),
        ("sink", "finish", "finish"),
    ],
)
def test_what_a_source_or_a_sink_raises_is_recorded_and_can_be_gone_on_from(
    whose: str, method: str, action: str, ahead: int
) -> None:
    with open_log(":memory:") as log:
        bare = Bare(log)
        setattr(getattr(bare, whose), method, raising)
        failure = failure_of(bare.sync(read_ahead=ahead))
        assert failure.action == action
        assert f"the {whose}" in failure.error
        assert " raised KeyError in test_raised.py, line 32; what the error says is left out" in failure.error
        delattr(getattr(bare, whose), method)
        assert bare.sync().state is State.COMPLETED
        assert len(bare.sink.items) == 120
        assert verify(log)[1] == []
        assert not any("hunter2" in row.data for row in log.stored_events())


def test_the_error_itself_is_there_for_a_debugger() -> None:
    with open_log(":memory:") as log:
        engine = Bare(log, transform=raising).engine()
        assert engine.raised is None
        failure_of(asyncio.run(engine.sync()))
        assert isinstance(engine.raised, KeyError)
        assert SAYS in str(engine.raised)


def test_a_page_that_a_new_engine_fetches_again_fails_as_a_fetch() -> None:
    with open_log(":memory:") as log:
        bare = Bare(log, transform=raising)
        assert failure_of(bare.sync()).action == "deliver"
        bare.source.fetch = raising  # type: ignore[method-assign, assignment]
        assert failure_of(bare.sync()).action == "fetch"


def test_a_transform_that_raises_does_so_at_once_and_the_account_tells_of_it() -> None:
    with open_log(":memory:") as log:
        process = Bare(log, transform=raising).sync()
        assert failure_of(process).action == "deliver"
        words = "\n".join(lines(explain(log, process.id, "sync.db")))
    assert "FAILED" in words
    assert "KeyError in test_raised.py" in words
    assert "Mend the code that raised it" in words


def test_what_must_not_be_recorded_is_raised_as_ever() -> None:
    with open_log(":memory:") as log:
        bare = Bare(log)

        async def cut(*_: object) -> Never:
            raise asyncio.CancelledError

        bare.sink.upsert = cut  # type: ignore[method-assign, assignment]
        with pytest.raises(asyncio.CancelledError):
            bare.sync()
        (process_id,) = log.ids()
        assert log.load(process_id).is_active


@pytest.mark.parametrize("at", ["SyncStarted", "FetchingBegan", "PageFetched", "PageDelivered"])
def test_what_a_hook_raises_stops_the_run_and_is_recorded(at: str) -> None:
    def hook(_process: Process, recorded: Any) -> None:
        if recorded.type == at:
            raise KeyError(SAYS)

    with open_log(":memory:") as log:
        bare = Bare(log)
        with pytest.raises(KeyError):
            bare.sync(hooks=[hook])
        (process_id,) = log.ids()
        assert failure_of(log.load(process_id)).error.startswith("a hook raised KeyError in ")
        assert bare.sync().state is State.COMPLETED
        assert verify(log)[1] == []


def test_what_a_hook_raises_at_the_end_is_no_failure_of_what_is_over() -> None:
    def hook(_process: Process, recorded: Any) -> None:
        if recorded.type == "SyncCompleted":
            raise KeyError(SAYS)

    with open_log(":memory:") as log:
        bare = Bare(log)
        with pytest.raises(KeyError):
            bare.sync(hooks=[hook])
        (process_id,) = log.ids()
        assert log.load(process_id).state is State.COMPLETED


# ── those who go on for ever ─────────────────────────────────────────────────────────────────


class Fickle(Desk):
    """A desk whose transform raises at first, and then does not."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self.raises = 1
        self.makes = 0
        self.over: list[Process] = []
        self.troubles: list[SyncfsmError] = []
        for _ in range(5):
            self.crm.create()

    async def transform(self, records: Sequence[Record]) -> Transformed[Item] | Failure:
        self.raises -= 1
        return await (raising() if self.raises >= 0 else to_items(records))

    def make(self) -> Engine[Item]:
        self.makes += 1
        if self.makes == 1:
            raise OSError(24, SAYS)
        return self.engine_of(self.crm, self.transform)

    def watcher(self) -> Watcher[Item]:
        return Watcher(
            self.make,
            every_s=60,
            clock=self.clock,
            on_turn=self.over.append,
            on_trouble=self.troubles.append,
        )

    def worker(self) -> WebhookWorker[Item]:
        return WebhookWorker(
            self.make, clock=self.clock, on_over=self.over.append, on_trouble=self.troubles.append
        )


def test_a_watcher_outlives_what_one_sync_raises_and_goes_on_with_it() -> None:
    with open_log(":memory:") as log:
        desk = Fickle(log)
        asyncio.run(desk.watcher().run(turns_max=3))
        assert [process.state for process in desk.over] == [State.FAILED, State.COMPLETED]
        assert desk.over[0].id == desk.over[1].id
        assert desk.texts == desk.world
    (trouble,) = desk.troubles
    assert str(trouble).startswith("what a sync is made with raised OSError in test_raised.py")
    assert "hunter2" not in str(trouble)


def test_a_worker_outlives_what_one_process_raises_and_goes_on_with_it() -> None:
    with open_log(":memory:") as log:
        desk = Fickle(log)
        at = desk.clock.now() - timedelta(minutes=1)
        ids = tuple(desk.crm.people)
        log.receive(Notice(source="crm", object="people", key="1", record_ids=ids, received_at=at))
        worker = desk.worker()
        for _ in range(3):
            asyncio.run(worker.turn())
        assert [process.state for process in desk.over] == [State.FAILED, State.COMPLETED]
        assert desk.texts == desk.world
    assert len(desk.troubles) == 1


def test_what_no_later_turn_finds_mended_ends_it() -> None:
    with open_log(":memory:") as log:
        desk = Fickle(log)
        desk.makes = 1

        def misconfigured() -> Never:
            raise ConfigurationError("no such thing")

        desk.make = misconfigured  # type: ignore[method-assign]
        with pytest.raises(ConfigurationError):
            asyncio.run(desk.watcher().turn())
        with pytest.raises(ConfigurationError):
            asyncio.run(desk.worker().turn())


def test_where_the_failure_cannot_be_recorded_either_what_was_raised_is_said() -> None:
    def hook(_process: Process, _recorded: Any) -> None:
        def full(*_: object, **__: object) -> Never:
            raise LogUnwritable("the disk is full")

        log.append = full  # type: ignore[method-assign]
        raise KeyError(SAYS)

    with open_log(":memory:") as log, pytest.raises(KeyError):
        Bare(log).sync(hooks=[hook])

"""The engine over a list and a dict: run, step, resume, cancel, and what it does about failures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core.events import Event, PageFetched, RetryScheduled, SyncResumed
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.notices import Notice
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.commit import cancel
from syncfsm.engine.engine import Engine
from syncfsm.errors import ActiveSync, ConfigurationError, NotActive, VersionConflict
from syncfsm.log import EventLog, open_log
from tests.fakes import DOWN, WRONG_KEY, DictSink, Item, ListSource, TestClock, to_items


class Bench:
    """An engine with everything around it."""

    def __init__(self, log: EventLog, count: int = 120) -> None:
        self.log = log
        self.clock = TestClock()
        self.source = ListSource(self.clock, count)
        self.sink = DictSink()
        self.seen: list[str] = []
        self.engine = self.another_engine()

    def another_engine(self) -> Engine[Item]:
        """An engine that knows nothing but the log, as after a crash."""
        return Engine(
            self.log,
            self.source,
            self.sink,
            to_items,
            clock=self.clock,
            rng=random.Random(1),
            hooks=[lambda _process, recorded: self.seen.append(recorded.type)],
        )

    def sync(self, **asked: int) -> Process:
        return asyncio.run(self.engine.sync(**asked))  # type: ignore[arg-type]

    def run(self, process: Process) -> Process:
        return asyncio.run(self.engine.run(process.id))

    def step(self, process: Process) -> Process:
        return asyncio.run(self.engine.step(process.id))

    def events(self, process: Process, type_: type[Event] = Event) -> list[Event]:
        recorded = self.log.read(process.id)
        return [record.event for record in recorded if isinstance(record.event, type_)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_log(":memory:") as log:
        yield Bench(log)


def test_a_sync_brings_every_record_into_the_sink(bench: Bench) -> None:
    process = bench.sync()
    assert process.state is State.COMPLETED
    assert set(bench.sink.items) == {record.id for record in bench.source.records}
    assert (process.progress.created, process.progress.pages, bench.sink.finished) == (120, 3, 1)


def test_a_second_sync_finds_everything_unchanged(bench: Bench) -> None:
    first = bench.sync()
    second = bench.sync()
    assert second.id != first.id
    assert (second.progress.unchanged, second.progress.created) == (120, 0)
    assert second.progress.ids_digest == first.progress.ids_digest


def test_the_hooks_hear_of_every_event_in_order(bench: Bench) -> None:
    process = bench.sync()
    assert bench.seen == [record.type for record in bench.log.read(process.id)]


def test_stepping_delivers_one_page_at_a_time_and_ends_where_a_run_ends(bench: Bench) -> None:
    process = bench.engine.start()
    pages = []
    while process.is_active:
        process = bench.step(process)
        pages.append(process.progress.pages)
    assert pages == [0, 1, 2, 3, 3]
    assert process.state is State.COMPLETED
    assert process.pending is None


def test_a_step_by_a_new_engine_each_time_fetches_no_page_twice(bench: Bench) -> None:
    process = bench.engine.start()
    while process.is_active:
        process = asyncio.run(bench.another_engine().step(process.id))
    assert [request.offset for request in bench.source.requests] == [0, 50, 100]


def test_a_step_before_a_retry_is_due_does_nothing(bench: Bench) -> None:
    bench.source.failures = [DOWN]
    process = bench.step(bench.step(bench.engine.start()))
    assert process.retry is not None
    assert bench.step(process) == process
    bench.clock.at = process.retry.retry_at
    assert bench.step(process).progress.pages == 1


def test_a_passing_failure_is_waited_out_and_counted(bench: Bench) -> None:
    limited = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", status=429, retry_after_s=3.0)
    bench.source.failures = [limited, DOWN]
    process = bench.sync()
    assert process.state is State.COMPLETED
    assert (process.progress.retries, process.progress.rate_limited) == (2, 1)
    retries = bench.events(process, RetryScheduled)
    assert [(retry.cause, retry.attempt) for retry in retries if isinstance(retry, RetryScheduled)] == [
        ("rate_limited", 1),
        ("unavailable", 2),
    ]
    assert bench.clock.slept_s >= 3.0


def test_too_many_failures_in_a_row_fail_the_sync_and_say_which_limit(bench: Bench) -> None:
    bench.source.failures = [DOWN] * 100
    process = bench.sync()
    assert process.failure is not None
    assert (process.state, process.failure.reason) == (State.FAILED, "attempts_max")
    assert "raise attempts_max" in process.failure.error
    assert len(bench.source.requests) == Options().attempts_max


def test_all_waits_together_have_a_limit_too(bench: Bench) -> None:
    slow = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", retry_after_s=250.0)
    bench.source.options = Options(waiting_s_max=600.0, attempts_max=1000)
    bench.source.failures = [slow] * 100
    process = bench.sync()
    assert process.failure is not None
    assert process.failure.reason == "waiting_s_max"
    assert process.progress.retries == 2


def test_a_wrong_key_fails_while_initializing_and_asks_for_no_page(bench: Bench) -> None:
    bench.source.check_failures = [WRONG_KEY]
    process = bench.sync()
    assert process.failure is not None
    assert (process.state, process.failure.action, process.found) == (State.FAILED, "check", None)
    assert bench.source.requests == []


def test_a_sync_that_failed_while_initializing_checks_again_when_it_is_resumed(bench: Bench) -> None:
    bench.source.check_failures = [WRONG_KEY]
    failed = bench.sync()
    assert bench.engine.resume(failed.id).state is State.INITIALIZING
    process = bench.sync()
    assert (process.id, process.state, process.progress.created) == (failed.id, State.COMPLETED, 120)


@pytest.mark.parametrize("page_size", [7, 50, 200])
def test_a_failed_sync_goes_on_where_it_stopped_with_any_page_size(bench: Bench, page_size: int) -> None:
    bench.source.failures = []
    process = bench.step(bench.step(bench.engine.start()))
    bench.source.failures = [WRONG_KEY]
    assert bench.step(process).state is State.FAILED
    bench.source.requests.clear()
    process = bench.sync(page_size=page_size)
    assert (process.state, process.progress.created, process.progress.fetched) == (State.COMPLETED, 120, 120)
    assert bench.source.requests[0].offset == 50
    assert bench.source.requests[0].limit == page_size + 1


def test_a_sink_that_fails_is_given_the_page_again_without_another_fetch(bench: Bench) -> None:
    bench.sink.failures = [DOWN, DOWN]
    process = bench.sync()
    assert (process.state, process.progress.created) == (State.COMPLETED, 120)
    assert len(bench.source.requests) == 3


def test_after_a_crash_between_fetch_and_delivery_the_page_is_fetched_again(bench: Bench) -> None:
    bench.sink.failures = [DOWN]
    process = bench.step(bench.step(bench.engine.start()))
    assert process.pending is not None
    process = asyncio.run(bench.another_engine().run(process.id))
    assert (process.state, process.progress.fetched) == (State.COMPLETED, 120)
    assert [request.offset for request in bench.source.requests] == [0, 0, 50, 100]


def test_a_page_held_by_one_worker_is_not_delivered_for_another_ones(bench: Bench) -> None:
    other = bench.another_engine()
    bench.sink.failures = [DOWN, DOWN]
    process = bench.step(bench.step(bench.engine.start()))  # holds the first page
    bench.clock.at += timedelta(seconds=5)
    asyncio.run(other.step(process.id))  # fetches the first page again, and fails to deliver it
    bench.clock.at += timedelta(seconds=5)
    asyncio.run(other.step(process.id))  # delivers it
    bench.sink.failures = [DOWN]
    process = asyncio.run(other.step(process.id))  # holds the second page
    assert process.pending is not None
    bench.clock.at += timedelta(seconds=5)
    process = bench.step(process)
    assert (process.progress.fetched, len(bench.sink.items)) == (100, 100)


def test_records_that_cannot_be_transformed_or_are_refused_are_rejected_and_the_page_goes_on(
    bench: Bench,
) -> None:
    bench.source.records[3] = replace(bench.source.records[3], raw=b"bad")
    bench.sink.refused = {"r00007"}
    process = bench.sync()
    assert (process.progress.rejected, process.progress.created, process.progress.fetched) == (2, 118, 120)
    assert process.progress.fetched == process.progress.delivered + process.progress.rejected


def test_rejects_past_the_error_budget_fail_the_sync_resumable(bench: Bench) -> None:
    bench.sink.refused = {record.id for record in bench.source.records}
    process = bench.sync()
    assert process.failure is not None
    assert (process.state, process.failure.reason) == (State.FAILED, "reject_ratio_max")
    assert "50 of 50 records were rejected" in process.failure.error
    bench.sink.refused = {"r00100"}
    resumed = bench.sync()
    assert (resumed.id, resumed.state, resumed.progress.rejected) == (process.id, State.COMPLETED, 51)


def test_a_second_start_while_one_is_active_is_refused(bench: Bench) -> None:
    active = bench.engine.start()
    with pytest.raises(ActiveSync, match=active.id):
        bench.engine.start()
    assert bench.engine.active() == active


def test_the_last_sync_time_is_the_time_of_the_first_page_of_the_last_completed_sync(bench: Bench) -> None:
    assert bench.engine.last_sync_time() is None
    process = bench.engine.start()
    began = bench.clock.at
    process = bench.run(process)
    first = bench.events(process, PageFetched)[0]
    assert isinstance(first, PageFetched)
    assert began < first.as_of < bench.clock.at
    assert process.watermark == first.as_of
    assert bench.engine.last_sync_time() == process.watermark


def test_cancelling_stops_a_process_before_its_next_page(bench: Bench) -> None:
    process = bench.step(bench.step(bench.engine.start()))
    bench.engine.cancel(process.id, why="not today")
    assert bench.run(process).state is State.CANCELLED
    assert len(bench.source.requests) == 1


def test_cancelling_while_a_page_is_on_its_way_stops_it_too_and_delivers_nothing_more(bench: Bench) -> None:
    process = bench.step(bench.engine.start())
    fetch = bench.source.fetch

    async def cancelled_meanwhile(request):
        cancel(bench.log, process.id, by="somebody", clock=bench.clock)
        return await fetch(request)

    bench.source.fetch = cancelled_meanwhile  # type: ignore[method-assign]
    assert bench.run(process).state is State.CANCELLED
    assert bench.sink.items == {}


def test_cancelling_while_a_retry_is_waited_for_stops_it_without_another_request(bench: Bench) -> None:
    process = bench.step(bench.engine.start())
    bench.source.failures = [DOWN] * 3
    sleep = bench.clock.sleep

    async def cancelled_meanwhile(seconds: float) -> None:
        cancel(bench.log, process.id, by="somebody", clock=bench.clock)
        await sleep(seconds)

    bench.clock.sleep = cancelled_meanwhile  # type: ignore[method-assign]
    assert bench.run(process).state is State.CANCELLED
    assert len(bench.source.requests) == 1


def test_cancelling_twice_is_cancelling_once(bench: Bench) -> None:
    process = bench.engine.start()
    assert bench.engine.cancel(process.id) == bench.engine.cancel(process.id)


def test_what_is_over_cannot_be_cancelled_and_what_is_complete_cannot_be_resumed(bench: Bench) -> None:
    process = bench.sync()
    with pytest.raises(NotActive, match="nothing to cancel"):
        bench.engine.cancel(process.id)
    with pytest.raises(NotActive, match="cannot be resumed"):
        bench.engine.resume(process.id)


def test_of_two_engines_on_one_process_one_goes_on_and_the_other_stops_without_harm(bench: Bench) -> None:
    process = bench.engine.start()
    other = bench.another_engine()
    check = bench.source.check

    async def overtaken() -> dict[str, str] | Failure:
        bench.source.check = check  # type: ignore[method-assign]
        await other.step(process.id)
        return await check()

    bench.source.check = overtaken  # type: ignore[method-assign]
    with pytest.raises(VersionConflict):
        bench.run(process)
    assert asyncio.run(other.run(process.id)).progress.created == 120


@pytest.mark.parametrize("page_size", [0, -1, 500, 10_000])
def test_a_page_size_that_cannot_work_is_refused_with_the_range_that_can(
    bench: Bench, page_size: int
) -> None:
    with pytest.raises(ConfigurationError, match="choose 1 to 499"):
        bench.engine.start(page_size=page_size)
    assert bench.log.ids() == []


def test_an_unfinished_sync_is_not_taken_up_with_another_order(bench: Bench) -> None:
    bench.engine.start(order="oldest")
    with pytest.raises(ConfigurationError, match="began with order 'oldest'"):
        bench.engine.take_up(order="newest")


def test_a_process_of_another_sink_is_not_touched(bench: Bench) -> None:
    process = bench.engine.start()
    bench.sink.name = "another"
    for touch in (bench.run, bench.step):
        with pytest.raises(ConfigurationError, match="into dict, but this engine list people into another"):
            touch(process)
    assert bench.source.requests == []


def test_of_rows_with_one_id_the_first_sound_one_is_delivered(bench: Bench) -> None:
    first = bench.source.records[0]
    unplaced = replace(first, key="", raw=b"unplaced", problem="cannot be placed")
    bench.source.records[:1] = [unplaced, first, replace(first, raw=b"later")]
    process = bench.sync()
    assert bench.sink.items[first.id].text == "good"
    assert (process.progress.created, process.progress.rejected) == (120, 1)


def test_closing_the_engine_closes_source_and_sink_and_not_the_log(bench: Bench) -> None:
    async def use() -> None:
        async with bench.engine:
            pass

    asyncio.run(use())
    assert bench.source.closed
    assert bench.sink.closed
    assert bench.log.ids() == []


@pytest.mark.parametrize("off", [timedelta(hours=-2), timedelta(days=-365), timedelta(days=2)])
def test_a_clock_that_is_set_changes_no_wait_of_an_engine_that_is_there(bench: Bench, off: timedelta) -> None:
    limited = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", status=429, retry_after_s=30.0)
    clock = _SetInItsSleep(bench.clock, off)
    bench.clock = clock  # type: ignore[assignment]
    bench.engine = bench.another_engine()
    bench.source.failures = [limited]
    assert bench.sync().state is State.COMPLETED
    assert 30.0 <= clock.slept_s < 30.5


class _SetInItsSleep:
    """A clock that is set while somebody sleeps, and has a time that goes on."""

    def __init__(self, inner: TestClock, off: timedelta) -> None:
        self._inner = inner
        self._off = off
        self.is_set = False

    @property
    def slept_s(self) -> float:
        return self._inner.slept_s

    def now(self) -> datetime:
        return self._inner.now() + (self._off if self.is_set else timedelta(0))

    def monotonic(self) -> float:
        return self._inner.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds / 2)
        self.is_set = True
        await self._inner.sleep(seconds / 2)


def test_a_retry_recorded_by_a_wrong_clock_is_waited_for_no_longer_than_was_decided(bench: Bench) -> None:
    bench.clock.at += timedelta(days=365)
    bench.source.failures = [DOWN]
    process = bench.step(bench.step(bench.engine.start()))
    (retry,) = bench.events(process, RetryScheduled)
    assert isinstance(retry, RetryScheduled)
    bench.clock.at -= timedelta(days=365)  # and put right, when another engine goes on
    process = asyncio.run(bench.another_engine().run(process.id))
    assert process.state is State.COMPLETED
    assert bench.clock.slept_s <= retry.wait_s + 1e-3


def told_to_wait(bench: Bench, seconds: float, **limits: float) -> Process:
    """A sync that failed since its source asked for such a wait."""
    limited = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", status=429, retry_after_s=seconds)
    bench.source.options = replace(Options(), **limits)
    bench.source.failures = [limited]
    process = bench.sync()
    assert process.state is State.FAILED
    assert len(bench.source.requests) == 1
    return process


def test_a_run_before_the_source_may_be_asked_says_so_and_asks_and_records_nothing(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    assert bench.sync() == bench.sync() == failed
    assert len(bench.source.requests) == 1


def test_a_run_when_the_source_may_be_asked_again_goes_on_at_once(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    assert failed.failure is not None
    assert failed.failure.retry_at is not None
    bench.clock.at = failed.failure.retry_at
    slept_s = bench.clock.slept_s
    process = bench.sync()
    assert (process.id, process.state, bench.clock.slept_s) == (failed.id, State.COMPLETED, slept_s)


def test_a_run_shortly_before_waits_for_the_rest_and_the_log_says_until_when(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    assert failed.failure is not None
    assert failed.failure.retry_at is not None
    bench.clock.at = failed.failure.retry_at - timedelta(seconds=100)
    process = bench.sync()
    assert process.state is State.COMPLETED
    (resumed,) = bench.events(process, SyncResumed)
    assert isinstance(resumed, SyncResumed)
    assert resumed.retry_at == failed.failure.retry_at
    assert bench.clock.slept_s == pytest.approx(100, abs=0.01)


def test_a_raised_limit_lets_a_run_wait_as_long_as_the_source_asks(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    raised = replace(failed.options, wait_s_max=3600.0)
    process = asyncio.run(bench.engine.sync(options=raised))
    assert process.state is State.COMPLETED
    assert bench.clock.slept_s == pytest.approx(3600, abs=0.01)


def test_a_wait_is_kept_where_another_limit_ended_the_sync(bench: Bench) -> None:
    failed = told_to_wait(bench, 20.0, attempts_max=1)
    assert failed.failure is not None
    assert failed.failure.reason == "attempts_max"
    assert bench.sync().state is State.COMPLETED
    assert bench.clock.slept_s == pytest.approx(20, abs=0.01)


def test_a_resumed_process_waits_too_unless_somebody_knows_better(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    process = bench.engine.resume(failed.id)
    assert process.retry is not None
    assert bench.step(process) == process
    assert len(bench.source.requests) == 1


def test_whoever_knows_better_asks_at_once(bench: Bench) -> None:
    failed = told_to_wait(bench, 365 * 24 * 3600.0)
    bench.engine.resume(failed.id, asks_now=True)
    assert bench.sync().state is State.COMPLETED
    assert bench.clock.slept_s == 0


def test_a_sync_that_starts_anew_asks_at_once_and_others_after_it(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    anew = bench.run(bench.engine.start())
    assert (anew.state, anew.id != failed.id) == (State.COMPLETED, True)
    assert bench.sync().state is State.COMPLETED


def test_a_wait_recorded_by_a_wrong_clock_is_no_longer_than_was_asked_for(bench: Bench) -> None:
    bench.clock.at += timedelta(days=365)
    told_to_wait(bench, 20.0, attempts_max=1)
    bench.clock.at -= timedelta(days=365)
    assert bench.sync().state is State.COMPLETED
    assert bench.clock.slept_s == pytest.approx(20, abs=0.01)


def test_what_webhooks_told_of_is_not_asked_for_before_the_source_may_be_asked(bench: Bench) -> None:
    failed = told_to_wait(bench, 3600.0)
    notice = Notice(
        source="list", object="people", key="1", record_ids=("r00001",), received_at=bench.clock.at
    )
    bench.log.receive(notice)
    assert bench.engine.take_up_webhooks() == failed
    bench.clock.at += timedelta(hours=1)
    taken = bench.engine.take_up_webhooks()
    assert taken is not None
    assert (taken.mode, bench.run(taken).state) == ("webhook", State.COMPLETED)

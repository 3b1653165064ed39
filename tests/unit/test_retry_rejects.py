"""Rejects: which were delivered later, and sending them again once what was wrong is mended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from syncfsm.core.events import SyncStarted
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.errors import ActiveSync, ConfigurationError, ProcessNotFound
from syncfsm.history.rejects import last_with_rejects, rejects_of
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from tests.fakes import WRONG_KEY
from tests.unit.test_engine import Bench

BAD = {"r00003", "r00007", "r00070"}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_log(":memory:") as log:
        bench = Bench(log)
        bench.sink.refused = set(BAD)
        yield bench


def retried(bench: Bench, process_id: str | None = None, **asked: int) -> Process:
    process = bench.engine.retry_rejects(process_id, **asked)
    assert process is not None
    return bench.run(process)


def ids_asked_for(process: Process) -> set[str]:
    return set(process.record_ids)


def test_rejects_are_sent_again_and_arrive_once_what_was_wrong_is_mended(bench: Bench) -> None:
    first = bench.sync()
    bench.sink.refused = set()
    bench.source.requests.clear()
    process = retried(bench)
    assert (process.state, process.mode, process.parent) == (State.COMPLETED, "rejects", first.id)
    assert (process.progress.created, process.progress.fetched, process.progress.pages) == (3, 3, 1)
    assert bench.sink.items.keys() == {record.id for record in bench.source.records}
    assert [set(request.record_ids) for request in bench.source.requests] == [BAD]
    assert verify(bench.log)[1] == []


def test_a_retry_is_an_ordinary_process_that_says_what_it_is_for(bench: Bench) -> None:
    first = bench.sync()
    process = bench.engine.retry_rejects()
    assert process is not None
    (started,) = bench.events(process, SyncStarted)
    assert isinstance(started, SyncStarted)
    assert (started.mode, started.parent, set(started.record_ids)) == ("rejects", first.id, BAD)
    steps = 0
    while process.is_active:
        process = asyncio.run(bench.another_engine().step(process.id))
        steps += 1
    assert steps == 3


def test_what_is_refused_again_stays_a_reject_and_is_asked_for_next_time(bench: Bench) -> None:
    first = bench.sync()
    bench.sink.refused = {"r00070"}
    again = retried(bench)
    assert (again.state, again.progress.created, again.progress.rejected) == (State.COMPLETED, 2, 1)
    last = bench.engine.retry_rejects()
    assert last is not None
    assert (last.parent, last.record_ids) == (first.id, ("r00070",))


def test_when_all_were_delivered_later_there_is_nothing_to_retry(bench: Bench) -> None:
    assert bench.engine.retry_rejects() is None
    first = bench.sync()
    bench.sink.refused = set()
    retried(bench)
    assert bench.engine.retry_rejects() is None
    assert bench.engine.retry_rejects(first.id) is None
    assert len(bench.log.ids()) == 2


def test_the_rejects_of_a_sync_say_which_were_delivered_later_and_by_which_process(bench: Bench) -> None:
    first = bench.sync()
    bench.sink.refused = {"r00070"}
    again = retried(bench)
    by = {reject.record_id: reject.delivered_by for reject in rejects_of(bench.log, first)}
    assert by == {"r00003": again.id, "r00007": again.id, "r00070": None}
    assert [reject.cursor for reject in rejects_of(bench.log, first)] == [None, None, 50]
    bench.sink.refused = set()
    whole = bench.sync()
    by = {reject.record_id: reject.delivered_by for reject in rejects_of(bench.log, first)}
    assert by == dict.fromkeys(BAD, whole.id)
    assert [reject.delivered_by for reject in rejects_of(bench.log, again)] == [whole.id]


def test_what_was_delivered_into_another_sink_is_not_taken_for_delivered(bench: Bench) -> None:
    first = bench.sync()
    bench.sink.name = "another"
    bench.sink.refused = set()
    bench.sync()
    assert {reject.delivered_by for reject in rejects_of(bench.log, first)} == {None}
    assert bench.engine.retry_rejects() is None


def test_a_record_that_is_gone_meanwhile_is_rejected_again_with_that_reason(bench: Bench) -> None:
    bench.sync()
    bench.sink.refused = set()
    bench.source.records = [record for record in bench.source.records if record.id != "r00007"]
    process = retried(bench)
    (reject,) = rejects_of(bench.log, process)
    assert (reject.record_id, reject.reason) == ("r00007", "the source has no such record any more")
    assert (process.progress.created, process.progress.rejected) == (2, 1)


def test_a_record_that_is_gone_is_not_asked_for_by_every_retry(bench: Bench) -> None:
    first = bench.sync()
    bench.sink.refused = set()
    bench.source.records = [record for record in bench.source.records if record.id != "r00007"]
    retried(bench)
    assert bench.engine.retry_rejects() is None
    by_id = {reject.record_id: reject for reject in rejects_of(bench.log, first)}
    assert by_id["r00007"].is_gone
    assert by_id["r00007"].delivered_by is None
    assert not by_id["r00003"].is_gone


def test_rejects_without_an_id_are_left_out(bench: Bench) -> None:
    bench.source.records[5] = replace(bench.source.records[5], id="", problem="has no id")
    first = bench.sync()
    assert [reject.record_id for reject in rejects_of(bench.log, first)].count("") == 1
    process = bench.engine.retry_rejects()
    assert process is not None
    assert ids_asked_for(process) == BAD


def test_the_error_budget_is_not_for_retries(bench: Bench) -> None:
    bench.source.options = Options(reject_min=0, reject_ratio_max=0.5)
    bench.sync()
    process = retried(bench, page_size=1)
    assert (process.state, process.progress.rejected, process.progress.pages) == (State.COMPLETED, 3, 3)


def test_a_retry_does_not_move_the_last_sync_time(bench: Bench) -> None:
    first = bench.sync()
    process = retried(bench)
    assert process.watermark is None
    assert bench.engine.last_sync_time() == first.watermark


def test_an_unfinished_retry_is_gone_on_with_and_not_taken_for_the_sync(bench: Bench) -> None:
    first = bench.sync()
    retry = bench.engine.retry_rejects(page_size=1)
    assert retry is not None
    assert bench.engine.retry_rejects() == bench.engine.retry_rejects(first.id) == retry
    bench.step(retry)
    bench.source.failures = [WRONG_KEY]
    assert bench.run(retry).state is State.FAILED
    whole = bench.engine.take_up()
    assert (whole.mode, whole.id not in {first.id, retry.id}) == ("initial", True)
    bench.engine.cancel(whole.id)
    bench.sink.refused = set()
    process = retried(bench, page_size=2)
    assert (process.id, process.state, process.progress.created) == (retry.id, State.COMPLETED, 3)


def test_an_unfinished_sync_is_not_taken_for_a_retry(bench: Bench) -> None:
    bench.sync()
    bench.source.check_failures = [WRONG_KEY]
    failed = bench.sync()
    bench.sink.refused = set()
    process = retried(bench)
    assert (process.mode, process.progress.created) == ("rejects", 3)
    assert bench.engine.unfinished() == failed
    assert bench.sync().id == failed.id


def test_while_a_sync_is_active_no_retry_begins_and_the_other_way_round(bench: Bench) -> None:
    bench.sync()
    active = bench.engine.start()
    with pytest.raises(ActiveSync, match=active.id):
        bench.engine.retry_rejects()
    bench.engine.cancel(active.id)
    retry = bench.engine.retry_rejects()
    assert retry is not None
    with pytest.raises(ActiveSync, match=f"a retry of the rejects .*{retry.id}"):
        bench.engine.take_up()


def test_the_rejects_of_a_sync_that_failed_by_them_can_be_retried_and_then_it_goes_on(bench: Bench) -> None:
    bench.sink.refused = {record.id for record in bench.source.records[:20]}
    failed = bench.sync()
    assert failed.state is State.FAILED
    bench.sink.refused = set()
    assert retried(bench).progress.created == 20
    done = bench.sync()
    assert (done.id, done.progress.created, len(bench.sink.items)) == (failed.id, 100, 120)


def test_the_last_sync_with_rejects_is_meant_where_none_is_named(bench: Bench) -> None:
    first = bench.sync()
    second = bench.sync()
    bench.sink.refused = set()
    bench.source.check_failures = [WRONG_KEY]
    bench.sync()
    last = last_with_rejects(bench.log, lambda _process: True)
    assert last == second
    assert retried(bench, first.id).parent == first.id


def test_a_retry_waits_out_failures_as_a_sync_does(bench: Bench) -> None:
    bench.sync()
    bench.sink.refused = set()
    slow = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", retry_after_s=2.0)
    bench.source.failures = [slow]
    process = retried(bench)
    assert (process.state, process.progress.retries, process.progress.created) == (State.COMPLETED, 1, 3)


def test_a_retry_of_what_is_not_there_or_of_another_sink_is_refused(bench: Bench) -> None:
    first = bench.sync()
    with pytest.raises(ProcessNotFound, match="p9"):
        bench.engine.retry_rejects("p9")
    bench.sink.name = "another"
    with pytest.raises(ConfigurationError, match="into dict, but this engine"):
        bench.engine.retry_rejects(first.id)


def test_a_retry_can_be_named_itself_and_goes_on(bench: Bench) -> None:
    bench.sync()
    retry = bench.engine.retry_rejects()
    assert retry is not None
    assert bench.engine.retry_rejects(retry.id) == retry
    again = bench.run(retry)
    bench.sink.refused = set()
    assert retried(bench, again.id).parent == again.id


def test_a_record_rejected_twice_is_asked_for_once(bench: Bench) -> None:
    bad = replace(bench.source.records[3], key="", problem="cannot be placed")
    bench.source.records[3:4] = [bad, bad]
    first = bench.sync()
    assert [reject.record_id for reject in rejects_of(bench.log, first)].count("r00003") == 2
    process = bench.engine.retry_rejects()
    assert process is not None
    assert sorted(process.record_ids) == sorted(BAD)


def test_what_was_delivered_before_it_was_rejected_was_not_delivered_later(bench: Bench) -> None:
    stopped = bench.step(bench.step(bench.engine.start()))
    bench.source.failures = [WRONG_KEY]
    assert bench.run(stopped).state is State.FAILED
    bench.sink.refused -= {"r00070"}
    retry = bench.engine.start()  # of all records, and it brings r00070
    assert bench.run(retry).state is State.COMPLETED
    bench.sink.refused = {"r00070"}
    done = bench.run(bench.engine.resume(stopped.id))
    by = {reject.record_id: reject.delivered_by for reject in rejects_of(bench.log, done)}
    assert by == {"r00003": None, "r00007": None, "r00070": None}

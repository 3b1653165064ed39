"""Limits that can be raised: by words, for a new sync and for one that goes on; and what hitting one says."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from syncfsm.core.events import SyncResumed
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.limits import LIMITS, SOURCE_RULES, with_limits
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.errors import ConfigurationError
from syncfsm.log import open_log
from tests.fakes import DOWN
from tests.pure import PureSync, Row, people
from tests.unit.test_engine import Bench

SLOW = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", retry_after_s=250.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_log(":memory:") as log:
        yield Bench(log)


def test_every_limit_of_a_sync_can_be_set_and_no_rule_of_a_source() -> None:
    assert LIMITS.keys().isdisjoint(SOURCE_RULES)
    assert LIMITS.keys() | {*SOURCE_RULES} == {*Options.__struct_fields__}


def test_limits_are_set_by_words_and_the_rest_stays() -> None:
    options = Options(attempts_max=3, confirm_end=True)
    changed = with_limits(options, ["attempts_max=20", " reject_ratio_max = 0.5 ", "attempts_max=21"])
    assert changed == replace(options, attempts_max=21, reject_ratio_max=0.5)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "attempts=20",
            "'attempts' is no limit: give NAME=VALUE, with one of attempts_max, backoff_s_base, wait_s_max",
        ),
        ("limit_max=9", "'limit_max' is no limit"),
        ("termination=peek", "'termination' is no limit"),
        ("", "'' is no limit"),
        ("attempts_max", "attempts_max= cannot work: attempts_max is a whole number from 1 to 1000000000"),
        ("attempts_max=many", "attempts_max=many cannot work"),
        ("attempts_max=1.5", "attempts_max=1.5 cannot work"),
        ("attempts_max=0", "attempts_max=0 cannot work"),
        ("reject_min=-1", "reject_min=-1 cannot work"),
        ("reject_ratio_max=5", "reject_ratio_max is a number from 0 to 1. The limits are attempts_max, "),
        ("waiting_s_max=inf", "waiting_s_max=inf cannot work"),
        ("wait_s_max=nan", "wait_s_max=nan cannot work"),
    ],
)
def test_what_is_no_limit_or_does_not_fit_is_refused_with_all_the_names(setting: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)) as refused:
        with_limits(Options(), [setting])
    assert all(name in str(refused.value) for name in LIMITS)


def test_a_limit_that_no_log_could_hold_is_refused_before_anything_is_written(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="waiting_s_max=inf"):
        bench.engine.start(options=Options(waiting_s_max=math.inf))
    assert bench.log.ids() == []


def test_a_failed_sync_goes_on_with_a_limit_raised_and_keeps_its_other_limits(bench: Bench) -> None:
    bench.source.failures = [DOWN] * 5
    bench.source.options = Options(attempts_max=3, reject_min=7)
    failed = bench.sync()
    assert failed.state is State.FAILED
    raised = with_limits(failed.options, ["attempts_max=10"])
    done = asyncio.run(bench.engine.sync(options=raised))
    assert (done.id, done.state, done.options) == (failed.id, State.COMPLETED, raised)
    (resumed,) = bench.events(done, SyncResumed)
    assert isinstance(resumed, SyncResumed)
    assert resumed.options == raised
    assert bench.log.load(done.id).options == raised


def test_going_on_with_the_same_limits_writes_none(bench: Bench) -> None:
    bench.source.failures = [DOWN] * 8
    failed = bench.sync()
    done = asyncio.run(bench.engine.sync(options=failed.options))
    (resumed,) = bench.events(done, SyncResumed)
    assert isinstance(resumed, SyncResumed)
    assert resumed.options is None


def test_a_new_sync_begins_with_the_options_given(bench: Bench) -> None:
    options = Options(attempts_max=3)
    assert bench.engine.take_up(options=options).options == options


@pytest.mark.parametrize(
    "rules",
    [{"pagination": "cursor"}, {"termination": "short_page"}, {"confirm_end": True}, {"limit_max": 400}],
)
def test_rules_are_not_for_who_runs_a_sync_to_choose_at_its_start_or_when_it_goes_on(
    bench: Bench, rules: dict[str, object]
) -> None:
    other = replace(bench.source.options, **rules)
    (name,) = rules
    with pytest.raises(ConfigurationError, match=rf"say {name}=.*replace\(source.options, attempts_max=20\)"):
        bench.engine.start(options=other)
    bench.source.failures = [DOWN] * 8
    failed = asyncio.run(bench.engine.sync())
    with pytest.raises(ConfigurationError, match=rf"say {name}=.*replace\(process.options"):
        bench.engine.resume(failed.id, options=other)
    assert bench.log.load(failed.id) == failed


def test_an_active_sync_keeps_its_limits_and_says_so(bench: Bench) -> None:
    active = bench.engine.start()
    assert bench.engine.take_up(options=active.options) == active
    with pytest.raises(
        ConfigurationError, match=f"process {active.id} is active, and only one that has failed"
    ):
        bench.engine.take_up(options=Options(attempts_max=20))


def out_of_attempts(bench: Bench) -> None:
    bench.source.failures = [DOWN] * 8


def out_of_waiting(bench: Bench) -> None:
    bench.source.options = Options(waiting_s_max=100.0)
    bench.source.failures = [SLOW]


def out_of_rejects(bench: Bench) -> None:
    bench.sink.refused = {record.id for record in bench.source.records[:20]}


@pytest.mark.parametrize(
    ("trouble", "name", "value", "raised"),
    [
        (out_of_attempts, "attempts_max", "8", "16"),
        (out_of_waiting, "waiting_s_max", "100", "251"),  # twice would not do for the next wait
        (out_of_rejects, "reject_ratio_max", "0.01", "0.4"),  # nor would twice here
    ],
)
def test_a_failure_says_which_limit_was_hit_its_value_and_words_that_raise_it_far_enough(
    bench: Bench, trouble: Callable[[Bench], None], name: str, value: str, raised: str
) -> None:
    trouble(bench)
    failed = bench.sync()
    assert failed.failure is not None
    assert failed.failure.reason == name
    words = f"The limit {name} is {value}: to raise {name}, run again with --set {name}={raised}."
    assert words in failed.failure.error
    trouble(bench)
    options = with_limits(failed.options, [f"{name}={raised}"])
    with open_log(":memory:") as log:
        bench.log = log
        assert asyncio.run(bench.another_engine().sync(options=options)).state is State.COMPLETED


def test_rows_that_never_move_on_say_how_to_raise_the_limit() -> None:
    rows = people(100)
    options = Options(stalled_rows_max=500)
    process = PureSync(lambda request: rows[: request.limit], page_size=10, options=options).run()
    assert process.failure is not None
    assert "run again with --set stalled_rows_max=1000." in process.failure.error


def test_steps_back_past_the_limit_say_how_to_raise_it() -> None:
    rows = people(60)

    def answer(request):
        if len(sync.requests) == 4:
            del rows[:25]
        return [Row(id=f"x{row.id}", key="0") if request.offset else row for row in _slice(rows, request)]

    def _slice(rows, request):
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=10, options=Options(step_backs_max=0))
    process = sync.run()
    assert process.failure is not None
    assert process.failure.reason == "step_backs_max"
    assert "The limit step_backs_max is 0: to raise" in process.failure.error
    assert "--set step_backs_max=1." in process.failure.error

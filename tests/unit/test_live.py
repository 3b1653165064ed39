"""How a running sync looks to somebody who looks now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from syncfsm.cli.shared.top_view import PACE_S, Pace, sight, span_words
from syncfsm.core.process import Process
from tests.fakes import DOWN, WRONG_KEY
from tests.pure import EPOCH, PureSync, people, slice_of


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def fetched(count: int) -> Process:
    """Return a process that has taken so many records, and goes on."""
    sync = PureSync(slice_of(people(10_000)), page_size=10)
    while sync.process.progress.fetched < count:
        sync.turn()
    return sync.process


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    pace.of(fetched(100), EPOCH)
    assert pace.of(fetched(150), EPOCH + after(5)) == 10
    assert pace.of(fetched(350), EPOCH + after(10)) == 25
    assert pace.of(fetched(350), EPOCH + after(15)) == 20
    assert pace.of(fetched(350), EPOCH + after(10 + PACE_S)) == 0


def test_who_looks_once_sees_the_average() -> None:
    process = fetched(100)
    assert Pace().of(process, EPOCH) == process.records_per_s > 0


def test_processes_that_are_no_longer_shown_are_forgotten() -> None:
    pace = Pace()
    process = fetched(100)
    pace.of(process, EPOCH)
    pace.forget_others([])
    assert pace.of(fetched(200), EPOCH + after(1)) == fetched(200).records_per_s


def test_a_wait_is_shown_while_it_lasts_with_what_it_is_for() -> None:
    sync = PureSync(lambda _request: DOWN)
    while sync.process.retry is None:
        sync.turn()
    process, retry = sync.process, sync.process.retry
    assert retry is not None
    waiting = sight(process, retry.retry_at - after(3), pace=Pace(), last_sync_at=None)
    assert (waiting.waiting_s, waiting.waiting_for) == (3, "unavailable")
    due = sight(process, retry.retry_at, pace=Pace(), last_sync_at=None)
    assert (due.waiting_s, due.waiting_for) == (None, None)


def test_a_process_that_is_over_waits_for_nothing() -> None:
    answers = [DOWN, WRONG_KEY]
    process = PureSync(lambda _request: answers.pop(0)).run()
    assert process.retry is not None
    seen = sight(process, EPOCH, pace=Pace(), last_sync_at=None)
    assert (seen.waiting_s, seen.waiting_for) == (None, None)


def test_ages_are_counted_from_now_and_never_negative() -> None:
    process = fetched(10)
    now = process.updated_at + after(7)
    seen = sight(process, now, pace=Pace(), last_sync_at=now - after(60))
    assert (seen.last_event_age_s, seen.lag_s) == (7, 60)
    early = sight(process, process.updated_at - after(7), pace=Pace(), last_sync_at=None)
    assert (early.last_event_age_s, early.lag_s) == (0, None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12, "12 s"), (60, "1 min"), (5400, "2 h"), (86_400 * 3, "3 d")],
)
def test_a_span_is_told_in_one_unit(seconds: float, words: str) -> None:
    assert span_words(seconds) == words

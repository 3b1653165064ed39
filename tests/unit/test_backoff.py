"""When to try again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncfsm.core.backoff import GiveUp, later, parse_retry_after, spent_budget, wait_s
from syncfsm.core.options import Options

NOW = datetime(2026, 5, 23, 14, 42, 0, tzinfo=UTC)
OPTIONS = Options()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("-3", 0.0),
        ("Sat, 23 May 2026 14:42:01 GMT", 1.0),
        ("Sat, 23 May 2026 14:41:00 GMT", 0.0),
        ("Sat, 23 May 2026 15:42:01 +0100", 1.0),
        ("Sat, 23 May 2026 14:42:01 -0000", 1.0),  # a date that does not know its zone
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sat, 99 May 2026 14:42:01 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_header_breaks_the_parser(header: str) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds >= 0


def test_the_servers_word_is_kept_and_jitter_only_adds_to_it() -> None:
    assert wait_s(1, 7.0, 0.0, OPTIONS) == 7.0
    assert 7.0 < wait_s(1, 7.0, 0.99, OPTIONS) < 7.25


def test_an_absurd_retry_after_is_cut_to_the_longest_wait() -> None:
    assert wait_s(1, 10.0**9, 0.0, OPTIONS) == OPTIONS.wait_s_max


def test_without_a_word_from_the_server_the_wait_doubles_up_to_the_limit() -> None:
    waits = [wait_s(attempt, None, 0.0, OPTIONS) for attempt in range(1, 12)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0]
    assert wait_s(10_000, None, 0.99, OPTIONS) == OPTIONS.wait_s_max


def test_a_retry_after_in_the_past_is_no_licence_to_ask_at_once() -> None:
    assert wait_s(2, 0.0, 0.0, OPTIONS) == 1.0


@given(
    attempt=st.integers(1, 100),
    retry_after=st.none() | st.floats(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_positive_and_bounded(attempt: int, retry_after: float | None, chance: float) -> None:
    assert 0 < wait_s(attempt, retry_after, chance, OPTIONS) <= OPTIONS.wait_s_max + 0.25


def test_jitter_adds_up_to_half_of_a_wait_that_the_server_did_not_name() -> None:
    assert wait_s(1, None, 0.5, OPTIONS) == 0.5 * 1.25


def test_the_doubling_stops_before_it_is_too_large_for_a_number() -> None:
    options = Options(backoff_s_base=1.0, wait_s_max=1e30)
    assert wait_s(33, None, 0.0, options) == wait_s(10_000, None, 0.0, options) == 2.0**32


def test_each_budget_names_the_option_that_holds_it() -> None:
    assert spent_budget(1, 1.0, 0.0, OPTIONS) is None
    assert spent_budget(OPTIONS.attempts_max, 1.0, 0.0, OPTIONS) == GiveUp(
        limit="attempts_max", why="8 failures in a row", needed=9
    )
    assert spent_budget(1, 1.0, OPTIONS.waiting_s_max, OPTIONS) == GiveUp(
        limit="waiting_s_max", why="3600 s of waiting already", needed=3601
    )


def test_a_budget_may_be_spent_to_its_end() -> None:
    assert spent_budget(OPTIONS.attempts_max - 1, 1.0, 0.0, OPTIONS) is None
    assert spent_budget(1, 10.0, OPTIONS.waiting_s_max - 10.0, OPTIONS) is None
    assert spent_budget(1, 10.5, OPTIONS.waiting_s_max - 10.0, OPTIONS) is not None


def test_a_retry_moment_is_exact_to_the_microsecond_and_rounded_up() -> None:
    assert later(NOW, 2.5) == NOW + timedelta(seconds=2.5)
    assert later(NOW, 0.0000001) == NOW + timedelta(microseconds=1)


@given(st.floats(0, 10**6))
def test_a_retry_moment_is_never_earlier_than_the_wait_says(seconds: float) -> None:
    assert (later(NOW, seconds) - NOW).total_seconds() >= seconds - 1e-9

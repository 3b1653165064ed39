"""What a failure leads to: a retry that is scheduled, or the end of the sync."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.giving_up import unasked
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import Unasked
from syncfsm.core.paging.place import Paging
from syncfsm.core.process import Process
from syncfsm.core.state import Progress, Retry
from tests.pure import EPOCH, PureSync, people, slice_of

DOWN = Failure(kind=FailureKind.UNAVAILABLE, message="it is down.", status=503)
LIMITED = Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", status=429, retry_after_s=7.0)
WRONG_KEY = Failure(kind=FailureKind.UNAUTHORIZED, message="the key is wrong.", status=401)
OPTIONS = Options(attempts_max=4, backoff_s_base=1.0, waiting_s_max=60.0)


def fetching(*, attempt: int = 0, waited_s: float = 0.0) -> Process:
    """A process at cursor 50, with so many failures in a row and so much waiting since it was resumed."""
    sync = PureSync(slice_of(people(3)), options=OPTIONS)
    assert sync.turn()
    retry = Retry(action="fetch", cause="timeout", error="no answer.", attempt=attempt, retry_at=EPOCH)
    return replace(
        sync.process,
        paging=Paging(offset=50),
        progress=Progress(waited_s=1000.0 + waited_s),
        budget_from=Progress(waited_s=1000.0),
        retry=retry if attempt else None,
    )


def failed(process: Process, failure: Failure, *, chance: float = 0.0) -> e.Event:
    (event,) = d.decide(process, d.Failed(action="fetch", failure=failure, at=EPOCH, chance=chance))
    return event


def test_a_passing_failure_schedules_a_retry() -> None:
    assert failed(fetching(), DOWN, chance=0.5) == e.RetryScheduled(
        action="fetch",
        cause="unavailable",
        error="it is down.",
        attempt=1,
        wait_s=1.25,
        retry_at=EPOCH + timedelta(seconds=1.25),
        cursor=50,
        status=503,
    )


def test_failures_in_a_row_are_counted_and_wait_longer() -> None:
    event = failed(fetching(attempt=2), DOWN)
    assert isinstance(event, e.RetryScheduled)
    assert (event.attempt, event.wait_s) == (3, 4.0)


def test_the_servers_retry_after_is_kept() -> None:
    event = failed(fetching(), LIMITED)
    assert isinstance(event, e.RetryScheduled)
    assert (event.wait_s, event.retry_at) == (7.0, EPOCH + timedelta(seconds=7))


def test_a_failure_that_no_waiting_cures_ends_the_sync_at_once() -> None:
    assert failed(fetching(), WRONG_KEY) == e.SyncFailed(
        action="fetch", reason="unauthorized", error="the key is wrong.", resumable=True, cursor=50
    )


def test_the_last_attempt_that_fails_ends_the_sync_and_names_the_limit() -> None:
    assert failed(fetching(attempt=3), DOWN) == e.SyncFailed(
        action="fetch",
        reason="attempts_max",
        error="it is down. Gave up after 4 failures in a row; going on later may help. The limit "
        "attempts_max is 4: to raise attempts_max, run again with --set attempts_max=8.",
        resumable=True,
        cursor=50,
    )


def test_waits_count_from_the_last_resume_and_end_the_sync_past_their_limit() -> None:
    assert isinstance(failed(fetching(waited_s=53.0), LIMITED), e.RetryScheduled)
    assert failed(fetching(waited_s=53.5), LIMITED) == e.SyncFailed(
        action="fetch",
        reason="waiting_s_max",
        error="slow down. Gave up after 54 s of waiting already; going on later may help. The limit "
        "waiting_s_max is 60: to raise waiting_s_max, run again with --set waiting_s_max=120.",
        resumable=True,
        cursor=50,
        retry_at=EPOCH + timedelta(seconds=7),
    )


def test_a_source_that_cannot_list_records_ends_a_retry_for_good() -> None:
    assert unasked(fetching(), Unasked(found="r9")) == e.SyncFailed(
        action="fetch",
        reason="unasked",
        error="model returned r9, though only other records were asked for: it does not heed `record_ids`, "
        "and so rejects cannot be sent again. Run a whole sync instead.",
        resumable=False,
        cursor=50,
    )


def test_a_limit_is_raised_to_what_would_have_been_enough_where_twice_is_not() -> None:
    event = failed(fetching(waited_s=59.0), replace(LIMITED, retry_after_s=250.0))
    assert isinstance(event, e.SyncFailed)
    assert "--set waiting_s_max=309" in event.error


def test_a_wait_longer_than_one_may_be_ends_the_sync_and_says_until_when() -> None:
    event = failed(fetching(), replace(LIMITED, retry_after_s=1200.5))
    assert event == e.SyncFailed(
        action="fetch",
        reason="wait_s_max",
        error="slow down. It asks to be left alone for 1,201 s, until 2026-01-01 00:20:00 UTC; nothing is "
        "asked before. Run again then, and it goes on. The limit wait_s_max is 300: to raise wait_s_max, run "
        "again with --set wait_s_max=1201. That run waits; one that starts anew asks at once.",
        resumable=True,
        cursor=50,
        retry_at=EPOCH + timedelta(seconds=1200.5),
    )


def test_a_wait_as_long_as_one_may_be_is_waited_for() -> None:
    assert isinstance(failed(fetching(), replace(LIMITED, retry_after_s=53.0)), e.RetryScheduled)
    options = replace(OPTIONS, wait_s_max=300.0, waiting_s_max=1000.0)
    event = failed(replace(fetching(), options=options), replace(LIMITED, retry_after_s=300.0))
    assert isinstance(event, e.RetryScheduled)


def test_a_wait_of_a_year_is_told_as_a_likely_mistake() -> None:
    event = failed(fetching(), replace(LIMITED, retry_after_s=365 * 24 * 3600.0))
    assert isinstance(event, e.SyncFailed)
    assert "until 2027-01-01 00:00:00 UTC, which looks like a mistake of its own" in event.error
    usual = failed(fetching(), replace(LIMITED, retry_after_s=24 * 3600.0))
    assert isinstance(usual, e.SyncFailed)
    assert "mistake" not in usual.error

"""A connection that is lost while events are written: they are there once, or it is said what is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from syncfsm.core.process import Process
from syncfsm.errors import AppendInDoubt, LogUnwritable, VersionConflict
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from tests.contracts.event_log import BEGAN, CANCELLED, PAGE, STARTED, add, notice
from tests.postgres import GIVEN, NEWEST, admin, restart
from tests.proxy import Proxy, a_proxy
from tests.pure import EPOCH


@pytest.fixture
def network(newest_postgres_url: str) -> Iterator[tuple[Proxy, EventLog, EventLog]]:
    """A network that can break, a log that is reached by it, and the same log reached without it."""
    if GIVEN:
        pytest.skip("the server is somebody's: what is between is not ours to break")
    with (
        open_log(newest_postgres_url) as beside,
        a_proxy(newest_postgres_url) as (proxy, url),
        open_log(url) as log,
    ):
        yield proxy, log, beside


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_an_append_whose_answer_or_question_is_lost_is_written_once(
    network: tuple[Proxy, EventLog, EventLog], breaks: Any
) -> None:
    proxy, log, beside = network
    process = add(log, None, STARTED)
    proxy.breaks = breaks
    process = add(log, process, BEGAN, exchanges=(PAGE,))
    assert proxy.breaks is None
    assert [record.type for record in beside.read("p1")] == ["SyncStarted", "FetchingBegan"]
    assert len(beside.captures("p1")) == 1
    add(log, process, CANCELLED)
    assert verify(beside) == (3, [])


def test_an_append_that_somebody_else_overtook_while_the_connection_was_lost_is_refused(
    network: tuple[Proxy, EventLog, EventLog],
) -> None:
    proxy, log, beside = network
    process = add(log, None, STARTED)
    add(beside, process, CANCELLED)
    proxy.breaks = "after"
    with pytest.raises(VersionConflict, match="at version 2, not at 1"):
        add(log, process, BEGAN)
    assert [record.type for record in beside.read("p1")] == ["SyncStarted", "SyncCancelled"]


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_where_the_server_cannot_be_reached_again_it_is_said_that_it_is_not_known(
    network: tuple[Proxy, EventLog, EventLog], breaks: Any
) -> None:
    proxy, log, beside = network
    process = add(log, None, STARTED)
    proxy.breaks, proxy.is_deaf = breaks, True
    with pytest.raises(
        AppendInDoubt, match=r"not known whether it is there.*Running again finds out"
    ) as doubt:
        add(log, process, BEGAN)
    assert not isinstance(doubt.value, LogUnwritable), "which promises that nothing was written"
    assert "process p1" in str(doubt.value)
    assert beside.version("p1") == (2 if breaks == "after" else 1)
    proxy.is_deaf = False
    process = log.load("p1")
    assert process.version == beside.version("p1")
    add(log, process, CANCELLED if breaks == "after" else BEGAN)
    assert verify(log)[1] == []


def test_what_cannot_be_asked_because_nobody_answers_says_so_and_is_asked_again_later(
    network: tuple[Proxy, EventLog, EventLog],
) -> None:
    proxy, log, _ = network
    process = add(log, None, STARTED)
    proxy.breaks, proxy.is_deaf = "after", True
    with pytest.raises(LogUnwritable, match="cannot be reached"):
        log.load("p1")
    proxy.is_deaf = False
    assert log.load("p1") == process


def test_what_is_only_read_is_asked_again_without_a_word(
    network: tuple[Proxy, EventLog, EventLog],
) -> None:
    proxy, log, _ = network
    process = add(log, None, STARTED)
    for breaks in ("before", "after"):
        proxy.breaks = breaks  # type: ignore[assignment]
        assert log.load("p1") == process
        proxy.breaks = breaks  # type: ignore[assignment]
        assert [record.type for record in log.events_after(0)] == ["SyncStarted"]


def test_what_is_to_be_seen_of_one_moment_is_not_read_on_by_another_connection(
    network: tuple[Proxy, EventLog, EventLog],
) -> None:
    proxy, log, _ = network
    process = add(log, None, STARTED)
    with log.reading():
        proxy.breaks = "after"
        for _ in range(2):
            with pytest.raises(LogUnwritable, match="cannot be reached"):
                log.projection()
    assert log.load("p1") == process


def test_a_notice_whose_answer_is_lost_is_kept(network: tuple[Proxy, EventLog, EventLog]) -> None:
    proxy, log, beside = network
    proxy.breaks = "after"
    log.receive(notice("k1", "r1"))
    proxy.breaks = "before"
    assert log.receive(notice("k2", "r2"))
    assert beside.waiting("attio", "people").record_ids == ("r1", "r2")
    assert len(beside.waiting("attio", "people").notices) == 2


def test_a_session_that_the_server_ends_is_begun_anew(newest_postgres_url: str) -> None:
    with open_log(newest_postgres_url) as log:
        process = add(log, None, STARTED)
        end_sessions(log)
        process = add(log, process, BEGAN)
        end_sessions(log)
        assert log.load("p1") == process
        assert verify(log) == (2, [])


def end_sessions(log: Any) -> None:
    """Let the server end the session of a log, as an administrator or a failover does."""
    pid = log._session._connection.info.backend_pid
    admin().execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_session_that_is_ended_within_a_transaction_leaves_nothing_of_its_first_try(
    newest_postgres_url: str,
) -> None:
    tries: list[int] = []

    def within(connection: psycopg.Connection[Any], after: Process) -> None:
        tries.append(after.version)
        if len(tries) == 1:
            end_sessions(log)
            connection.execute("SELECT 1")

    with open_log(newest_postgres_url, within=within) as log:
        add(log, None, STARTED)
        assert tries == [1, 1]
        assert verify(log) == (1, [])


@pytest.mark.skipif(bool(GIVEN), reason="the server is somebody's")
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted_takes_what_comes_next(newest_postgres_url: str, mode: str) -> None:
    with open_log(newest_postgres_url) as log:
        process = add(log, None, STARTED)
        assert log.last_position() == 1
        restart(NEWEST, mode=mode)
        assert log.last_position() == 1
        restart(NEWEST, mode=mode)
        process = add(log, process, BEGAN)
        assert log.load("p1") == process
        assert [record.version for record in log.events_after(0)] == [1, 2]
        assert verify(log) == (2, [])


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_an_import_whose_end_is_lost_says_that_it_is_not_known(
    network: tuple[Proxy, EventLog, EventLog], breaks: Any
) -> None:
    proxy, log, beside = network
    with open_log(":memory:") as source:
        process = add(source, None, STARTED)
        rows = list(source.stored_events())

    def states() -> Iterator[Process]:
        yield process
        proxy.breaks, proxy.skips = breaks, 1  # what is written last, and then the end

    with pytest.raises(AppendInDoubt, match="import again"):
        log.restore(rows, states)
    assert beside.ids() == (["p1"] if breaks == "after" else [])
    assert verify(log)[1] == []


def test_a_capture_that_is_forgotten_is_forgotten_though_the_answer_is_lost(
    network: tuple[Proxy, EventLog, EventLog],
) -> None:
    proxy, log, beside = network
    add(log, None, STARTED, exchanges=(PAGE,))
    proxy.breaks = "after"
    log.forget(before=EPOCH + timedelta(days=1))
    assert beside.capture_counts() == {}

"""Whoever follows a PostgreSQL log misses nothing, whatever is written beside, and holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core.events import Event, Recorded
from syncfsm.core.process import Process
from syncfsm.errors import LogError, LogUnwritable
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.tail import Follower
from tests.contracts.event_log import BEGAN, CANCELLED, STARTED, add
from tests.logs import started

OTHER = replace(STARTED, object="companies")
THIRD = replace(STARTED, object="deals")


class Polling:
    """Somebody who follows a log from its beginning, and remembers what was told."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._follower = Follower()
        self._follower.begin(log)
        self.told: list[Recorded] = []

    def __call__(self) -> list[tuple[str, int]]:
        """Look once; return the process and version of all events told so far."""
        self.told += self._follower.news(self._log)
        return [(record.stream, record.version) for record in self.told]


@pytest.fixture
def logs(postgres_url: str) -> Iterator[Callable[..., Any]]:
    """Open the same log as often as it is asked for, each with a connection of its own."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(open_log(postgres_url, **options))


def begin(log: Any) -> None:
    """Begin a transaction in the session of a log by writing something else: it has a number from here on."""
    log._session.connection.execute("BEGIN; CREATE TEMP TABLE other (id int); INSERT INTO other VALUES (1)")


def end(log: Any, how: str = "COMMIT") -> None:
    log._session.connection.execute(how)


def test_what_began_to_write_first_and_appends_last_is_not_skipped(logs: Callable[..., Any]) -> None:
    """Its transaction is the older one, and its position the later: by transactions, it is passed over."""
    one, two, polling = logs(), logs(), Polling(logs(read_only=True))
    begin(one)
    add(two, None, STARTED, process_id="b")
    assert polling() == [("b", 1)]
    add(one, None, OTHER, process_id="a")
    assert polling() == [("b", 1)]
    end(one)
    assert polling() == [("b", 1), ("a", 1)]
    assert [record.position for record in polling.told] == [1, 2]


def test_what_drew_its_position_first_and_commits_last_is_not_skipped(logs: Callable[..., Any]) -> None:
    one, two, polling = logs(), logs(), Polling(logs(read_only=True))
    add(two, None, THIRD, process_id="c")
    assert polling() == [("c", 1)]
    begin(one)
    add(one, None, OTHER, process_id="a")
    process = add(two, None, STARTED, process_id="b")
    add(two, process, BEGAN, process_id="b")
    assert polling() == [("c", 1)], "not what lies behind a place that is still to be filled"
    end(one)
    assert polling() == [("c", 1), ("a", 1), ("b", 1), ("b", 2)]
    assert [record.position for record in polling.told] == [1, 2, 3, 4]


def test_versions_come_in_order_though_the_transaction_of_the_later_one_is_the_older(
    logs: Callable[..., Any],
) -> None:
    one, two, polling = logs(), logs(), Polling(logs(read_only=True))
    begin(one)
    process = add(two, None, STARTED, process_id="p")
    add(one, process, BEGAN, process_id="p")
    assert polling() == [("p", 1)]
    end(one)
    assert polling() == [("p", 1), ("p", 2)]


def test_what_is_undone_leaves_a_hole_that_holds_nobody_back_and_is_no_finding(
    logs: Callable[..., Any],
) -> None:
    one, two, polling = logs(), logs(), Polling(logs(read_only=True))
    begin(one)
    add(one, None, OTHER, process_id="a")
    add(two, None, STARTED, process_id="b")
    assert polling() == []
    assert two._session.one("SELECT {s}.horizon(0)") == (0,)
    end(one, "ROLLBACK")
    assert polling() == [("b", 1)]
    assert [record.position for record in polling.told] == [2]
    assert verify(two) == (1, [])


def test_a_writer_that_has_only_begun_something_else_holds_nobody_back(logs: Callable[..., Any]) -> None:
    """As an idle transaction of anybody would who went by the oldest one of the server."""
    one, two, polling = logs(), logs(), Polling(logs(read_only=True))
    begin(one)
    add(two, None, STARTED, process_id="b")
    assert polling() == [("b", 1)]
    end(one, "ROLLBACK")


def test_a_writer_that_is_stuck_holds_up_no_other_and_no_reader(logs: Callable[..., Any]) -> None:
    stuck, busy, polling = logs(), logs(busy_timeout_s=0.0), Polling(logs(read_only=True))
    add(busy, None, STARTED, process_id="before")
    begin(stuck)
    add(stuck, None, OTHER, process_id="stuck")
    for number in range(5):
        assert polling() == [("before", 1)]
        add(
            busy, None, replace(STARTED, source=f"s{number}"), process_id=f"p{number}"
        )  # at once, or not at all
    assert busy.version("p4") == 1, "what is asked of a process is as it is"
    assert list(busy.read("p4"))
    end(stuck)
    assert len(polling()) == 7


def test_who_looks_for_the_first_time_while_somebody_writes_sees_what_is_settled(
    logs: Callable[..., Any],
) -> None:
    one, two = logs(), logs()
    add(two, add(two, None, STARTED, process_id="b"), BEGAN, process_id="b")
    begin(one)
    add(one, None, OTHER, process_id="a")
    add(two, None, THIRD, process_id="c")
    reader = logs(read_only=True)
    assert reader.last_position() == 2
    assert [record.stream for record in reader.events_after(0)] == ["b", "b"]
    assert [record.position for record in reader.last_events(1)] == [2]
    assert [record.position for record in reader.last_events(9, process_id="c")] == []
    assert [row.position for row in reader.stored_events()] == [1, 2]
    assert [row.stream for row in reader.stored_events("c")] == ["c"]
    end(one)
    assert reader.last_position() == 4


def test_what_one_reads_in_parts_is_a_beginning_of_the_log_without_a_hole(
    logs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that was under way when its place was passed must not be missing before a later one."""
    monkeypatch.setattr("syncfsm.log.postgres.parts.PART", 1)
    monkeypatch.setattr("syncfsm.log.postgres.events.PART", 1)
    one, two, reader = logs(), logs(), logs(read_only=True)
    process = add(two, None, STARTED, process_id="p")
    begin(one)
    process = add(one, process, BEGAN, process_id="p")
    add(two, None, OTHER, process_id="q")
    rows = reader.stored_events()
    told = [next(rows), *([following] if (following := next(rows, None)) else [])]
    end(one)
    add(two, process, CANCELLED, process_id="p")
    assert [(row.stream, row.version) for row in (*told, *rows)] == [("p", 1)]
    assert len(list(reader.stored_events())) == 4


def test_a_writer_that_came_between_two_looks_of_a_reader_is_no_reason_to_see_less(
    logs: Callable[..., Any],
) -> None:
    one, two = logs(), logs()
    add(two, None, STARTED)
    ahead = (
        "SELECT pg_advisory_lock_shared({events}::regclass::oid::int, 5)"  # 1 was drawn when it was looked at
    )
    one._session.one(ahead)
    assert two.last_position() == 1


def test_verification_sees_one_moment_though_others_write_meanwhile(logs: Callable[..., Any]) -> None:
    one, reader = logs(), logs(read_only=True)
    process = add(one, None, STARTED, process_id="p")
    projection = reader.projection

    def while_somebody_appends() -> dict[str, int]:
        add(one, process, BEGAN, process_id="p")
        found: dict[str, int] = projection()
        return found

    reader.projection = while_somebody_appends
    assert verify(reader) == (1, [])
    assert one.version("p") == 2


def test_positions_are_safe_beyond_what_a_lock_can_say(logs: Callable[..., Any]) -> None:
    """A lock has room for 31 bits of a position."""
    one, two, polling = logs(), logs(), Polling(logs(read_only=True))
    name = one._session.script("ALTER TABLE {s}.events ALTER COLUMN position RESTART WITH 4294967294")
    one._session.connection.execute(name)
    add(two, None, THIRD, process_id="c")
    begin(one)
    add(one, None, OTHER, process_id="a")
    for number in range(3):
        add(two, None, replace(STARTED, source=f"s{number}"), process_id=f"b{number}")
        assert polling() == [("c", 1)]
    end(one)
    assert len(polling()) == 5
    assert polling.told[-1].position == 4294967298


def test_eight_writers_at_once_and_a_follower_that_misses_nothing(postgres_url: str) -> None:
    writers, syncs = 8, 12
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with open_log(postgres_url) as log:
                for turn in range(syncs):
                    process: Process | None = None
                    events: tuple[Event, ...] = (started(source=f"s{number}"), BEGAN, CANCELLED)
                    for event in events:
                        process = add(log, process, event, process_id=f"p{number}-{turn}")
        except BaseException as error:
            failed.append(error)
            raise

    with open_log(postgres_url) as log:
        polling = Polling(log)
        threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            polling()
        told = polling()
        assert failed == []
        assert len(told) == len(set(told)) == writers * syncs * 3
        for stream in {stream for stream, _ in told}:
            assert [version for name, version in told if name == stream] == [1, 2, 3]
        positions = [record.position or 0 for record in polling.told]
        assert positions == sorted(positions)
        assert verify(log) == (len(told), [])


def test_a_standby_can_be_read_and_not_followed(
    logs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs()
    process = add(log, None, STARTED)
    function = log._session.script("SELECT prosrc FROM pg_proc WHERE oid = '{s}.horizon'::regproc")
    (body,) = log._session.connection.execute(function).fetchone()
    made = body.replace("pg_is_in_recovery()", "true")
    log._session.connection.execute(
        log._session.script("CREATE OR REPLACE FUNCTION {s}.horizon(known bigint) RETURNS bigint").decode()
        + f" LANGUAGE plpgsql AS $x${made}$x$"
    )
    with pytest.raises(LogError, match=r"is a standby, .* name the primary") as refused:
        log.last_position()
    assert not isinstance(refused.value, LogUnwritable)
    assert log.load("p1") == process

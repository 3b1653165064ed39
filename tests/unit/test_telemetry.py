"""What is told to whoever listens, and what never is."""

from __future__ import annotations

import io
import logging

import pytest

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.telemetry import Guarded, LogEvents, stderr_logger
from tests.pure import EPOCH, PureSync, people, slice_of


def lines(secrets: list[str], level: str = "info", *, error: str = "it is down") -> list[str]:
    """Return the log lines of a whole sync, and of a retry with `error` after it."""
    out = io.StringIO()
    hook = LogEvents(stderr_logger(secrets, level=level, file=out))
    sync = PureSync(slice_of(people(3)))
    process = sync.run()
    retry = e.RetryScheduled(
        action="fetch", cause="timeout", error=error, attempt=1, wait_s=1.0, retry_at=EPOCH, cursor=50
    )
    for recorded in [*sync.recorded, e.Recorded(stream="p1", version=9, at=EPOCH, event=retry)]:
        hook(process, recorded)
    return out.getvalue().splitlines()


def test_each_event_is_one_line_with_its_process_and_version() -> None:
    found = lines([])
    assert [line.split("syncfsm.")[1].split()[0] for line in found] == [
        "SyncStarted", "FetchingBegan", "PageFetched", "PageDelivered", "SyncCompleted", "RetryScheduled",
    ]  # fmt: skip
    assert all("process=p1" in line and "version=" in line for line in found)


def test_ids_are_left_to_the_log() -> None:
    assert not any("r00001" in line for line in lines([]))


def test_only_what_matters_passes_a_higher_level() -> None:
    (line,) = lines([], level="warning")
    assert "RetryScheduled" in line


def test_secrets_are_taken_out_wherever_they_stand() -> None:
    found = "\n".join(lines(["hunter2", ""], error="refused hunter2 (hunter2)"))
    assert "hunter2" not in found
    assert "refused [redacted] ([redacted])" in found


def test_a_hook_that_is_guarded_stops_nothing_and_says_once_what_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_process: Process, recorded: e.Recorded) -> None:
        raise (ValueError if recorded.version < 4 else OSError)("jane@example.com hunter2")

    hook = Guarded(broken)
    sync = PureSync(slice_of(people(3)))
    sync.run()
    for recorded in sync.recorded:
        hook(sync.process, recorded)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "Guarded(broken) raised ValueError at SyncStarted, version 1 of process p1" in caplog.text
    assert (hook.errors, str(hook.last_error)) == (5, "jane@example.com hunter2")
    assert "hunter2" not in caplog.text


def test_a_log_line_that_cannot_be_written_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    hook = LogEvents(stderr_logger(file=out))
    out.close()
    sync = PureSync(slice_of(people(3)))
    hook(sync.process, sync.recorded[0])
    assert hook.errors == 1
    assert "LogEvents raised ValueError" in caplog.text


def test_ctrl_c_passes_through_a_guard() -> None:
    def interrupted(_process: Process, _recorded: e.Recorded) -> None:
        raise KeyboardInterrupt

    sync = PureSync(slice_of(people(3)))
    with pytest.raises(KeyboardInterrupt):
        Guarded(interrupted)(sync.process, sync.recorded[0])

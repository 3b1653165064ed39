"""What to do after a failure is known for every kind of failure, whoever asks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.failure import RETRYABLE, FailureKind
from syncfsm.core.process import Process, fold
from syncfsm.explain.advice import LogName, steps
from tests.contracts.event_log import STARTED
from tests.pure import EPOCH

BY_THE_CLI = replace(STARTED, sink="sqlite:contacts.db")


def failed(reason: str) -> Process:
    """A process that failed in its checks."""
    over = e.SyncFailed(action="check", reason=reason, error="It went wrong.", resumable=True, cursor=None)
    recorded = [
        e.Recorded(stream="p", version=n, at=EPOCH, event=event) for n, event in ((1, BY_THE_CLI), (2, over))
    ]
    process = fold(None, recorded)
    assert process is not None
    return process


LASTING = sorted(set(FailureKind) - RETRYABLE)


@pytest.mark.parametrize("kind", LASTING)
def test_each_failure_that_waiting_cannot_cure_has_advice_of_its_own(kind: FailureKind) -> None:
    (step, *_) = steps(failed(kind), LogName(path="sync.db"))
    assert not step.words.startswith("Mend the cause")
    assert step.command
    assert step.command.startswith("syncfsm sync --source attio ")


def test_one_that_nobody_knows_is_to_be_mended_and_gone_on_with() -> None:
    (step,) = steps(failed("of_another_time"), LogName(path="sync.db"))
    assert step.words == "Mend the cause, then go on where it stopped; nothing is lost."


def test_where_a_cursor_is_lost_the_way_out_is_to_start_anew() -> None:
    again, anew = steps(failed("cursor_lost"), LogName(path="sync.db"))
    assert again.command
    assert "--fresh" not in again.command
    assert anew.command
    assert anew.command.endswith(" --fresh")


def test_one_that_may_be_under_way_says_how_old_its_last_event_is_and_what_goes_on_without_a_worker() -> None:
    active = fold(None, [e.Recorded(stream="p", version=1, at=EPOCH, event=BY_THE_CLI)])
    assert active is not None
    watch, again = steps(active, LogName(path="sync.db"), 0.0, 185.2)
    assert watch.words == "It is under way; its last event was 3 min 5 s ago: watch it."
    assert again.words == "If no worker runs, the same command goes on."
    assert again.command == "syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db"

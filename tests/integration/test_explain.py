"""A log of a sync that failed, and nothing else: `explain` alone tells the page, the cause and what to do."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from syncfsm.cli import main
from syncfsm.core import events as e
from syncfsm.core.options import Options
from syncfsm.engine.commit import cancel, commit
from syncfsm.explain import explain, lines
from syncfsm.log import open_log
from syncfsm_simulator.stage.faults import Strike
from tests.planted import CHECKS, planted, strikes
from tests.pure import PureSync, people, slice_of

AGAIN = "syncfsm sync --source attio --base-url http://127.0.0.1:8787 --sink sqlite:contacts.db --log sync.db"

PLANTED: dict[str, tuple[list[Strike], dict[str, Any], tuple[str, ...]]] = {
    # what is planted: the strikes, the setting, and the words that have to be there
    "a wrong key": (
        strikes("unauthorized", 0),
        {},
        ("While checking key, object and sink", "does not accept the key", "Set ATTIO_API_KEY", AGAIN),
    ),
    "a key that is revoked midway": (
        strikes("unauthorized", CHECKS + 7),
        {},
        ("fetching page 8 (rows from offset 350)", "does not accept the key", "Set ATTIO_API_KEY", AGAIN),
    ),
    "a scope that is missing": (
        [],
        {"scopes": frozenset({"object_configuration:read"})},
        ("While checking", "record_permission", "Give the key the scopes that it lacks", AGAIN),
    ),
    "an object that is not there": (
        [],
        {"object_": "persons"},
        ("While checking", "persons", "Name an object that the source has", " --object NAME --sink"),
    ),
    "a rate limit that never ends": (
        strikes("limited_seconds", CHECKS + 3, 8),
        {},
        (
            "fetching page 4 (rows from offset 150)",
            "429",
            "The limit that ended it: attempts_max = 8",
            "failed 8 times in a row",
            "first rate_limited at version",
            "waiting for rate limits",
            AGAIN,
            f"{AGAIN} --set attempts_max=16",
        ),
    ),
    "more waiting than allowed": (
        strikes("limited_score", CHECKS + 2, 3),
        {"options": Options(waiting_s_max=25)},
        (
            "fetching page 3",
            "The limit that ended it: waiting_s_max = 25",
            "2 retries after rate_limited",
            f"{AGAIN} --set waiting_s_max=50",
        ),
    ),
    "a longer wait than one may be": (
        strikes("limited_far", CHECKS + 2),
        {},
        (
            "fetching page 3",
            "until 2027-01-01 00:00:01 UTC, which looks like a mistake of its own",
            "The limit that ended it: wait_s_max = 300",
            "It gave up at once, since no wait may be so long",
            "Run again once it may be asked",
            f"{AGAIN} --set wait_s_max=31536000",
        ),
    ),
    "an API that is down": (
        strikes("error_503", CHECKS + 19, 8),
        {},
        ("fetching page 20 (rows from offset 950)", "503", "first unavailable", "answers again", AGAIN),
    ),
    "answers that are cut short": (
        strikes("malformed", CHECKS + 5, 8),
        {},
        ("fetching page 6 (rows from offset 250)", "cut short", "first malformed", AGAIN),
    ),
    "a body that is far too large": (
        strikes("oversized", CHECKS + 1),
        {},
        ("fetching page 2", "Ask for smaller pages", f"{AGAIN} --page-size 25"),
    ),
    "records that the sink refuses": (
        strikes("sink_refuses_all", 2),
        {},
        (
            "delivering page 3 (rows from offset 100)",
            "50 records: refused by the simulated sink (",
            "The limit that ended it: reject_ratio_max = 0.01",
            "syncfsm log rejects sync.db ",
            f"{AGAIN} --set reject_ratio_max=",
        ),
    ),
    "a sink whose disk is full": (
        [],
        {"pages_of_disk": 40},
        ("delivering page", "its first record", "disk is full", "Let the sink be written again", AGAIN),
    ),
    "a sink that stays locked": (
        strikes("sink_locked", 4, 8),
        {},
        ("delivering page 5 (rows from offset 200", "locked", "attempts_max = 8", AGAIN),
    ),
    "a source that ignores the order": (
        [],
        {"honours_sorts": False},
        ("fetching page 1", "order", "Start anew in the order", f"{AGAIN} --order id"),
    ),
    "rows that go away faster than they are read": (
        [Strike(kind="page_deleted", at=CHECKS + at) for at in range(3, 9)],
        {"options": Options(step_backs_max=0)},
        (
            "fetching page",
            "The limit that ended it: step_backs_max = 0",
            "a time when fewer rows come and go",
            f"{AGAIN} --set step_backs_max=1",
        ),
    ),
}  # fmt: skip


def told(path: str, status: int) -> str:
    """Return what the command says, run where the log is."""
    runner = CliRunner()
    folder = Path(path).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = runner.invoke(main, ["explain", Path(path).name])
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.mark.parametrize("what", PLANTED)
def test_explain_alone_names_the_page_the_cause_and_the_next_command(what: str, tmp_path: Path) -> None:
    script, setting, words = PLANTED[what]
    text = told(planted(tmp_path, script, **setting), status=1)
    assert [word for word in words if word not in text] == [], text
    assert "FAILED at version" in text


def test_a_sync_whose_worker_was_killed_is_under_way_and_can_go_on(tmp_path: Path) -> None:
    text = told(planted(tmp_path, strikes("crash_before_upsert", 6)), status=5)
    assert "Due: deliver the 50 records of the page to the sink" in text
    assert "nothing was recorded for" in text
    assert "If none is, go on where it stopped" in text
    assert AGAIN in text


def test_a_sync_that_is_complete_has_nothing_left_to_do(tmp_path: Path) -> None:
    text = told(planted(tmp_path), status=0)
    assert "COMPLETED at version" in text
    assert "20 pages done, 1,000 records fetched, 1,000 delivered" in text
    assert text.endswith("next      nothing: all is done.\n")


def test_a_complete_sync_with_rejects_says_how_to_send_them_again(tmp_path: Path) -> None:
    text = told(planted(tmp_path, strikes("sink_refuses_one", 3)), status=0)
    assert "1 record: refused by the simulated sink (" in text
    assert "syncfsm log rejects sync.db" in text
    assert "syncfsm retry-rejects" in text


def test_a_cancelled_sync_says_by_whom_and_why(tmp_path: Path) -> None:
    path = planted(tmp_path, strikes("crash_before_request", 9))
    with open_log(path) as log:
        cancel(log, log.ids()[0], by="ops", why="wrong workspace")
    text = told(path, status=4)
    assert "SyncCancelled: by ops: wrong workspace." in text


def test_all_the_time_is_accounted_for(tmp_path: Path) -> None:
    script = [*strikes("limited_seconds", 4, 2), *strikes("error_500", 9), *strikes("slow", 14)]
    path = planted(tmp_path, script)
    with open_log(path, read_only=True) as log:
        account = explain(log, log.ids()[0], path)
    parts = {name: getattr(account.spent, name) for name in account.spent.__struct_fields__}
    total_s = parts.pop("total_s")
    assert total_s == pytest.approx(sum(parts.values()))
    assert total_s == pytest.approx((account.process.updated_at - account.process.started_at).total_seconds())
    assert parts["rate_limited_s"] > 2
    assert account.causes == {"rate_limited": 2, "unavailable": 1}
    assert account.slowest_page is not None
    assert account.slowest_page[1] > 5  # the slow answer
    assert parts["idle_s"] < 0.1


def test_for_machines_the_account_is_one_object(tmp_path: Path) -> None:
    path = planted(tmp_path, strikes("unauthorized", CHECKS + 7))
    result = CliRunner().invoke(main, ["explain", path, "--json"])
    account = json.loads(result.stdout)
    assert (account["state"], account["ending"]["place"]["page"]) == ("FAILED", 8)
    assert account["steps"][0]["command"].startswith("syncfsm sync ")


@pytest.mark.parametrize(("after_s", "is_silent"), [(120, False), (250, False), (400, True)])
def test_a_wait_that_was_scheduled_is_no_silence(after_s: int, is_silent: bool) -> None:
    sync = PureSync(slice_of(people(20)), page_size=5)
    sync.run()
    with open_log(":memory:") as log:
        process = None
        for recorded in sync.recorded[:4]:
            process = commit(log, process, "p1", (recorded.event,), at=recorded.at)
        assert process is not None
        now = process.updated_at
        retry = e.RetryScheduled(
            action="fetch", cause="rate_limited", error="patience.", attempt=1, wait_s=280.0,
            retry_at=now + timedelta(seconds=280), cursor=5,
        )  # fmt: skip
        commit(log, process, "p1", (retry,), at=now)
        steps = explain(log, "p1", "sync.db", now=now + timedelta(seconds=after_s)).steps
    assert ("under way" in steps[0].words) is not is_silent


def test_a_worker_that_died_before_a_failure_is_missed(tmp_path: Path) -> None:
    sync = PureSync(slice_of(people(20)), page_size=5)
    sync.run()
    failed = e.SyncFailed(action="fetch", reason="unauthorized", error="no.", resumable=True, cursor=5)
    with open_log(":memory:") as log:
        process = None
        for recorded in sync.recorded[:4]:
            process = commit(log, process, "p1", (recorded.event,), at=recorded.at)
        assert process is not None
        commit(log, process, "p1", (failed,), at=process.updated_at + timedelta(days=3))
        account = explain(log, "p1", "sync.db")
    assert account.spent.idle_s > 2 * 86400
    assert "No worker was on it for 2 d 23 h" in "\n".join(lines(account))

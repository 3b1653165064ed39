"""Each invariant, and each criterion, can fail: a run is tampered with just before it is judged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncfsm.core.events import RetryScheduled
from syncfsm.core.machine import State
from syncfsm.log import open_log
from syncfsm_simulator.runs import run as run_module
from syncfsm_simulator.runs.criteria import CRITERIA
from syncfsm_simulator.runs.invariants import INVARIANTS, Check, Run, Violation, violations
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.effects.mistakes import QUOTED
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.stage.set_up import KEY

SCENARIO = Scenario(
    people=300, page_size=20, criteria=True, faults=FaultRates(unavailable=0.2), changes=ChangeRates()
)


def edit(run: Run, statement: str) -> None:
    connection = run.log._connection  # type: ignore[attr-defined]
    connection.execute("DROP TRIGGER IF EXISTS events_refuse_update")
    connection.execute("DROP TRIGGER IF EXISTS events_refuse_unpruned")
    connection.execute(statement)


def an_engine_failed(run: Run) -> None:
    try:
        int("surprise")
    except ValueError as error:
        run.surprise = error


def somebody_is_missing(run: Run) -> None:
    run.contacts.execute("DELETE FROM contacts WHERE external_id = (SELECT min(external_id) FROM contacts)")


def somebody_alive_is_deleted(run: Run) -> None:
    run.contacts.execute("UPDATE contacts SET deleted_at = synced_at")


def somebody_is_changed(run: Run) -> None:
    run.contacts.execute("UPDATE contacts SET role = 'somebody else'")


def a_company_is_forgotten(run: Run) -> None:
    run.contacts.execute("UPDATE contacts SET company = NULL")


def a_field_was_lost(run: Run) -> None:
    people = run.world.entities("people")
    somebody = next(record_id for record_id in sorted(people) if people[record_id].active("email_addresses"))
    run.blanked = frozenset({(somebody, "emails")})


def somebody_is_doubled(run: Run) -> None:
    run.contacts.execute(
        "INSERT INTO contacts SELECT external_id, 'twin', first_name, last_name, company, role, "
        "phone_numbers, emails, source_url, synced_at, NULL FROM contacts LIMIT 1"
    )


def the_mark_is_older(run: Run) -> None:
    run.marks = tuple(replace(mark, process="another") for mark in run.marks)


def a_page_came_again(run: Run) -> None:
    pages = [recorded.event for recorded in run.recorded() if recorded.type == "PageFetched"]
    old, new = pages[1].record_ids[0], pages[0].record_ids[0]  # type: ignore[attr-defined]
    edit(run, f"UPDATE events SET data = replace(data, '{old}', '{new}') WHERE type = 'PageFetched'")
    del run.histories


def a_digest_is_wrong(run: Run) -> None:
    edit(run, "UPDATE events SET digest = 'x' WHERE version = 3")


def a_count_is_off(run: Run) -> None:
    edit(run, "UPDATE events SET data = replace(data, '\"created\":20,', '\"created\":19,')")


def a_page_was_skipped(run: Run) -> None:
    edit(run, "UPDATE events SET data = replace(data, '\"cursor\":20,', '\"cursor\":21,')")


def a_page_came_from_elsewhere(run: Run) -> None:
    edit(run, "UPDATE events SET data = replace(data, '\"offset\":20,', '\"offset\":21,')")


def it_never_finished(run: Run) -> None:
    run.process = replace(run.process, state=State.FETCHING)


def it_took_too_long(run: Run) -> None:
    run.calmed_at = run.ended_at - timedelta(seconds=run.scenario.finish_s_max + 1)


def it_asked_too_early(run: Run) -> None:
    place = next(
        index
        for index, entry in enumerate(run.timeline)
        if not isinstance(entry, Asked) and isinstance(entry.event, RetryScheduled)
    )
    asked = run.timeline[place + 1]
    assert isinstance(asked, Asked)
    run.timeline[place + 1] = replace(asked, at=asked.at - timedelta(seconds=1))


def a_server_was_asked_too_early(run: Run) -> None:
    asked = next(entry for entry in run.timeline if isinstance(entry, Asked))
    run.timeline.append(replace(asked, not_before=asked.true_at + timedelta(seconds=1)))


def it_slept_too_long(run: Run) -> None:
    asked = next(entry for entry in run.timeline if isinstance(entry, Asked))
    run.timeline.append(replace(asked, slept=(7200.0,)))


def a_request_took_too_long(run: Run) -> None:
    edit(run, "UPDATE events SET data = json_set(data, '$.elapsed_ms', 300000) WHERE type = 'PageFetched'")


def a_watermark_is_ahead(run: Run) -> None:
    edit(
        run,
        "UPDATE events SET data = json_set(data, '$.as_of', '2026-01-02T00:00:00Z') "
        "WHERE type = 'PageFetched'",
    )


def it_asked_too_often(run: Run) -> None:
    asked = next(entry for entry in run.timeline if isinstance(entry, Asked))
    run.timeline += [asked] * run.scenario.reads_per_s


def it_waited_too_long(run: Run) -> None:
    edit(run, "UPDATE events SET data = json_set(data, '$.wait_s', 301.5) WHERE type = 'RetryScheduled'")


def it_waited_too_long_in_all(run: Run) -> None:
    edit(
        run,
        "UPDATE events SET data = json_set(data, '$.options.waiting_s_max', 0.5) WHERE type = 'SyncStarted'",
    )


def it_failed_for_good(run: Run) -> None:
    edit(
        run,
        """UPDATE events SET type = 'SyncFailed', data = '{"action": "fetch", "reason": "x", "error": "x",
        "resumable": false, "cursor": null}' WHERE type = 'SyncCompleted'""",
    )


def the_key_is_in_the_log(run: Run) -> None:
    edit(run, f"""UPDATE events SET meta = '{{"key": "{KEY}"}}' WHERE version = 1""")


def the_key_is_in_the_sink(run: Run) -> None:
    run.contacts.execute(f"UPDATE contacts SET role = 'has {KEY}'")


def an_error_is_quoted(run: Run) -> None:
    edit(run, f"""UPDATE events SET data = json_set(data, '$.object', '{QUOTED}') WHERE version = 1""")


def our_code_raised(run: Run) -> None:
    edit(
        run,
        """UPDATE events SET type = 'SyncFailed', data = '{"action": "fetch", "reason": "raised",
        "error": "the source raised KeyError in source.py, line 7.", "resumable": true, "cursor": null}'
        WHERE type = 'SyncCompleted'""",
    )


def a_page_is_uncounted(run: Run) -> None:
    progress = run.process.progress
    run.process = replace(run.process, progress=replace(progress, pages=progress.pages + 1))


def it_met_a_rate_limit(run: Run) -> None:
    run.process = replace(run.process, progress=replace(run.process.progress, rate_limited=1))


def it_took_half_an_hour(run: Run) -> None:
    ended_at = run.process.started_at + timedelta(minutes=30)
    run.process = replace(run.process, updated_at=ended_at)


def many_were_rejected(run: Run) -> None:
    run.process = replace(run.process, progress=replace(run.process.progress, rejected=3))


SABOTAGE: list[tuple[str, Callable[[Run], None]]] = [
    ("no_surprise", an_engine_failed),
    ("no_surprise", our_code_raised),
    ("nothing_lost", somebody_is_missing),
    ("nobody_alive_is_deleted", somebody_alive_is_deleted),
    ("nothing_twice", a_page_came_again),
    ("nothing_twice", somebody_is_doubled),
    ("sink_is_world", somebody_is_changed),
    ("companies_are_named", a_company_is_forgotten),
    ("no_field_blanked", a_field_was_lost),
    ("sink_knows_itself", the_mark_is_older),
    ("log_is_sound", a_digest_is_wrong),
    ("totals_add_up", a_count_is_off),
    ("pages_are_contiguous", a_page_was_skipped),
    ("events_answer_actions", a_page_came_from_elsewhere),
    ("it_ends", it_never_finished),
    ("it_ends", it_took_too_long),
    ("retries_wait", it_asked_too_early),
    ("waits_are_bounded", it_waited_too_long),
    ("waits_are_bounded", it_waited_too_long_in_all),
    ("servers_are_heeded", a_server_was_asked_too_early),
    ("sleeps_are_decided", it_slept_too_long),
    ("requests_are_bounded", a_request_took_too_long),
    ("watermarks_are_past", a_watermark_is_ahead),
    ("rate_is_kept", it_asked_too_often),
    ("failures_are_resumable", it_failed_for_good),
    ("no_secret_shows", the_key_is_in_the_log),
    ("no_secret_shows", the_key_is_in_the_sink),
    ("nobody_is_quoted", an_error_is_quoted),
    ("progress_is_tracked", a_page_is_uncounted),
    ("everybody_arrives", somebody_is_missing),
    ("nobody_twice", somebody_is_doubled),
    ("fast_enough", it_took_half_an_hour),
    ("no_rate_limit_hit", it_met_a_rate_limit),
    ("few_errors", many_were_rejected),
]


def violated(monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[Run], None]) -> set[str]:
    """Return what fails when a run is tampered with just before it is judged."""

    def tampered(run: Run, checks: tuple[Check, ...]) -> list[Violation]:
        sabotage(run)
        return violations(run, checks)

    monkeypatch.setattr(run_module, "violations", tampered)
    with open_log(":memory:") as log:
        verdict = simulate(SCENARIO, 3, log)
    return {violation.invariant for violation in verdict.violations}


@pytest.mark.parametrize(("name", "sabotage"), SABOTAGE, ids=lambda part: getattr(part, "__name__", part))
def test_it_fails_when_it_is_broken(
    monkeypatch: pytest.MonkeyPatch, name: str, sabotage: Callable[[Run], None]
) -> None:
    assert name in violated(monkeypatch, sabotage)


def test_tampering_shows_fails_where_nobody_looks_at_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncfsm_simulator.runs.tampering.verify", lambda _log: (0, []))
    monkeypatch.setattr("syncfsm_simulator.runs.tampering.Audit.findings", lambda _audit: [])
    assert violated(monkeypatch, lambda _run: None) == {"tampering_shows"}


def test_every_invariant_and_every_criterion_is_broken_by_a_test() -> None:
    names = {check.__name__ for check in (*INVARIANTS, *CRITERIA)}
    assert names == {name for name, _ in SABOTAGE} | {"tampering_shows"}


def test_nothing_fails_when_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violated(monkeypatch, lambda _run: None) == set()


def test_only_it_ends_speaks_of_liveness() -> None:
    phases = {check.__name__: Violation(check.__name__, "", "").phase for check in INVARIANTS}
    assert [name for name, phase in phases.items() if phase == "liveness"] == ["it_ends"]

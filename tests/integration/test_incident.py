"""A scenario made of a log: what is in it, what is not, how it ends, and what editing it changes."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from syncfsm.cli import main
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.errors import NotReproducible
from syncfsm.history.replay import moments
from syncfsm.log import EventLog, open_log
from syncfsm.sources.protocol import Page, Record
from syncfsm_simulator.incidents.from_log import to_scenario
from syncfsm_simulator.incidents.playing import strays
from syncfsm_simulator.runs.run import Verdict, simulate
from syncfsm_simulator.stage.incident import Incident, Script, Step
from syncfsm_simulator.stage.scenario import Scenario, from_toml, to_toml
from tests.fakes import DOWN, WRONG_KEY, DictSink, Item, ListSource, TestClock, to_items

LIMITED = Failure(kind=FailureKind.RATE_LIMITED, message="ada@example.com asked too often", retry_after_s=2)


class Production:
    """A sync as an embedding program runs it, with a log of its own."""

    def __init__(self, people: int, *, page_size: int = 10) -> None:
        self.clock = TestClock()
        self.source = ListSource(self.clock, people)
        self.sink = DictSink()
        self.log: EventLog = open_log(":memory:")
        self.page_size = page_size

    @property
    def engine(self) -> Engine[Item]:
        return Engine(self.log, self.source, self.sink, to_items, clock=self.clock)

    def sync(self, options: Options | None = None) -> Process:
        return asyncio.run(self.engine.sync(page_size=self.page_size, options=options))

    def scenario(self, process_id: str | None = None) -> Scenario:
        process_id = process_id or self.log.ids()[-1]
        history = list(moments(self.log, process_id))
        scenario = from_toml(to_toml(to_scenario(history)), "of a process")
        assert strays(scenario, self.log.read(process_id)) is None
        return scenario


def play(scenario: Scenario) -> Verdict:
    with open_log(":memory:") as log:
        return simulate(scenario, 1, log)


def steps_of(scenario: Scenario) -> tuple[Step, ...]:
    assert scenario.incident is not None
    return scenario.incident.steps


def without(scenario: Scenario, *places: int) -> Scenario:
    """Return a scenario as somebody edits it who deletes steps."""
    assert scenario.incident is not None
    steps = tuple(step for place, step in enumerate(steps_of(scenario)) if place not in places)
    return replace(scenario, incident=replace(scenario.incident, steps=steps))


def failed_sync() -> Production:
    """5,000 people, three 429s, and a key that is refused from page 40 on."""
    production = Production(5000, page_size=50)
    answers = iter([*[None] * 12, LIMITED, LIMITED, *[None] * 9, LIMITED, *[None] * 19, WRONG_KEY])
    fetch = production.source.fetch

    async def sometimes(request: PageRequest) -> Page | Failure:
        return next(answers) or await fetch(request)

    production.source.fetch = sometimes  # type: ignore[method-assign]
    production.sync()
    return production


def test_an_ordinary_incident_is_a_few_lines() -> None:
    scenario = failed_sync().scenario()
    assert scenario.about == (
        "From the log of a sync: FAILED (unauthorized) after 40 pages, 2,000 records, 3 retries, 0 shifts, "
        "0 rejects."
    )
    assert [(step.page, step.action, step.fails) for step in steps_of(scenario)] == [
        (12, "fetch", "rate_limited"),
        (12, "fetch", "rate_limited"),
        (21, "fetch", "rate_limited"),
        (40, "fetch", "unauthorized"),
    ]
    assert len(to_toml(scenario).splitlines()) < 20


def test_nothing_of_anybody_is_in_it() -> None:
    production = failed_sync()
    text = to_toml(production.scenario())
    stored = "".join(row.data for row in production.log.stored_events())
    planted = ("ada@example.com", "r00007", "wrong")
    assert all(word in stored for word in planted)
    assert not any(word in text for word in (*planted, "dict", production.log.ids()[0]))


def test_it_ends_as_the_sync_ended() -> None:
    verdict = play(failed_sync().scenario())
    assert (verdict.process.state, verdict.violations) == (State.FAILED, [])
    assert verdict.process.failure is not None
    assert verdict.process.failure.reason == "unauthorized"


def test_without_the_step_that_failed_it_completes() -> None:
    scenario = failed_sync().scenario()
    verdict = play(replace(without(scenario, 3), people=5000))
    assert (verdict.process.state, verdict.violations) == (State.COMPLETED, [])
    assert (verdict.process.progress.delivered, verdict.process.progress.rate_limited) == (5000, 3)


def test_a_step_that_is_deleted_leaves_the_others_where_they_were() -> None:
    scenario = failed_sync().scenario()
    with open_log(":memory:") as log:
        verdict = simulate(without(scenario, 0), 1, log)
        troubles = [
            (moment.after.progress.pages, moment.recorded.type)
            for moment in moments(log, verdict.process.id)
            if moment.recorded.type in {"RetryScheduled", "SyncFailed"}
        ]
    assert troubles == [(12, "RetryScheduled"), (21, "RetryScheduled"), (40, "SyncFailed")]


def test_with_a_limit_raised_it_gets_past_the_limit() -> None:
    production = Production(30)
    production.source.failures = [LIMITED] * 3
    production.sync(Options(attempts_max=3))
    scenario = production.scenario()
    assert scenario.incident is not None
    assert play(scenario).process.state is State.FAILED
    options = replace(scenario.incident.options, attempts_max=8)
    raised = play(replace(scenario, incident=replace(scenario.incident, options=options)))
    assert (raised.process.state, raised.process.progress.retries) == (State.COMPLETED, 3)


def test_a_sync_that_was_resumed_with_other_limits_and_another_page_size() -> None:
    production = Production(100)
    production.sink.refused = {record.id for record in production.source.records[::4]}
    failed = production.sync()
    assert failed.failure is not None
    assert failed.failure.reason == "reject_ratio_max"
    production.engine.resume(
        failed.id, page_size=25, options=Options(reject_ratio_max=1.0), why="Ada said so"
    )
    asyncio.run(production.engine.run(failed.id))
    scenario = production.scenario()
    assert "Ada" not in to_toml(scenario)
    verdict = play(scenario)
    assert (verdict.process.state, verdict.process.page_size) == (State.COMPLETED, 25)
    assert verdict.process.progress.rejected == 25


def test_a_retry_of_rejects_with_some_gone_and_some_refused_again() -> None:
    production = Production(60)
    production.sink.refused = {"r00001", "r00005", "r00009", "r00030", "r00031"}
    production.sync()
    production.source.records = [record for record in production.source.records if record.id != "r00005"]
    production.sink.refused = {"r00009"}
    retry = production.engine.retry_rejects(page_size=2)
    assert retry is not None
    asyncio.run(production.engine.run(retry.id))
    scenario = production.scenario()
    process = play(scenario).process
    assert (process.mode, process.state) == ("rejects", State.COMPLETED)
    assert (process.progress.delivered, process.progress.rejected) == (3, 2)


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_sync_that_is_active_ends_where_its_log_does(turns: int) -> None:
    production = Production(60)
    process = production.engine.start(page_size=10)
    for _ in range(turns):
        process = asyncio.run(production.engine.step(process.id))
    scenario = production.scenario()
    assert steps_of(scenario)[-1].happens == "end"
    verdict = play(scenario)
    assert (verdict.process.state, verdict.process.version) == (process.state, process.version)
    assert verdict.violations == []


def test_a_sync_that_was_cancelled() -> None:
    production = Production(60)
    process = asyncio.run(production.engine.step(production.engine.start(page_size=10).id))
    production.engine.cancel(process.id, by="Ada", why="wrong workspace")
    scenario = production.scenario()
    assert steps_of(scenario)[-1].happens == "cancelled"
    assert play(scenario).process.state is State.CANCELLED


@pytest.mark.parametrize(
    "kind", [kind for kind in FailureKind if not Failure(kind=kind, message="").is_retryable]
)
@pytest.mark.parametrize("place", ["check", "fetch", "deliver"])
def test_every_failure_that_waiting_cannot_cure(kind: FailureKind, place: str) -> None:
    production = Production(30)
    failures = {
        "check": production.source.check_failures,
        "fetch": production.source.failures,
        "deliver": production.sink.failures,
    }
    failures[place].append(Failure(kind=kind, message="no"))
    production.sync()
    process = play(production.scenario()).process
    assert process.failure is not None
    assert (process.failure.action, process.failure.reason) == (place, kind.value)


class Odd(ListSource):
    """A source that pages in a way of its own."""

    def __init__(self, clock: TestClock, rows: list[Record]) -> None:
        super().__init__(clock, 0)
        self.rows = rows
        self.options = Options(stalled_rows_max=20, step_backs_max=3)

    async def fetch(self, request: PageRequest) -> Page | Failure:
        return Page(records=tuple(self.answer(request)), as_of=self.clock.now())

    def answer(self, request: PageRequest) -> list[Record]:
        raise NotImplementedError


class Deaf(Odd):
    """It always answers from the start."""

    def answer(self, request: PageRequest) -> list[Record]:
        return self.rows[: request.limit]


class Moving(Odd):
    """From some page on its rows are never seen twice: where one was, there is another."""

    def answer(self, request: PageRequest) -> list[Record]:
        self.requests.append(request)
        if len(self.requests) <= 12:
            return self.rows[request.offset : request.offset + request.limit]
        name = f"m{len(self.requests)}"
        return [
            Record(id=f"{name}-{place}", key=f"{70 - place:05}", raw=b"good")
            for place in range(request.limit)
        ]


class Upside(Odd):
    """It answers the other way round."""

    def answer(self, request: PageRequest) -> list[Record]:
        return self.rows[request.offset : request.offset + request.limit][::-1]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(Deaf, "stalled_rows_max"), (Moving, "step_backs_max"), (Upside, "unordered")],
)
def test_sources_that_page_in_a_way_of_their_own(kind: type[Odd], reason: str) -> None:
    production = Production(200)
    production.source = kind(production.clock, production.source.records)
    process = production.sync()
    assert process.failure is not None
    assert process.failure.reason == reason
    again = play(production.scenario()).process
    assert again.failure is not None
    assert again.failure.reason == reason


def test_a_source_that_returns_records_nobody_asked_for() -> None:
    production = Production(20)
    production.sink.refused = {"r00003"}
    production.sync()
    production.source = Upside(production.clock, production.source.records)
    retry = production.engine.retry_rejects()
    assert retry is not None
    failed = asyncio.run(production.engine.run(retry.id))
    assert failed.failure is not None
    assert failed.failure.reason == "unasked"
    again = play(production.scenario()).process
    assert again.failure is not None
    assert again.failure.reason == "unasked"


# ── what cannot be made to come again ────────────────────────────────────────────────────────


def test_an_event_that_no_rule_of_today_makes_is_named() -> None:
    history = list(moments((production := failed_sync()).log, production.log.ids()[0]))
    place = next(at for at, moment in enumerate(history) if moment.recorded.type == "PageFetched")
    recorded = history[place].recorded
    odd = replace(recorded, event=replace(recorded.event, limit=7))
    history[place] = replace(history[place], recorded=odd)
    with pytest.raises(NotReproducible, match=r"version 3 \(PageFetched\) of process \w+ cannot be made"):
        to_scenario(history)


class Cursors(ListSource):
    """A list whose pages are named by their places, in the order of ids."""

    options = Options(pagination="cursor")

    async def fetch(self, request: PageRequest) -> Page | Failure:
        at = int(request.token or 0)
        rows = sorted(self.records, key=lambda record: record.id)[at : at + request.limit]
        sound = tuple(replace(row, key=row.id) for row in rows)
        end = at + request.limit
        token = str(end) if end < len(self.records) else None
        return Page(records=sound, as_of=self.clock.now(), next_token=token)


class Numbers(ListSource):
    """A list whose pages have numbers."""

    options = Options(pagination="page", limit_max=100)


def test_a_process_that_followed_cursors_is_refused_by_what_it_did() -> None:
    production = Production(95)
    production.source = Cursors(production.clock, 95)
    process = asyncio.run(production.engine.sync(page_size=10, order="id"))
    assert process.state is State.COMPLETED
    with pytest.raises(NotReproducible, match="a process that followed cursors cannot be made a scenario"):
        production.scenario()


def test_a_process_whose_pages_have_numbers_comes_again() -> None:
    production = Production(95)
    production.source = Numbers(production.clock, 95)
    production.source.failures = [DOWN] * 8
    assert production.sync().state is State.FAILED
    production.source.failures = []
    assert production.sync().state is State.COMPLETED
    again = play(production.scenario()).process
    assert (again.state, again.progress.fetched) == (State.COMPLETED, 95)


def test_a_reason_to_fail_that_is_not_known_is_named() -> None:
    history = list(moments((production := failed_sync()).log, production.log.ids()[0]))
    recorded = history[-1].recorded
    history[-1] = replace(
        history[-1], recorded=replace(recorded, event=replace(recorded.event, reason="fog"))
    )
    with pytest.raises(NotReproducible, match=r"\(SyncFailed\).*'fog' are not known here"):
        to_scenario(history)


# ── the script ───────────────────────────────────────────────────────────────────────────────


def test_a_step_waits_for_its_page_and_its_turn() -> None:
    late = Step(page=2, action="fetch", after=1, happens="crash")
    script = Script([late])
    assert [script.next(page, "fetch") for page in (0, 1, 2)] == [None, None, None]
    assert script.next(2, "deliver") is None
    assert script.next(2, "fetch") == late
    assert script.next(2, "fetch") is None


def test_steps_of_a_page_that_is_past_and_a_resume_that_nobody_needs_are_passed_over() -> None:
    due = Step(page=3, action="fetch", happens="crash")
    script = Script([Step(page=1, action="fetch", happens="end"), Step(page=3, action="resume"), due])
    assert script.next(3, "fetch") == due
    assert script.taken == [due]


# ── the command ──────────────────────────────────────────────────────────────────────────────


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


@pytest.fixture
def sim(tmp_path: Path) -> str:
    path = str(tmp_path / "sim.db")
    assert run("simulate", "hostile", "--seed", "12", "--log", path).exit_code == 0
    return path


def test_the_command_prints_a_scenario_that_simulate_takes(sim: str, tmp_path: Path) -> None:
    made = run("log", "scenario", sim)
    assert made.exit_code == 0
    file = tmp_path / "incident.toml"
    file.write_text(made.stdout)
    again = str(tmp_path / "again.db")
    played = run("simulate", str(file), "--log", again)
    assert played.exit_code == 0, played.output
    types = [
        [event["type"] for event in json.loads(run("log", "show", log, "--json").stdout)["events"]]
        for log in (sim, again)
    ]
    assert types[0] == types[1]


def test_the_command_speaks_json(sim: str) -> None:
    answer = json.loads(run("log", "scenario", sim, "--json").stdout)
    assert answer["checked"] is True
    assert from_toml(answer["scenario"], "of the answer").incident is not None


def test_a_process_that_is_not_there_is_wrong_use(sim: str) -> None:
    result = run("log", "scenario", sim, "nobody")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no process begins with 'nobody'" in result.stderr


def test_a_scenario_that_strays_is_not_printed_but_where(sim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Script, "next", lambda *_: None)  # an engine that heeds no step
    result = run("log", "scenario", sim)
    assert (result.exit_code, result.stdout) == (3, "")
    assert re.search(r"at version \d+ came", result.stderr)
    unchecked = run("log", "scenario", sim, "--no-check")
    assert unchecked.exit_code == 0
    assert "[incident]" in unchecked.stdout


def test_a_failed_incident_says_why_and_ends_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "incident.toml"
    file.write_text(to_toml(failed_sync().scenario()))
    result = run("simulate", str(file), "--log", ":memory:")
    assert result.exit_code == 1
    assert "failed      fetch: the script says so (unauthorized)." in result.stdout


def test_an_incident_is_refused_that_makes_no_sense(tmp_path: Path) -> None:
    file = tmp_path / "incident.toml"
    file.write_text('[[incident.steps]]\npage = 1\naction = "sleep"\n')
    result = run("simulate", str(file))
    assert result.exit_code == 2
    assert "$.incident.steps[0].action" in result.stderr
    assert Incident().steps == ()

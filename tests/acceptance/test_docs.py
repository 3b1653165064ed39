"""What the docs show is run."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import syncfsm
from syncfsm.core.failure import FailureKind
from syncfsm.explain import explain, lines
from syncfsm.history.replay import moments
from syncfsm.log import open_log
from syncfsm.sources import AttioSource, Record
from syncfsm.webhooks import WebhookWorker
from syncfsm_simulator.incidents.from_log import to_scenario
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.incident import Step
from syncfsm_simulator.stage.scenario import Scenario, from_toml
from tests.acceptance.conftest import KEY, Cli, Server
from tests.planted import CHECKS, planted, strikes
from tests.webhooks import SECRET, body_of, event, send, signed

ROOT = Path(__file__).parents[2]
Serve = Callable[..., Server]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def run_block(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "example", "exec"), names)
    return names


@pytest.fixture
def at_home(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A folder to write to, a key, and a fake where the examples look for Attio."""
    server = serve(130)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTIO_API_KEY", KEY)
    monkeypatch.setenv("ATTIO_BASE_URL", server.url)
    return server


def test_the_readmes_example_syncs_everybody(
    at_home: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(syncfsm, "AttioSource", partial(AttioSource, base_url=at_home.url))
    (example,) = blocks("README.md", "python")
    assert len(example.splitlines()) < 15
    run_block(example)
    assert capsys.readouterr().out == "COMPLETED 130 people\n"


def test_the_engine_of_the_embedding_page_runs(at_home: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run_block(blocks("docs/embedding.md", "python")[0])
    assert "COMPLETED" in capsys.readouterr().out
    assert len(Path("people.jsonl").read_text().splitlines()) == len(at_home.world.entities("people"))


def test_the_capture_and_the_rerun_of_the_privacy_page_bring_the_same(
    at_home: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks("docs/privacy.md", "python")
    run_block(example)
    assert "COMPLETED" in capsys.readouterr().out
    assert Path("again.jsonl").read_bytes() == Path("people.jsonl").read_bytes()


def test_the_sink_and_the_hook_of_the_embedding_page_work(
    at_home: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    _, sink_code, _, hook_code = blocks("docs/embedding.md", "python")
    sink = run_block(sink_code)["ListSink"]()
    source = AttioSource(KEY, base_url=at_home.url)
    with syncfsm.open_log(":memory:") as log:
        hook = run_block(hook_code)["print_pages"]
        process = syncfsm.sync(log, source, sink, syncfsm.AttioPeople(source), hooks=[hook], page_size=50)
    assert (process.state, len(sink.contacts)) == (syncfsm.State.COMPLETED, 130)
    assert capsys.readouterr().out.splitlines()[-1] == "3 pages, 130 people"


@pytest.mark.parametrize("block", range(4))
def test_the_hooks_of_the_telemetry_page_hear_of_a_sync_and_stop_nothing(at_home: Server, block: int) -> None:
    names = run_block(blocks("docs/telemetry.md", "python")[block])
    spans = InMemorySpanExporter()
    if "tracers" in names:
        names["tracers"].add_span_processor(SimpleSpanProcessor(spans))
    source = AttioSource(KEY, base_url=at_home.url)
    with syncfsm.open_log(":memory:") as log:
        sink = syncfsm.open_sink("jsonl:people.jsonl")
        process = syncfsm.sync(log, source, sink, syncfsm.AttioPeople(source), hooks=names["hooks"])
    for provider in ("tracers", "meters"):
        if provider in names:
            names[provider].shutdown()
    assert (process.state, process.progress.fetched) == (syncfsm.State.COMPLETED, 130)
    failing = [hook.errors for hook in names["hooks"] if type(hook).__name__ == "Guarded"]
    assert sum(hook.errors for hook in names["hooks"]) == sum(failing)
    assert failing == [process.version] * len(failing)
    if "tracers" in names:
        assert "sync" in {span.name for span in spans.get_finished_spans()}


def test_the_transform_of_the_embedding_page_works() -> None:
    ids_only = run_block(blocks("docs/embedding.md", "python")[2])["ids_only"]
    record = Record(id="r1", key="k", raw=b'{"web_url": "https://x.example"}')
    ready = asyncio.run(ids_only([record]))
    assert ready.items == ({"external_id": "r1", "url": "https://x.example"},)


def test_the_report_of_the_report_page_is_rendered(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli("simulate", "--people", "200", "--log", "sync.db")
    monkeypatch.chdir(cli.folder)
    (example,) = blocks("docs/report.md", "python")
    assert run_block(example)["report"].html.startswith("<!DOCTYPE html>")
    assert capsys.readouterr().out.startswith("1 ")


PAGES = "quickstart simulation replay report telemetry privacy quo modes configuration"
COMMAND_PAGES = ["README.md", *(f"docs/{page}.md" for page in PAGES.split())]


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_every_command_that_a_page_shows_runs(cli: Cli, serve: Serve, page: str) -> None:
    url = serve(30 if page == "docs/quo.md" else 1000).url  # into Quo go ten a second
    cli.env |= {"QUO_API_KEY": "any", "QUO_PARTNER_KEY": "any"}
    for text in blocks(page, "toml"):
        if "[incident]" not in text:
            (cli.folder / ("syncfsm.toml" if "[sync]" in text else "rough.toml")).write_text(text)
    commands = [
        (line.partition(" #")[0].split()[1:], int("".join(re.findall(r"# exits (\d)$", line)) or 0))
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("syncfsm ")
    ]
    assert len(commands) > 3
    for command, status in commands:
        if command[0] == "serve":
            _serves(cli, [*command, "--port", "0"])
            continue
        if command[0] in {"sync", "check", "retry-rejects", "watch", "webhooks"}:
            command += ["--base-url", url]
        if "quo:" in command:
            command += ["--quo-base-url", url]
        if command[0] in {"watch", "webhooks"}:
            _goes_on(cli, [*command, *(["--port", "0"] if command[0] == "webhooks" else [])])
            continue
        _runs(cli, _shortened(command), status)


def _runs(cli: Cli, command: list[str], status: int) -> None:
    """Run a command; `> FILE` at its end is done as a shell does it."""
    *words, arrow, name = [*command, "", ""] if ">" not in command else command
    assert arrow in {"", ">"}
    out, _ = cli(*words, status=status)
    if arrow:
        (cli.folder / name).write_text(out)


def incident_of_the_page() -> Scenario:
    (text,) = (block for block in blocks("docs/simulation.md", "toml") if "[incident]" in block)
    return from_toml(text, "of the page")


def test_the_incident_of_the_simulation_page_is_what_its_log_makes() -> None:
    scenario = incident_of_the_page()
    with open_log(":memory:") as log:
        verdict = simulate(scenario, 1, log)
        assert verdict.process.failure is not None
        assert verdict.process.failure.reason == "unauthorized"
        assert to_scenario(list(moments(log, verdict.process.id))) == scenario


def test_what_the_simulation_page_says_of_editing_an_incident_is_so() -> None:
    scenario = incident_of_the_page()
    assert scenario.incident is not None
    steps = scenario.incident.steps
    mended = replace(scenario, people=5000, incident=replace(scenario.incident, steps=steps[:-1]))
    locked = Step(page=2, action="deliver", fails=FailureKind.LOCKED)
    worse = replace(mended, incident=replace(scenario.incident, steps=(*steps[:-1], locked)))
    for edited, retries in ((mended, 3), (worse, 4), (replace(mended, page_size=20), 3)):
        with open_log(":memory:") as log:
            verdict = simulate(edited, 1, log)
        assert (verdict.process.state, verdict.violations) == (syncfsm.State.COMPLETED, [])
        assert verdict.process.progress.retries == retries
        assert (
            verdict.process.progress.delivered == 5000 - verdict.changes["deleted"] + 3
        )  # who had been read


def test_the_commands_of_the_page_on_logs_save_a_damaged_log(cli: Cli, serve: Serve) -> None:
    url = serve(200).url
    cli.sync(url, "--page-size", 50)  # so that the last page of the file has events
    (cli.folder / "damaged.db").write_bytes((cli.folder / "sync.db").read_bytes()[:-4096])
    lines = [line for block in blocks("docs/logs.md", "sh") for line in block.splitlines()]
    commands = [line.split()[1:] for line in lines if line.startswith("syncfsm log") and ".db" in line]
    assert len(commands) == 8
    (cli.folder / "backups").mkdir()
    for command in commands:
        cli(*command, status=3 if "damaged.db" in command else 0)


def _shortened(command: list[str]) -> list[str]:
    """Let a simulation or a sweep that would take minutes take seconds, and metrics be served at any port.

    A simulation of 5,000 people has them in `make demo`, and the tests of sweeps show that seeds side by side
    come to the same.
    """
    long = {"--people": "1000", "--seeds": "2", "--minutes": "0.01", "--metrics": "0"}
    before = [None, *command]
    shortened = [long.get(option or "", word) for option, word in zip(before, command, strict=False)]
    if {"--seeds", "--until-failure"} & {*command}:
        shortened += ["--jobs", "1"]
    elif command[:2] == ["simulate", "--seed"] and "--people" not in command:
        shortened += ["--people", "1000"]
    return shortened


def _serves(cli: Cli, command: list[str]) -> None:
    process = cli.start(*command)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.terminate()
    process.communicate()


def _goes_on(cli: Cli, command: list[str]) -> None:
    """Start a command that goes on until Ctrl-C, and end it when it has said something."""
    cli.env["ATTIO_WEBHOOK_SECRET"] = SECRET
    process = cli.start(*command)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False)


def test_the_receiver_and_the_worker_of_the_modes_page_work(
    at_home: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTIO_WEBHOOK_SECRET", SECRET)
    names = run_block(blocks("docs/modes.md", "python")[0])
    person = min(at_home.world.entities("people"))
    told = {"object_id": at_home.world.object_ids["people"], "record_id": person}
    body = body_of(event("record.created", person) | {"id": told})
    app = asyncio.run(names["make_app"]())
    assert send(app, body, signed(body)).json() == {"status": "stored"}
    worker = WebhookWorker(names["make_engine"], settle_s=0.0)
    assert asyncio.run(worker.turn()) == 0.0
    (process_id,) = names["log"].ids()
    assert names["log"].load(process_id).progress.created == 1
    names["log"].close()


def test_what_the_quickstart_shows_is_what_is_printed(cli: Cli, serve: Serve) -> None:
    server = serve(5000)
    out, _ = cli(*cli.sync_args(server.url))
    _, err = cli(*cli.sync_args(serve(1, api_key="other").url), status=1)
    shown = [line for block in blocks("docs/quickstart.md", "text") for line in block.splitlines()]
    printed = (out + err).replace(server.url, "http://127.0.0.1:8787")
    assert shown
    for line in shown:
        assert line in printed


def test_the_tests_of_the_testing_page_pass(tmp_path: Path) -> None:
    sink = blocks("docs/embedding.md", "python")[1]
    (tmp_path / "test_mine.py").write_text("\n".join([sink, *blocks("docs/testing.md", "python")]))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout


def test_what_the_docs_embed_passes_a_strict_type_check(tmp_path: Path) -> None:
    _, sink, transform, hook = blocks("docs/embedding.md", "python")
    use = """
import syncfsm
from syncfsm.log import EventLog
from syncfsm.sources import Transform

def embed(log: EventLog, source: syncfsm.AttioSource) -> None:
    people = syncfsm.AttioPeople(source)
    syncfsm.Engine(log, source, ListSink(), people, hooks=[print_pages])
    wanted: Transform[dict[str, str]] = ids_only
"""
    for number, code in enumerate(blocks("docs/telemetry.md", "python")):
        (tmp_path / f"telemetry_{number}.py").write_text(code)
    (tmp_path / "readme.py").write_text(blocks("README.md", "python")[0])
    (tmp_path / "engine.py").write_text(blocks("docs/embedding.md", "python")[0])
    (tmp_path / "parts.py").write_text(f"{sink}\n{transform}\n{hook}\n{use}")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache/docs"), "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Success"), done.stdout


def test_the_account_that_the_replay_page_shows_is_what_is_printed(tmp_path: Path) -> None:
    path = planted(tmp_path, strikes("unauthorized", CHECKS + 7))
    with syncfsm.open_log(path, read_only=True) as log:
        printed = lines(explain(log, log.ids()[0], path))
    (shown,) = blocks("docs/replay.md", "text")
    times = partial(re.sub, r"\d\d:\d\d:\d\d\.\d+Z", "")
    assert [times(line) for line in shown.splitlines()] == [times(line) for line in printed[1:5]]

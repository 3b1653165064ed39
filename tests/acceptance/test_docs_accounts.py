"""What the page on accounts shows is run: its settings, its commands, and its FastAPI app, killed midway."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncfsm_simulator.fakes.attio.workspaces import token
from tests.acceptance.conftest import Cli
from tests.acceptance.tenants import Offices, counts
from tests.acceptance.test_docs import blocks, run_block

PAGE = "docs/accounts.md"
WAIT_S_MAX = 60.0


@pytest.fixture
def opened() -> Iterator[Callable[..., Offices]]:
    all_of_them: list[Offices] = []

    def open_(count: int, people: int, **settings: float) -> Offices:
        all_of_them.append(Offices(count, people, **settings))
        return all_of_them[-1]

    yield open_
    for offices in all_of_them:
        offices.close()


def test_the_commands_run_with_the_settings(cli: Cli, opened: Callable[..., Offices]) -> None:
    (settings,) = blocks(PAGE, "toml")
    (cli.folder / "syncfsm.toml").write_text(settings)
    cli.env |= {"SYNCFSM_BASE_URL": opened(2, 3).url, "ACME_API_KEY": token(0), "GLOBEX_API_KEY": token(1)}
    commands = [line.split()[1:] for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert len(commands) == 12
    for command in commands:
        if command[0] == "run" and "--once" not in command:
            running = cli.start(*command)
            assert running.stdout is not None
            assert [running.stdout.readline() for _ in range(3)]
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=60)
        else:
            cli(*command)
    assert counts(cli.folder / "acme.db") == {"acme": 3}
    assert counts(cli.folder / "globex.db") == {"globex": 3}
    assert len((cli.folder / "globex.jsonl").read_text().splitlines()) >= 3


def test_the_small_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    named, provided, _ = blocks(PAGE, "python")
    run_block(named)
    assert capsys.readouterr().out == "attio@acme\n"
    assert run_block(provided)["source"].name == "attio@acme"


class Started:
    """The app of the page, as `uvicorn app:app` starts it."""

    def __init__(self, folder: Path, api_url: str) -> None:
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", "--no-access-log"]
        env = {**os.environ, "ATTIO_BASE_URL": api_url}
        self.process = subprocess.Popen(
            command, cwd=folder, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self.process.stderr is not None
        lines = iter(self.process.stderr.readline, "")
        self.url = next(
            found[1] for line in lines if (found := re.search(r"running on (http://[\d.:]+)", line))
        )

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=WAIT_S_MAX).raise_for_status().json()

    def until_all_are_synced(self) -> list[dict[str, Any]]:
        ends_at = time.monotonic() + WAIT_S_MAX
        while time.monotonic() < ends_at:
            standings: list[dict[str, Any]] = self.get("/accounts")
            if all(standing["last_sync_at"] for standing in standings):
                return standings
            time.sleep(0.2)
        raise AssertionError(f"not all are synced: {self.get('/accounts')}")


@contextmanager
def app(folder: Path, api_url: str) -> Iterator[Started]:
    started = Started(folder, api_url)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def test_the_app_brings_everybody_of_twenty_tenants_though_it_is_killed(
    tmp_path: Path, opened: Callable[..., Offices]
) -> None:
    offices = opened(20, 60, latency_s=0.02)
    (tmp_path / "app.py").write_text(blocks(PAGE, "python")[2])
    offices.asks_before = 15  # of forty that it takes
    with app(tmp_path, offices.url) as first:
        assert offices.is_asked.wait(WAIT_S_MAX)
        first.process.kill()
        first.process.wait()
    before = counts(tmp_path / "contacts.db")
    assert sum(before.values()) < 20 * 60
    with app(tmp_path, offices.url) as second:
        resumed = second.get("/resumed")
        assert 0 < len(resumed) <= 4
        standings = second.until_all_are_synced()
        assert httpx.post(f"{second.url}/accounts/tenant-7/sync", timeout=WAIT_S_MAX).status_code == 200
        assert httpx.post(f"{second.url}/accounts/nobody/sync").status_code == 404
        assert second.get("/health") is None
        second.process.send_signal(signal.SIGINT)
        second.process.communicate(timeout=WAIT_S_MAX)
    tenants = [f"tenant-{number}" for number in range(1, 21)]
    assert sorted(standing["account"] for standing in standings) == sorted(tenants)
    assert {standing["state"] for standing in standings} == {"COMPLETED"}
    assert counts(tmp_path / "contacts.db") == dict.fromkeys(tenants, 60)
    assert offices.most <= 4

"""`syncfsm worker` as a service manager runs it: started, looked at, stopped, and told of what fails."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from syncfsm.core.machine import State
from syncfsm.log import open_log
from tests.acceptance.conftest import Cli
from tests.acceptance.tenants import Offices, counts, settle
from tests.postgres import a_schema

PEOPLE = 60


@pytest.fixture
def log_url() -> Iterator[str]:
    with a_schema() as url:
        yield url


@pytest.fixture
def opened() -> Iterator[Callable[..., Offices]]:
    all_of_them: list[Offices] = []

    def open_(count: int = 2, people: int = PEOPLE, **settings: float) -> Offices:
        all_of_them.append(Offices(count, people, **settings))
        return all_of_them[-1]

    yield open_
    for offices in all_of_them:
        offices.close()


def until_over(worker: Any, count: int) -> list[str]:
    """Read the lines of so many syncs that are over."""
    return [worker.stdout.readline() for _ in range(count)]


def test_a_worker_syncs_all_accounts_tells_how_it_is_and_ends_when_it_is_told_to(
    cli: Cli, opened: Callable[..., Offices], log_url: str
) -> None:
    names = settle(cli, opened(3), f'log = "{log_url}"\n')
    worker = cli.start("worker", "--listen", "0", "--json", "--name", "first")
    over = [json.loads(line) for line in until_over(worker, 3)]
    assert {(line["sync"], line["state"]) for line in over} == {(name, "COMPLETED") for name in names}
    assert counts(cli.folder / "contacts.db") == dict.fromkeys(names, PEOPLE)
    assert worker.stderr.readline() == "worker first begins\n"
    place = worker.stderr.readline().removeprefix("health at ").strip()
    with urllib.request.urlopen(place) as reply:
        health = json.load(reply)
    assert (health["status"], health["worker"], health["is_stopping"]) == ("ok", "first", False)
    with urllib.request.urlopen(place.replace("health", "metrics")) as reply:
        assert b'syncfsm_events_total{object="people",source="attio@' in reply.read()
    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert err.endswith("worker first has ended\n")


def test_a_worker_that_is_stopped_midway_leaves_the_rest_to_the_next(
    cli: Cli, opened: Callable[..., Offices], log_url: str
) -> None:
    (name,) = settle(
        cli, opened(1, 400, latency_s=0.05), f'log = "{log_url}"\npage-size = 10\nread-ahead = 1\n'
    )
    first = cli.start("worker", "--verbose")
    while "PageDelivered" not in first.stderr.readline():
        pass
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    assert first.returncode == 0
    with open_log(log_url) as log:
        (left,) = map(log.load, log.ids())
        assert left.is_active
        assert 0 < left.progress.pages < 40
    second = cli.start("worker", "--json")
    over = json.loads(second.stdout.readline())
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=30)
    assert (over["process"], over["state"], over["fetched"]) == (left.id, State.COMPLETED, 400)
    assert counts(cli.folder / "contacts.db") == {name: 400}


class _Hook(HTTPServer):
    """Takes what is posted."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[_Hook]:
    server = _Hook()
    yield server
    server.shutdown()
    server.server_close()


def test_whoever_is_to_know_is_told_once_of_a_process_that_fails(
    cli: Cli, opened: Callable[..., Offices], hook: _Hook
) -> None:
    names = settle(cli, opened(2))
    cli.env["ACME_API_KEY"] = "planted-wrong-key-0123"
    url = f"http://127.0.0.1:{hook.server_port}/"
    cli("run", "--once", "--on-failure", url, status=1)
    cli("run", "--once", "--on-failure", url, status=1)
    assert [(told["alert"], told["sync"], told["failure"]["reason"]) for told in hook.told] == [
        ("failed", "acme", "unauthorized")
    ]
    assert "acme" in names
    assert "planted-wrong-key" not in json.dumps(hook.told)


def test_a_command_is_told_too_and_one_that_fails_holds_nothing_up(
    cli: Cli, opened: Callable[..., Offices], tmp_path: Path
) -> None:
    settle(cli, opened(2))
    cli.env["ACME_API_KEY"] = "planted-wrong-key-0123"
    told = tmp_path / "told.json"
    cli("run", "--once", "--on-failure", f"tee {told}", status=1)
    assert json.loads(told.read_bytes())["sync"] == "acme"
    cli.env["GLOBEX_API_KEY"] = "planted-wrong-key-0123"
    _, err = cli("run", "--once", "--on-failure", "false", status=1)
    assert "nobody was told that process" in err
    assert "the command false: it ended with status 1" in err


def test_workers_need_a_log_in_postgresql(cli: Cli, opened: Callable[..., Offices]) -> None:
    settle(cli, opened(1))
    _, err = cli("worker", "--log", "sync.db", status=2)
    assert "workers share a log in PostgreSQL: give --log postgresql://…; for a file, there is" in err

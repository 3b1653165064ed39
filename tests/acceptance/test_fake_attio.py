"""The fake Attio as a user meets it: `syncfsm serve`, `curl`, and a target for webhooks, over real HTTP."""

from __future__ import annotations

import json
import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from syncfsm_simulator.fakes.attio.deliveries import signature
from tests.acceptance.conftest import Cli, Server, Started
from tests.acceptance.test_docs import blocks

PAGE = "docs/fake-attio.md"
BEARER = {"Authorization": "Bearer any"}
ANSWER_S = 30


@pytest.fixture
def served(cli: Cli) -> Iterator[Callable[..., str]]:
    """Start `syncfsm serve` with some options and return its URL."""
    processes: list[Started] = []

    def start(*options: str) -> str:
        processes.append(cli.start("serve", "--port", "0", "--people", "20", *options))
        stdout = processes[-1].stdout
        assert stdout is not None
        return stdout.readline().strip()

    yield start
    for process in processes:
        process.terminate()
        process.communicate()


class Target:
    """Takes webhooks on a port of its own."""

    def __init__(self) -> None:
        self.taken: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                target.taken.put(({name.lower(): text for name, text in self.headers.items()}, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/in"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


def subscribed(url: str, target: Target, *event_types: str) -> Any:
    subscriptions = [{"event_type": name, "filter": None} for name in event_types]
    body = {"data": {"target_url": target.url, "subscriptions": subscriptions}}
    answer = httpx.post(f"{url}/v2/webhooks", json=body, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_a_write_is_told_to_a_real_target_and_signed(served: Callable[..., str], target: Target) -> None:
    url = served()
    webhook = subscribed(url, target, "record.created")
    made = httpx.post(
        f"{url}/v2/objects/people/records", json={"data": {"values": {}}}, headers=BEARER
    ).json()
    headers, body = target.taken.get(timeout=ANSWER_S)
    assert headers["attio-signature"] == signature(webhook["secret"], body)
    (event,) = json.loads(body)["events"]
    assert event["id"] == made["data"]["id"]


def test_a_world_that_moves_by_itself_is_told_of(served: Callable[..., str], target: Target) -> None:
    url = served("--moving", "50")
    subscribed(url, target, "record.created", "record.updated", "record.deleted")
    kinds = {json.loads(target.taken.get(timeout=ANSWER_S)[1])["events"][0]["event_type"] for _ in range(40)}
    assert kinds == {"record.created", "record.updated", "record.deleted"}


def test_knobs_are_set_from_the_command_line(served: Callable[..., str]) -> None:
    url = served(
        "--set", "limit_policy=reject", "--set", "scopes=record_permission:read,object_configuration:read"
    )
    path = f"{url}/v2/objects/people/records"
    assert httpx.post(f"{path}/query", json={"limit": 501}, headers=BEARER).status_code == 400
    assert httpx.post(path, json={"data": {"values": {}}}, headers=BEARER).status_code == 403


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("speed=3", "is no knob"),
        ("writes_per_s=many", "the fake cannot be set so"),
        ("ties=loose", "the fake cannot be set so"),
        ("webhook_duplicates=2", "the fake cannot be set so"),
    ],
)
def test_a_knob_that_cannot_be_set_so_is_wrong_use(cli: Cli, setting: str, words: str) -> None:
    _, err = cli("serve", "--set", setting, status=2)
    assert words in err


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl on this machine")
def test_what_the_page_shows_with_curl_is_answered_so(serve: Callable[..., Server]) -> None:
    url = serve(500, http_targets=True).url
    commands = [
        line for block in blocks(PAGE, "sh") for line in block.splitlines() if line.startswith("curl ")
    ]
    assert len(commands) > 4
    answers = []
    for command in commands:
        line = shlex.split(command.replace("http://127.0.0.1:8787", url))
        answers.append(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    (shown,) = blocks(PAGE, "json")
    assert answers.pop() == shown.strip()
    for answer in answers:
        assert "status_code" not in json.loads(answer), answer
    assert [len(json.loads(answers[place])["data"]) for place in (1, 2)] == [2, 2]


def test_the_page_shows_how_to_serve(cli: Cli) -> None:
    commands = [
        line.split()
        for block in blocks(PAGE, "sh")
        for line in block.splitlines()
        if line.startswith("syncfsm ")
    ]
    assert len(commands) == 2
    for _, *command in commands:
        process = cli.start(*command, "--port", "0")
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        process.communicate()

"""The fake Attio over real HTTP, and the command line as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.server import Server

KEY = "planted-secret-key-0123456789"


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(people: int, **settings: Any) -> Server:
        servers.append(Server(people, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Cli:
    """Runs `syncfsm` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "ATTIO_API_KEY": KEY, "COLUMNS": "100"}
        self.sigint = signal.SIG_DFL  # a background job of a shell ignores Ctrl-C, and hands that on

    def start(self, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "syncfsm.cli", *map(str, args)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=partial(signal.signal, signal.SIGINT, self.sigint),  # noqa: PLW1509 - it does no more than that
        )

    def __call__(self, *args: object, status: int = 0) -> tuple[str, str]:
        """Return what a command printed, after checking its exit status."""
        process = self.start(*args)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, f"{args}: exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        assert KEY not in out + err
        return out, err

    def json(self, *args: object, status: int = 0) -> dict[str, Any]:
        out, _ = self(*args, "--json", status=status)
        answer: dict[str, Any] = json.loads(out)
        return answer

    def sync(self, url: str, *args: object, status: int = 0) -> dict[str, Any]:
        return self.json(*self.sync_args(url), *args, status=status)

    def sync_args(self, url: str) -> tuple[str, ...]:
        where = ("--base-url", url, "--sink", "sqlite:contacts.db", "--log", "sync.db")
        return ("sync", "--source", "attio", *where)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)

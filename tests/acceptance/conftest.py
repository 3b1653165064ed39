"""The fake Attio over real HTTP, and the command line as a user starts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import KEY, Cli, Started
from tests.acceptance.forks import ForkServer
from tests.acceptance.server import Server

__all__ = ["KEY", "Cli", "Server", "Started"]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(people: int, **settings: Any) -> Server:
        servers.append(Server(people, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def cli(tmp_path: Path, forks: ForkServer) -> Cli:
    return Cli(tmp_path, forks)

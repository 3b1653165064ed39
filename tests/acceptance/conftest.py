"""The fake Attio over real HTTP, and the command line as a user starts it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from simulator.asgi import Receive, Scope, Send
from simulator.attio import FakeAttio
from simulator.clock import EPOCH
from simulator.world import World
from syncfsm.clock import SystemClock

KEY = "planted-secret-key-0123456789"


class Server:
    """A fake Attio on a port of its own, in a thread of its own. It can be told to hold its answers."""

    def __init__(self, people: int, **settings: Any) -> None:
        self.world = World(1, people=people, now=EPOCH)
        self.fake = FakeAttio(self.world, SystemClock(), **settings)
        self.is_holding = threading.Event()
        self._release = threading.Event()
        self._queries_left: int | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app, interface="asgi3", log_level="error", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()

    def hold_after(self, queries: int | None) -> None:
        """Answer so many more queries, then let the next one wait; `is_holding` tells when it does."""
        self._queries_left = queries
        self.is_holding.clear()
        release, self._release = self._release, threading.Event()
        release.set()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._queries_left is not None and scope["path"].endswith("/query"):
            self._queries_left -= 1
            if self._queries_left < 0:
                self.is_holding.set()
                await asyncio.to_thread(self._release.wait)
        await self.fake(scope, receive, send)

    def close(self) -> None:
        self.hold_after(None)
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


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

    def start(self, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "syncfsm.cli", *map(str, args)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # a background job of a shell ignores Ctrl-C, and hands that on
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no more than that
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

"""Many workspaces behind one address, and a settings file with an account for each."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event
from typing import Any

from syncfsm.outside.clock import SystemClock
from syncfsm_simulator.fakes.asgi import Receive, Scope, Send, header
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.attio.workspaces import Workspaces, token
from syncfsm_simulator.fakes.serve import served
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.acceptance.command import Cli

NAMES = ("acme", "globex", "initech", "umbrella", "hooli", "stark")


class Offices:
    """A fake Attio with many workspaces; counts whose requests are under way at once."""

    def __init__(self, count: int, people: int, latency_s: float = 0.0) -> None:
        self.worlds = [World(number + 1, people=people, now=EPOCH) for number in range(count)]
        self.fakes = {
            token(number): FakeAttio(world, SystemClock(), api_key=token(number), latency_s=latency_s)
            for number, world in enumerate(self.worlds)
        }
        self._app = Workspaces(self.fakes)
        self._busy: Counter[str] = Counter()
        self._queries: Counter[str] = Counter()
        self.most = 0
        self.most_of_one = 0
        self.is_asked = Event()
        self.asks_before = 0
        self._open = ExitStack()
        self.url = self._open.enter_context(served(self._answer))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = (header(scope, b"authorization") or "").rpartition(" ")[2] if scope["type"] == "http" else ""
        self._busy[who] += 1
        self.most = max(self.most, sum(count > 0 for count in self._busy.values()))
        self.most_of_one = max(self.most_of_one, *self._busy.values())
        if scope["type"] == "http" and scope["path"].endswith("/records/query"):
            self._queries[who] += 1
            if self.asks_before and self._queries.total() >= self.asks_before:
                self.is_asked.set()
        left = [who]

        async def answered(message: Any) -> None:
            if message["type"] == "http.response.body" and left:  # before whoever asked can ask for the next
                self._busy[left.pop()] -= 1
            await send(message)

        try:
            await self._app(scope, receive, answered)
        finally:
            if left:
                self._busy[left.pop()] -= 1

    @property
    def queries(self) -> int:
        return self._queries.total()

    def close(self) -> None:
        self._open.close()


def settle(cli: Cli, offices: Offices, *more: str, sink: str = "sqlite:contacts.db") -> tuple[str, ...]:
    """Write a settings file with an account for each workspace; return their names."""
    names = NAMES[: len(offices.worlds)]
    lines = [f'source = "attio"\nbase-url = "{offices.url}"\nsink = "{sink}"\ncompanies = false\n', *more]
    for number, name in enumerate(names):
        variable = f"{name.upper()}_API_KEY"
        lines.append(f'[accounts.{name}]\nkey-variable = "{variable}"\n')
        cli.env[variable] = token(number)
    (cli.folder / "syncfsm.toml").write_text("\n".join(lines))
    return names


def counts(path: Path) -> dict[str, int]:
    """Return how many contacts a sink has of each account."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT source, count(*) FROM contacts GROUP BY source").fetchall()
    return {source.partition("@")[2]: count for source, count in rows}


def lines_of(out: str) -> list[dict[str, Any]]:
    """Return what JSON Lines say."""
    return [json.loads(line) for line in out.splitlines()]

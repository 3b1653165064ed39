"""A sync killed with SIGKILL, again and again, at moments that nobody chose: real process, sockets and files.

A seed says after how many requests and how much of what follows each process dies. The machine's own pace
has its part in it too, so a seed leads near the same moments and not to the very same instruction.
`make soak` runs many seeds, new ones each time; a test's name says which.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue

import msgspec
import pytest

from syncfsm.core.machine import State
from syncfsm.errors import LogError
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm_simulator.fakes.asgi import Receive, Scope, Send
from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import Cli, Server, Started

PEOPLE = 300
PAGE_SIZE = 10
REQUESTS = 34
"""About as many as a sync makes: two checks, thirty pages, some look-ups of companies."""

FIRST_SEED = int(os.environ.get("SOAK_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("SOAK_RUNS", "4")))


class Death(msgspec.Struct, frozen=True):
    """When a process dies: so many milliseconds after so many answers (0: after its start).

    Without milliseconds it dies while the request after those answers waits for its own.
    """

    answers: int
    delay_ms: float | None


class DeadlyServer(Server):
    """A fake Attio that kills who asks it, when told to."""

    def __init__(self) -> None:
        self._victim: Queue[Started] = Queue()
        self._death: Death | None = None
        self._answers = 0
        super().__init__(PEOPLE)

    def kill(self, process: Started, death: Death) -> int:
        """Let a process run into its death; return how it ended, which may be well."""
        self._victim.put(process)
        if death.answers == 0:
            self._kill_after(death.delay_ms or 0.0)
        process.communicate(timeout=60)
        self._death = None
        return process.returncode

    def expect(self, death: Death) -> None:
        """Say how the next process will die, before it starts."""
        self._victim, self._answers, self._death = Queue(), 0, death

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        death = self._death
        if death is not None and death.delay_ms is None and self._answers == death.answers:
            self._death = None  # it dies once, though another request may have come with this one
            self._victim.get().kill()
        await super()._app(scope, receive, send)
        if death is None or death is not self._death:
            return  # an answer to a process that is dead by now
        self._answers += 1
        if death.delay_ms is not None and self._answers == death.answers:
            self._death = None
            self._kill_after(death.delay_ms)

    def _kill_after(self, delay_ms: float) -> None:
        victim = self._victim.get()
        threading.Timer(delay_ms / 1000, victim.kill).start()


@pytest.fixture
def server() -> Iterator[DeadlyServer]:
    server = DeadlyServer()
    yield server
    server.close()


def deaths(rng: random.Random) -> list[Death]:
    """One to five, spread so that the last of them come near the end of the sync."""
    count = rng.randint(1, 5)
    return [_death(rng, 2 * REQUESTS // (count + 1)) for _ in range(count)]


def _death(rng: random.Random, answers_max: int) -> Death:
    if rng.random() < 0.1:
        return Death(answers=0, delay_ms=rng.uniform(100, 500))
    answers = rng.randint(1, answers_max)
    return Death(answers=answers, delay_ms=rng.choice([None, rng.uniform(0, 12)]))


def is_completed(folder: Path) -> bool:
    """Whether the log says so; read without touching what the dead process left in its files."""
    with suppress(LogError), open_log(folder / "sync.db", read_only=True) as log:
        return any(log.load(process_id).state is State.COMPLETED for process_id in log.ids())
    return False


def contact_ids(folder: Path) -> list[str]:
    return [external_id for (external_id,) in contacts_in(folder / "contacts.db", "external_id")]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sync_killed_at_any_moments_ends_with_everybody_once(
    server: DeadlyServer, cli: Cli, seed: int
) -> None:
    sync = (*cli.sync_args(server.url), "--page-size", PAGE_SIZE)
    for death in deaths(random.Random(seed)):
        server.expect(death)
        assert server.kill(cli.start(*sync), death) in {-signal.SIGKILL, 0}, death
        if is_completed(cli.folder):
            break
    else:
        assert cli.json(*sync)["state"] == "COMPLETED"
    assert contact_ids(cli.folder) == sorted(server.world.entities("people"))
    with open_log(cli.folder / "sync.db") as log:
        (process_id,) = log.ids()
        assert log.load(process_id).progress.fetched == PEOPLE
        assert verify(log)[1] == []

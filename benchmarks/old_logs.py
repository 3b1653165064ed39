"""`python -m benchmarks.old_logs`: what a log costs to ask and to go on with, with many syncs behind it.

An ongoing sync that finds nothing is what a service does most. The logs that are compared differ in nothing
but how many of them lie behind: the first were made by the engine, the others are these again, with other ids
and later times. What is measured takes turns, log by log, and it is the time on the processor that counts.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import click
import httpx
import msgspec

from syncfsm.cli import main as command_line
from syncfsm.core import events as e
from syncfsm.core.marks import Mark
from syncfsm.core.process import Process, fold
from syncfsm.engine.engine import Engine
from syncfsm.log import EventLog, StoredEvent, open_log
from syncfsm.log.codec import to_rows
from syncfsm.sinks import UpsertResult, open_sink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World

SIZES = (100, 1_000, 10_000, 100_000)

EVERY = timedelta(minutes=5)

AT_ONCE = 2_000
"""Processes that are written in one transaction."""

ASKED = {
    "ls": ("log", "ls", "--last", "20"),
    "explain": ("explain",),
    "top": ("top", "--once"),
    "verify --tail": ("log", "verify", "--tail", "100"),
    "verify": ("log", "verify"),
}
"""Commands that only read, by what they are called in the results."""


class _Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self._now = EPOCH

    def now(self) -> datetime:
        return self._now

    def go_on(self) -> None:
        self._now += EVERY

    async def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class OldLog:
    """A log with so many ongoing syncs behind it that found nothing, and an engine that goes on with it.

    Args:
        folder: Where its files are made.
        count: How many processes there are.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.path = str(folder / f"{count}.db")
        self._clock = _Clock()
        self._sink = f"sqlite:{folder / f'{count}-contacts.db'}"
        fake = FakeAttio(World(1, people=20, now=EPOCH), self._clock)
        self._transport = httpx.ASGITransport(fake)
        with open_log(self.path) as log:
            self.turns(log, 2)
            self._fill(log, count - 2)
            self.turns(log, 1)

    def turns(self, log: EventLog, count: int) -> float:
        """Take so many turns; return the milliseconds of CPU of each."""
        return asyncio.run(self._turns(log, count)) / count * 1000

    async def _turns(self, log: EventLog, count: int) -> float:
        source = AttioSource("any", clock=self._clock, transport=self._transport)
        rng = random.Random(self._clock.now().timestamp())
        engine = Engine(log, source, open_sink(self._sink), AttioPeople(source), clock=self._clock, rng=rng)
        async with engine:
            began_s = process_time()
            for _ in range(count):
                self._clock.go_on()
                await engine.sync(mode="ongoing", page_size=50)
            return process_time() - began_s

    def _fill(self, log: EventLog, count: int) -> None:
        last = list(log.read(log.ids()[-1]))
        for first in range(0, count, AT_ONCE):
            rows, states = [], []
            for _ in range(min(AT_ONCE, count - first)):
                self._clock.go_on()
                written, process = _again(last, self._clock.now(), f"{len(states) + first:012x}")
                rows += written
                states.append(process)
            log.restore(rows, lambda states=states: states)  # type: ignore[misc]
            asyncio.run(self._mark(states[-1]))

    async def _mark(self, last: Process) -> None:
        """Let the sink know the last process, as it does of each."""
        sink: Any = open_sink(self._sink)
        mark = Mark(
            source=last.source,
            object=last.object,
            process=last.id,
            version=last.version - 1,
            watermark=last.watermark,
        )
        assert isinstance(await sink.upsert_marked((), mark), UpsertResult), "it is a mark and nothing else"
        await sink.aclose()


def _again(last: Sequence[e.Recorded], now: datetime, id_: str) -> tuple[list[StoredEvent], Process]:
    """Return the events of a process as those of another one, which begins now."""
    later = now - last[0].at
    events = [_moved(recorded, later, id_) for recorded in last]
    process = fold(None, events)
    assert process is not None, "an event leads to a state"
    return to_rows(events, ""), process


def _moved(recorded: e.Recorded, later: timedelta, id_: str) -> e.Recorded:
    event: Any = recorded.event
    times = {name: getattr(event, name, None) for name in ("since", "as_of", "watermark")}
    moved = {name: time + later for name, time in times.items() if isinstance(time, datetime)}
    event = msgspec.structs.replace(event, **moved)
    return msgspec.structs.replace(recorded, stream=id_, at=recorded.at + later, event=event)


def _asked_ms(log: OldLog, command: Sequence[str]) -> float:
    first, *rest = (*command[: 2 if command[0] == "log" else 1],)
    options = command[len(rest) + 1 :]
    began_s = process_time()
    with redirect_stdout(StringIO()), suppress(SystemExit):
        command_line([first, *rest, log.path, *options], standalone_mode=False)
    return (process_time() - began_s) * 1000


def _measures(turns: int) -> Iterator[tuple[str, Callable[[OldLog], float]]]:
    def turn(log: OldLog) -> float:
        with open_log(log.path) as opened:
            return log.turns(opened, turns)

    yield "ongoing", turn
    for name, command in ASKED.items():
        yield name, lambda log, command=command: _asked_ms(log, command)  # type: ignore[misc]


@click.command()
@click.option("--size", "sizes", multiple=True, type=int, default=SIZES, show_default=True)
@click.option("--rounds", default=7, show_default=True, help="Times that each is measured, in turns.")
@click.option("--turns", default=20, show_default=True, help="Ongoing syncs of each time.")
@click.option("--without", multiple=True, help="What is not to be measured.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object.")
def main(sizes: tuple[int, ...], rounds: int, turns: int, without: tuple[str, ...], *, as_json: bool) -> None:
    """Measure what a log costs with many syncs behind it: milliseconds of CPU, medians."""
    with TemporaryDirectory() as folder:
        logs = [OldLog(Path(folder), size) for size in sizes]
        taken: dict[str, dict[int, list[float]]] = {}
        for _ in range(rounds):
            for name, measure in _measures(turns):
                for log in logs if name not in without else ():
                    taken.setdefault(name, {}).setdefault(log.count, []).append(measure(log))
        found = {name: {size: median(ms) for size, ms in each.items()} for name, each in taken.items()}
        bytes_each = {log.count: Path(log.path).stat().st_size / log.count for log in logs}
    if as_json:
        click.echo(msgspec.json.encode({"cpu_ms": found, "bytes_each": bytes_each}).decode())
        return
    click.echo(f"{'':<16}" + "".join(f"{size:>12,}" for size in sizes))
    for name, each in found.items():
        click.echo(f"{name:<16}" + "".join(f"{each[size]:>12.2f}" for size in sizes))


if __name__ == "__main__":
    sys.exit(main())

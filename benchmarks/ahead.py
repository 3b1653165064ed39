"""`python -m benchmarks.ahead`: one sync over HTTP, with one request under way or several. See README.md.

The fake Attio answers on this machine, each answer after a latency, as one does that is far away. What is
measured is the whole sync: requests, decoding, the log in a file, a sink in a file.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import click

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.log import open_log
from syncfsm.outside.clock import SystemClock
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.serve import served
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World


@click.command()
@click.option("--people", default=5000, show_default=True, help="People in the workspace.")
@click.option("--page-size", default=50, show_default=True, help="People in a page.")
@click.option("--latency-ms", default=100, show_default=True, help="How long each answer takes.")
@click.option("--turns", default=3, show_default=True, help="Times that each is measured, in turns.")
@click.option("--at-once", "counts", multiple=True, type=int, default=(1, 4, 8), show_default=True)
def main(people: int, page_size: int, latency_ms: int, turns: int, counts: tuple[int, ...]) -> None:
    """Measure how long a sync takes with so many requests under way at once."""
    world = World(1, people=people, now=EPOCH)
    fake = FakeAttio(world, SystemClock(), latency_s=latency_ms / 1000)
    taken: dict[int, list[float]] = {count: [] for count in counts}
    with served(fake) as url:
        for _ in range(turns):
            for count in counts:
                taken[count].append(_sync_s(url, people, page_size, count))
    alone_s = median(taken[counts[0]])
    click.echo(f"{people:,} people, {page_size} a page, {latency_ms} ms for each answer")
    for count, seconds in taken.items():
        middle = median(seconds)
        spread = f"({min(seconds):.2f}-{max(seconds):.2f})"
        click.echo(f"  {count:>2} at once {middle:>8.2f} s {spread:>15} {alone_s / middle:>6.1f}x")


def _sync_s(url: str, people: int, page_size: int, read_ahead: int) -> float:
    """Return how long one sync of everybody takes, into a new log and a new sink."""
    with TemporaryDirectory() as folder, open_log(Path(folder) / "sync.db") as log:
        source = AttioSource("any", base_url=url)
        sink = SqliteSink(str(Path(folder) / "contacts.db"))
        engine = Engine(log, source, sink, AttioPeople(source, companies=False), read_ahead=read_ahead)
        began_s = perf_counter()
        process = asyncio.run(_run(engine, page_size))
        assert process.state is State.COMPLETED, process
        assert process.progress.created == people, "everybody is synced once"
        return perf_counter() - began_s


async def _run(engine: Engine[Any], page_size: int) -> Process:
    async with engine:
        return await engine.sync(page_size=page_size)


if __name__ == "__main__":
    sys.exit(main())

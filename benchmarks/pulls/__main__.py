"""`python -m benchmarks.pulls`: whole pulls beside others, what speed hides, and the rest. See README.md.

Each part is written as soon as it is there, so that a run that is ended keeps what it has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from benchmarks.pulls import hazards, moving, results, simulated, speed, tables
from benchmarks.pulls.chart import chart
from benchmarks.turns import TURNS, all_measured

CHART = Path(__file__).parents[2] / "docs/benchmarks.svg"
EVENTS = {"quick": 5000, "full": 50_000}

PARTS: dict[str, Callable[[str], Any]] = {
    "near": speed.near,
    "moved": hazards.moved,
    "cut": hazards.cut,
    "refused": hazards.refused,
    "growing": speed.growing,
    "deep": speed.deep,
    "costs": moving.costs,
    "simulated": simulated.simulated,
    "logs": lambda size: all_measured(events_min=EVENTS[size], turns=TURNS[size]),
}
"""What is measured, by the name of its place in the results."""


@click.command()
@click.option("--size", type=click.Choice(["quick", "full"]), default="quick", show_default=True)
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Only these parts.")
@click.option("--million", "is_million", is_flag=True, help="Let it grow to a million people: takes 16 GB.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench.json"), show_default=True)
@click.option("--publish", is_flag=True, help="Write the results and the chart that the docs show.")
def main(size: str, parts: tuple[str, ...], out: Path, *, is_million: bool, publish: bool) -> None:
    """Measure what is asked for, print it as tables and write it as JSON."""
    path = results.COMMITTED if publish else out
    found = _earlier(path, size) if parts else results.Results(size=size, machine=results.machine())
    for part in parts or PARTS:
        click.echo(f"{part}:", err=True)
        began_s = time.perf_counter()
        found = replace(found, **{part: tuple(_measured(part, size, is_million=is_million))})
        results.save(found, path)
        click.echo(f"{part} took {time.perf_counter() - began_s:.0f} s", err=True)
    click.echo(tables.all_tables(found))
    click.echo(f"written to {path}", err=True)
    if publish:
        CHART.write_text(chart(results.load(path)))


def _earlier(path: Path, size: str) -> results.Results:
    """Return the results that some parts are to be put into."""
    if not path.exists():
        return results.Results(size=size, machine=results.machine())
    return replace(results.load(path), size=size)


def _measured(part: str, size: str, *, is_million: bool) -> Any:
    if part == "growing":
        return speed.growing(size, is_million=is_million)
    return PARTS[part](size)


if __name__ == "__main__":
    sys.exit(main())

"""What moving rows cost this library: requests a page, and time beside the same sync while nothing moves."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import msgspec

from benchmarks.pulls.contestants import Contestant, ours
from benchmarks.pulls.running import run
from benchmarks.pulls.servers import Moving
from syncfsm.core.value import Value
from syncfsm_simulator.fakes.serve import served

PEOPLE = {"quick": 2000, "full": 5000}
TURNS = {"quick": 1, "full": 5}
PAGE_SIZE = 50
LATENCY_S = 0.1
MOVES = {"nothing": (0, 0), "3 go, 1 comes": (3, 1), "9 go": (9, 0), "5 come": (0, 5)}
"""Who goes and who comes before each query."""


class Cost(Value, frozen=True):
    """What one way to read ahead cost while rows moved in one way.

    Attributes:
        reading: How many requests may be under way.
        moves: What moves before each query.
        queries_per_page: Queries for people, for each page delivered: the median of the turns.
        wall_s: Seconds that the whole process took: the median of the turns.
        times_still: That, beside the same while nothing moves.
        lost: People lost, in all turns.
    """

    reading: str
    moves: str
    queries_per_page: float
    wall_s: float
    times_still: float
    lost: int


class _Run(Value, frozen=True):
    queries_per_page: float
    wall_s: float
    lost: int


def costs(size: str) -> list[Cost]:
    """Return what each number of requests under way costs, by default, 4 and 16, while rows move."""
    alone = ("--no-companies",)
    readings = (
        ours("default", *alone),
        *(ours(str(count), *alone, "--read-ahead", str(count)) for count in (4, 16)),
    )
    runs: dict[tuple[str, str], list[_Run]] = {}
    for turn in range(TURNS[size]):
        for moves in MOVES:
            for reading in readings:
                found = _run(reading, moves, PEOPLE[size], seed=turn + 1)
                runs.setdefault((reading.name, moves), []).append(found)
                click.echo(
                    f"  read-ahead {reading.name}, {moves}: {found.queries_per_page:.2f} a page", err=True
                )
    return [_cost(*key, found, runs[key[0], "nothing"]) for key, found in sorted(runs.items(), key=_order)]


def _run(reading: Contestant, moves: str, people: int, *, seed: int) -> _Run:
    go, come = MOVES[moves]
    workspace = Moving(people, go=go, come=come, seed=seed, latency_s=LATENCY_S)
    with served(workspace) as url, TemporaryDirectory() as name:
        folder = Path(name)
        taken = run(reading.command(url, PAGE_SIZE, folder), folder)
        got = reading.got(folder)
        pages = msgspec.json.decode((folder / "out").read_bytes())["pages"]
    return _Run(
        queries_per_page=workspace.queries / pages,
        wall_s=taken.wall_s,
        lost=len(workspace.survivors - got.keys()),
    )


def _cost(reading: str, moves: str, runs: list[_Run], still: list[_Run]) -> Cost:
    wall_s = median(run.wall_s for run in runs)
    return Cost(
        reading=reading,
        moves=moves,
        queries_per_page=median(run.queries_per_page for run in runs),
        wall_s=wall_s,
        times_still=wall_s / median(run.wall_s for run in still),
        lost=sum(run.lost for run in runs),
    )


def _order(item: tuple[tuple[str, str], object]) -> tuple[bool, int, int]:
    """Return where a row of the table stands: the default first, then by number, moves as they are listed."""
    (reading, moves), _ = item
    is_number = reading.isdigit()
    return is_number, int(reading) if is_number else 0, list(MOVES).index(moves)

"""How long whole pulls take, in turns: a machine that is slow for a while is slow for all of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.pulls.contestants import Contestant, bare_loop, ours, peers
from benchmarks.pulls.running import Taken, run
from benchmarks.pulls.servers import a_server
from benchmarks.turns import Spread, spread
from syncfsm.core.value import Value
from syncfsm_simulator.fakes.attio.knobs import Knobs


class Pull(Value, frozen=True):
    """What whole pulls by one contestant took: those that ended well, with everybody.

    Attributes:
        name: Who pulled.
        version: The version of its package; empty for this library.
        people: How many people there were.
        wall_s: Seconds of each process.
        cpu_s: Seconds of the processor.
        peak_mb: The most memory at once, MiB.
        failed: Pulls that did not end well, or lacked somebody; nothing of them is in the figures.
    """

    name: str
    version: str
    people: int
    wall_s: Spread
    cpu_s: Spread
    peak_mb: Spread
    failed: int = 0


class Scenario(Value, frozen=True):
    """So many people, in pages of so many, from a server that takes so long for each answer."""

    people: int
    page_size: int
    turns: int
    latency_ms: int = 0
    latency_us_per_offset: int = 0


class Measured(Value, frozen=True):
    """A scenario, and what everybody took."""

    scenario: Scenario
    pulls: tuple[Pull, ...]


NEAR = {
    "quick": (
        Scenario(people=5000, page_size=50, latency_ms=100, turns=3),
        Scenario(people=10_000, page_size=499, turns=3),
    ),
    "full": (
        Scenario(people=5000, page_size=50, latency_ms=100, turns=5),
        Scenario(people=50_000, page_size=499, turns=5),
    ),
}
GROWING = {
    "quick": (Scenario(people=1000, page_size=499, turns=3), Scenario(people=10_000, page_size=499, turns=3)),
    "full": (
        Scenario(people=1000, page_size=499, turns=5),
        Scenario(people=10_000, page_size=499, turns=5),
        Scenario(people=100_000, page_size=499, turns=3),
    ),
    "million": (Scenario(people=1_000_000, page_size=499, turns=1),),
}
DEEP_KNOB = "latency_us_per_offset"
DEEP = {
    "quick": (
        Scenario(people=10_000, page_size=499, latency_us_per_offset=20, turns=1),
        Scenario(people=40_000, page_size=499, latency_us_per_offset=20, turns=1),
    ),
    "full": (
        Scenario(people=50_000, page_size=499, latency_us_per_offset=20, turns=3),
        Scenario(people=200_000, page_size=499, latency_us_per_offset=20, turns=1),
    ),
}


def near(size: str) -> list[Measured]:
    """Return what everybody takes for a few thousand people."""
    everybody = (ours(), ours("syncfsm --no-companies", "--no-companies"), *peers())
    return [measured(scenario, everybody) for scenario in NEAR[size]]


def growing(size: str, *, is_million: bool = False) -> list[Measured]:
    """Return how time and memory grow with the people: this library beside the bare loop."""
    scenarios = (*GROWING[size], *(GROWING["million"] if is_million else ()))
    return [measured(scenario, _plain()) for scenario in scenarios]


def deep(size: str) -> list[Measured]:
    """Return the same from a server that takes longer for each row before a page; empty if none does."""
    if DEEP_KNOB not in Knobs.__struct_fields__:
        click.echo(f"  skipped: this fake has no knob {DEEP_KNOB}", err=True)
        return []
    return [measured(scenario, _plain()) for scenario in DEEP[size]]


def _plain() -> tuple[Contestant, ...]:
    return (ours("syncfsm --no-companies", "--no-companies"), bare_loop())


def measured(scenario: Scenario, contestants: Sequence[Contestant]) -> Measured:
    """Return what each contestant takes, from one server for all of them; who never ends well is left out."""
    us = scenario.latency_us_per_offset
    knobs = [f"{DEEP_KNOB}={us}"] if us else []
    taken: list[list[Taken | None]] = [[] for _ in contestants]
    with (
        TemporaryDirectory() as folder,
        a_server(scenario.people, latency_ms=scenario.latency_ms, knobs=knobs) as url,
    ):
        for _ in range(scenario.turns):
            for each, all_taken in zip(contestants, taken, strict=True):
                all_taken.append(_pulled(each, url, scenario, Path(folder) / "pull"))
    pulls = [_pull(each, of, scenario) for each, of in zip(contestants, taken, strict=True)]
    return Measured(scenario=scenario, pulls=tuple(pull for pull in pulls if pull))


def _pulled(contestant: Contestant, url: str, scenario: Scenario, folder: Path) -> Taken | None:
    """Return what one pull took; nothing if it is not comparable, which is said with what the pull said."""
    folder.mkdir()
    taken = run(contestant.command(url, scenario.page_size, folder), folder)
    got, said = len(contestant.got(folder)), (folder / "err").read_text(errors="replace")
    shutil.rmtree(folder)
    is_well = taken.status == 0 and got == scenario.people
    click.echo(f"  {contestant.name}: {taken.wall_s:.2f} s", err=True)
    if not is_well:
        click.echo(
            f"  exit status {taken.status}, {got} of {scenario.people} people: {said[-500:]}", err=True
        )
    return taken if is_well else None


def _pull(contestant: Contestant, pulls: Sequence[Taken | None], scenario: Scenario) -> Pull | None:
    taken = [one for one in pulls if one]
    if not taken:
        return None
    return Pull(
        name=contestant.name,
        version=contestant.version,
        people=scenario.people,
        wall_s=spread(one.wall_s for one in taken),
        cpu_s=spread(one.cpu_s for one in taken),
        peak_mb=spread(one.peak_mb for one in taken),
        failed=len(pulls) - len(taken),
    )

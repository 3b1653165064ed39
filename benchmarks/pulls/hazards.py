"""What speed hides: who is lost while rows move, missing where pages are cut, and who waits when told to."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.pulls.contestants import Contestant, confirming, ours, peers
from benchmarks.pulls.running import run
from benchmarks.pulls.servers import Moving, Refusing
from syncfsm.core.value import Value
from syncfsm.outside.clock import SystemClock
from syncfsm_simulator.fakes.serve import served

PEOPLE_MOVING = {"quick": 2000, "full": 5000}
PAGE_SIZE = 50
GO, COME = 3, 1
PEOPLE_CUT, CUT_AT = 100, 20
REFUSED_S = {"quick": 10, "full": 20}
"""Longer than what guesses at waits come to in a few tries: 1 + 2 + 4 s, or 2 + 4."""


class Moved(Value, frozen=True):
    """A pull while people go and come; `lost` were there from the first query to the last."""

    name: str
    queries: int
    stayed: int
    lost: int
    twice: int
    says_well: bool


class Cut(Value, frozen=True):
    """A pull from a server that gives fewer rows than it is asked for, and says nothing."""

    name: str
    people: int
    got: int
    queries: int
    says_well: bool


class Refused(Value, frozen=True):
    """A pull that is refused for a while by a 429 that names the moment when to come again.

    Attributes:
        early: Queries before that moment, without those that were under way when it was named.
        came_after_s: How long after that moment the next query came; none did if `None`.
        got: How many people were there in the end.
    """

    name: str
    people: int
    got: int
    early: int
    came_after_s: float | None
    says_well: bool


def moved(size: str) -> list[Moved]:
    """Return who loses whom while 3 go and 1 comes before each query."""
    return [pulled_moving(each, PEOPLE_MOVING[size]) for each in (ours(), *peers())]


def pulled_moving(contestant: Contestant, people: int) -> Moved:
    """Return whom one loses."""
    workspace = Moving(people, go=GO, come=COME)
    with served(workspace) as url, TemporaryDirectory() as folder:
        is_well, got = _pulled(contestant, url, Path(folder))
    stayed = workspace.survivors
    return Moved(
        name=contestant.name,
        queries=workspace.queries,
        stayed=len(stayed),
        lost=len(stayed - got.keys()),
        twice=sum(times > 1 for times in got.values()),
        says_well=is_well,
    )


def cut(_size: str) -> list[Cut]:
    """Return who gets how many of 100 people from a server that cuts pages at 20 while 50 are asked for."""
    return [pulled_cut(each) for each in (ours(), confirming(), *peers())]


def pulled_cut(contestant: Contestant) -> Cut:
    """Return how many one gets."""
    workspace = Moving(PEOPLE_CUT, limit_max=CUT_AT)
    with served(workspace) as url, TemporaryDirectory() as folder:
        is_well, got = _pulled(contestant, url, Path(folder))
    return Cut(
        name=contestant.name,
        people=PEOPLE_CUT,
        got=len(got),
        queries=workspace.queries,
        says_well=is_well,
    )


def refused(size: str) -> list[Refused]:
    """Return what each does about a 429 on its third query whose `Retry-After` is a date."""
    return [pulled_refused(each, REFUSED_S[size]) for each in (ours(), *peers())]


def pulled_refused(contestant: Contestant, for_s: float) -> Refused:
    """Return what one does about it."""
    people = 10 * PAGE_SIZE
    app = Refusing(Moving(people), SystemClock(), since=3, for_s=for_s)
    with served(app) as url, TemporaryDirectory() as folder:
        is_well, got = _pulled(contestant, url, Path(folder))
    return Refused(
        name=contestant.name,
        people=people,
        got=len(got),
        early=app.early,
        came_after_s=app.came_after_s,
        says_well=is_well,
    )


def _pulled(contestant: Contestant, url: str, folder: Path) -> tuple[bool, dict[str, int]]:
    """Return whether a pull says that it went well, and whom it got, how often."""
    taken = run(contestant.command(url, PAGE_SIZE, folder), folder)
    click.echo(f"  {contestant.name}: {taken.wall_s:.1f} s, exit status {taken.status}", err=True)
    return taken.status == 0, contestant.got(folder)

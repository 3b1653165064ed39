"""The score of `make mutants`; fails if what survives is not just what docs/mutation.md explains.

A mutant is known by its file, its function and the lines that it changes, not by its number, so that an
explanation holds while the code around it moves.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/mutation.md"
DEAD = ("killed", "timeout")  # a mutant with which the tests never end is found out, too


class Mutant(NamedTuple):
    """What a mutant changes, and where: `syncfsm/backoff.py: later`, and the lines of its diff."""

    place: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"# {self.place}", *self.lines])


def explained(page: str) -> set[Mutant]:
    """Return the mutants that a page shows, each below a line `# file: function` in a block of diff."""
    mutants = set()
    for block in re.findall(r"^```diff\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for entry in block.split("# ")[1:]:
            place, *lines = entry.splitlines()
            mutants.add(Mutant(place, tuple(line for line in lines if line)))
    return mutants


def survivors() -> Iterator[Mutant]:
    """Yield the mutants of the last run that are not dead."""
    for line in mutmut("results").splitlines():
        name, _, status = line.strip().partition(": ")
        if status and status not in DEAD:
            yield shown(name, mutmut("show", name))


def shown(name: str, diff: str) -> Mutant:
    """Return the mutant `syncfsm.backoff.x_later__mutmut_5` from its diff."""
    module, _, mangled = name.rpartition(".")
    function = re.sub(r"^x_?|__mutmut_\d+$", "", mangled).replace("ǁ", ".").strip(".")
    lines = [line for line in diff.splitlines() if re.match(r"[-+](?![-+]{2} )", line)]
    return Mutant(f"{module.replace('.', '/')}.py: {function}", tuple(lines))


def mutmut(*command: str) -> str:
    """Return what a command of mutmut prints."""
    program = [sys.executable, "-m", "mutmut", *command]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Print the score and whatever is wrong; return the exit status."""
    mutmut("export-cicd-stats")
    stats = json.loads((ROOT / "mutants/mutmut-cicd-stats.json").read_text())
    dead = sum(stats[status] for status in DEAD)
    alive, known = set(survivors()), explained(PAGE.read_text())
    score = f"{dead} of {stats['total']} mutants are killed"
    click.echo(f"{score}; {stats['total'] - dead} survive, {len(alive - known)} of them unexplained")
    is_stale = score not in PAGE.read_text()
    if is_stale:
        click.echo(f"docs/mutation.md states another score than: {score}")
    for mutant in sorted(alive - known):
        click.echo(
            f"\nsurvives unexplained; kill it with a test, or explain it in docs/mutation.md:\n{mutant}"
        )
    for mutant in sorted(known - alive):
        click.echo(f"\nis explained but does not survive; take it out of docs/mutation.md:\n{mutant}")
    return int(alive != known or is_stale or not dead)


if __name__ == "__main__":
    sys.exit(main())

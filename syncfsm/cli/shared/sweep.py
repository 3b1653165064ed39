"""`syncfsm simulate --seeds` and `--until-failure`: many seeds, and what they reached together."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from shlex import quote
from typing import NoReturn

from msgspec import to_builtins
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from syncfsm.cli.shared.output import BROKEN, INTERRUPTED, print_json, say
from syncfsm.core.describe import plural
from syncfsm_simulator.runs.shrink import shrink
from syncfsm_simulator.runs.sweep import Result, Summary, sweep
from syncfsm_simulator.stage.faults import MOVES
from syncfsm_simulator.stage.scenario import Scenario, to_toml

FAILURES_SHOWN_MAX = 10


def run_many(
    scenario: Scenario,
    first: int,
    *,
    seeds: int | None,
    until_failure: bool,
    minutes: float | None,
    jobs: int,
    name: str | None,
    again: str,
    is_shrinking: bool,
    as_json: bool,
) -> NoReturn:
    """Run seeds from `first` on, report, and exit: 3 if one failed.

    Args:
        scenario: What to run.
        first: The first seed; the others follow it.
        seeds: How many; endless if `None`.
        until_failure: Whether to stop at the first that fails.
        minutes: Start none after so long.
        jobs: How many at a time.
        name: The scenario's name or path, if it has one.
        again: The command line that runs one of them, but for its seed.
        is_shrinking: Whether to shrink the first that failed.
        as_json: Whether to print one JSON object.
    """
    numbers = range(first, first + seeds) if seeds else count(first)
    deadline = time.monotonic() + minutes * 60 if minutes else None

    def is_enough(summary: Summary) -> bool:
        is_late = deadline is not None and time.monotonic() > deadline
        return is_late or (until_failure and bool(summary.failures))

    with _progress(seeds) as advance:
        summary = sweep(scenario, numbers, jobs=jobs, is_enough=is_enough, on_result=advance)
    shrunk = _shrunk(scenario, summary, name) if is_shrinking and summary.failures else None
    if as_json:
        print_json(_as_json(summary, again, shrunk))
    else:
        _print(summary, again, shrunk)
    sys.exit(BROKEN if summary.failures else INTERRUPTED if summary.is_interrupted else 0)


class _Advance:
    """Moves the progress bar on with each result."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("seeds", total=total, failed=0)
        self._failed = 0

    def __call__(self, result: Result) -> None:
        self._failed += bool(result.violations)
        self._progress.update(self._task, advance=1, failed=self._failed)


@contextmanager
def _progress(total: int | None) -> Iterator[_Advance]:
    """Show a bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        *Progress.get_default_columns(),
        TextColumn("{task.completed:,} seeds, {task.fields[failed]} failed"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Advance(progress, total)


def _shrunk(scenario: Scenario, summary: Summary, name: str | None) -> str:
    """Shrink the first failing seed; return the name of the TOML file it is written to."""
    seed = min(result.seed for result in summary.failures)
    path = Path(f"{Path(name or 'simulation').stem}-{seed}.toml")
    say(f"shrinking seed {seed} …", err=True)
    path.write_text(to_toml(shrink(scenario, seed)), encoding="utf-8")
    return quote(str(path))


def _as_json(summary: Summary, again: str, shrunk: str | None) -> dict[str, object]:
    return {
        **to_builtins(summary),
        "unreached": summary.unreached(),
        "again": [f"{again} --seed {result.seed}" for result in summary.failures],
        "shrunk": shrunk,
    }


def _print(summary: Summary, again: str, shrunk: str | None) -> None:
    failed = len(summary.failures)
    if summary.is_interrupted:
        say("interrupted: not all seeds have run")
    say(f"{plural(summary.seeds, 'seed')}, {failed or 'none'} failed, in {summary.wall_s:.0f} s")
    if summary.slowest_seed is not None:
        say(f"  slowest      seed {summary.slowest_seed}, {summary.slowest_s:.2f} s")
    faults = {name: count for name, count in summary.faults.items() if name not in MOVES}
    _print_counts("faults", Counter(faults))
    _print_counts("moves", Counter({name: summary.faults[name] for name in MOVES}))
    _print_counts("events", summary.events)
    _print_counts("transitions", summary.transitions)
    unreached = summary.unreached()
    say(f"  not reached  {', '.join(unreached) or 'nothing: every fault, event and transition was'}")
    for result in sorted(summary.failures, key=lambda result: result.seed)[:FAILURES_SHOWN_MAX]:
        for violation in result.violations:
            what = f"{violation.invariant} ({violation.phase})"
            say(f"VIOLATED  seed {result.seed}: {what}: {violation.means} But {violation.seen}.")
        say(f"  again   {again} --seed {result.seed}")
    if failed > FAILURES_SHOWN_MAX:
        say(f"… and {failed - FAILURES_SHOWN_MAX} more")
    if shrunk is not None:
        say(f"  shrunk  syncfsm simulate {shrunk}")


def _print_counts(title: str, counts: Counter[str]) -> None:
    reached = [f"{count:,} {name}" for name, count in counts.items() if count]
    say(f"  {title:<12} {'; '.join(reached) or 'none'}")

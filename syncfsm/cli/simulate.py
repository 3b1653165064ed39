"""`syncfsm simulate`: one seed here, many in `sweep.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins
from msgspec.structs import replace

from syncfsm.cli.shared.extras import require_simulator
from syncfsm.cli.shared.output import BROKEN, FAILED, Command, FiniteRange, json_option, print_json, say
from syncfsm.core.describe import plural
from syncfsm.core.machine import State
from syncfsm.core.summary import summary
from syncfsm.errors import ConfigurationError, LogError
from syncfsm.log import open_log
from syncfsm.postgres.driver import is_postgres

if TYPE_CHECKING:
    from syncfsm_simulator.runs.run import Verdict
    from syncfsm_simulator.stage.scenario import Scenario


@click.command(cls=Command)
@click.argument("scenario_name", metavar="[SCENARIO]", required=False)
@click.option("--list", "is_list", is_flag=True, help="List the scenarios that come with it.")
@click.option("--people", type=click.IntRange(min=0), help="People in the workspace.  [default: 5000]")
@click.option("--page-size", type=click.IntRange(min=1), help="Records a page.  [default: 50]")
@click.option("--seed", type=click.IntRange(min=0), help="The number that decides everything.  [default: 1]")
@click.option("--log", "log_path", help="The event log; made anew.  [default: sim.db]")
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Run so many seeds, from --seed on; no log is kept."
)
@click.option("--until-failure", is_flag=True, help="Run seeds until one fails.")
@click.option("--minutes", type=FiniteRange(min=0, min_open=True), help="Start no seed after so long.")
@click.option("--jobs", type=click.IntRange(min=1), help="Seeds at a time.  [default: one a processor]")
@click.option("--no-shrink", is_flag=True, help="Leave a failing seed as it is.")
@json_option
def simulate(
    *,
    scenario_name: str | None,
    is_list: bool,
    seed: int | None,
    log_path: str | None,
    seeds: int | None,
    until_failure: bool,
    minutes: float | None,
    jobs: int | None,
    no_shrink: bool,
    as_json: bool,
    **asked: int | None,
) -> None:
    """Run a sync in virtual time, against a fake Attio, under faults.

    The real engine, HTTP client and log meet rate limits, outages, moving rows and crashes drawn from the
    seed; then every invariant is checked. The same seed gives the same log, byte for byte. SCENARIO is the
    name of one that comes with it, or a TOML file; what it says, options override.

    With --seeds or --until-failure many seeds run. One that fails is named with the line that runs it again,
    and shrunk to the fewest faults that still fail, written as a TOML file in this folder.

    \b
    syncfsm simulate hostile --seeds 1000
    syncfsm simulate hostile --until-failure --minutes 10
    """  # noqa: D301 - \b keeps click from wrapping the example
    require_simulator()
    if is_list:
        _list(as_json=as_json)
        return
    scenario = _scenario(scenario_name, asked)
    first = scenario.seed if seed is None else seed
    if seeds is None and not until_failure:
        if minutes or jobs or no_shrink:
            raise ConfigurationError("--minutes, --jobs and --no-shrink are for many seeds: add --seeds N")
        _run_one(scenario, first, log_path or "sim.db", as_json=as_json)
    if log_path is not None:
        raise ConfigurationError("many seeds keep no log: leave out --log, or run one of them with --seed")
    from syncfsm.cli.shared.sweep import run_many  # noqa: PLC0415 - one seed needs none of it

    run_many(
        scenario,
        first,
        seeds=seeds,
        until_failure=until_failure,
        minutes=minutes,
        jobs=jobs or os.cpu_count() or 1,
        name=scenario_name,
        again=_command_line(scenario_name, asked),
        is_shrinking=not no_shrink,
        as_json=as_json,
    )


def _list(*, as_json: bool) -> None:
    from syncfsm_simulator.stage.scenario import named_scenarios  # noqa: PLC0415 - the simulator is an extra

    named = {name: scenario.about for name, scenario in named_scenarios().items()}
    if as_json:
        print_json({"scenarios": named})
        return
    for name, about in named.items():
        say(f"{name:<14} {about}")


def _scenario(name: str | None, asked: dict[str, int | None]) -> Scenario:
    from syncfsm_simulator.stage.scenario import Scenario, load_scenario  # noqa: PLC0415 - the simulator is an extra

    scenario = load_scenario(name) if name else Scenario()
    return replace(scenario, **{name: value for name, value in asked.items() if value is not None})


def _command_line(name: str | None, asked: dict[str, int | None]) -> str:
    """Return the command that runs this scenario, but for the seed."""
    options = [f"--{key.replace('_', '-')} {value}" for key, value in asked.items() if value is not None]
    return " ".join(["syncfsm simulate", *([quote(name)] if name else []), *options])


def _run_one(scenario: Scenario, seed: int, log_path: str, *, as_json: bool) -> None:
    from syncfsm_simulator.runs.run import simulate as run  # noqa: PLC0415 - the simulator is an extra

    _make_way(log_path)
    with open_log(log_path) as log:
        verdict = run(scenario, seed, log)
    if as_json:
        print_json(_as_json(verdict))
    else:
        _print(verdict, scenario, log_path)
    sys.exit(_status(verdict))


def _make_way(log_path: str) -> None:
    """Delete the log of an earlier simulation; refuse to touch anything else."""
    from syncfsm_simulator.stage.set_up import SOURCE  # noqa: PLC0415 - the simulator is an extra

    if is_postgres(log_path):
        raise ConfigurationError(
            "a simulation makes its log anew, and deletes none on a server: name a file with --log; "
            "`syncfsm log export` and `log import` bring it there"
        )
    if not Path(log_path).exists():
        return
    try:
        with open_log(log_path, read_only=True) as log:
            sources = {log.load(process_id).source for process_id in log.ids()}
    except LogError as error:
        raise ConfigurationError(f"{log_path} is there, but no log of a simulation: {error}") from error
    if sources - {SOURCE}:
        raise ConfigurationError(
            f"{log_path} is the log of real syncs ({', '.join(sorted(sources))}): name another with --log"
        )
    try:
        for suffix in ("", "-wal", "-shm"):
            Path(log_path + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{log_path} cannot be made anew: {error.strerror}") from error


def _status(verdict: Verdict) -> int:
    if verdict.violations:
        return BROKEN
    return 0 if verdict.process.state is State.COMPLETED else FAILED


def _as_json(verdict: Verdict) -> dict[str, Any]:
    rest = to_builtins(verdict)
    del rest["process"], rest["strikes"]
    return {**summary(verdict.process), **rest}


def _print(verdict: Verdict, scenario: Scenario, log_path: str) -> None:
    from syncfsm_simulator.stage.faults import MOVES  # noqa: PLC0415 - the simulator is an extra

    process, progress = verdict.process, verdict.process.progress
    faults = [f"{count} {name}" for name, count in verdict.faults.items() if name not in MOVES]
    say(f"{process.state}: {plural(progress.delivered, 'person', 'people')} of a simulated workspace")
    moved = verdict.changes
    say(
        f"  world       {plural(verdict.people, 'person', 'people')} at the start; meanwhile "
        f"{moved['created']:,} came, {moved['updated']:,} changed, {moved['deleted']:,} went"
    )
    say(f"  pages       {progress.pages:,} delivered with {plural(verdict.requests, 'request')}")
    say(f"  faults      {', '.join(faults) or 'none'}")
    say(
        f"  retries     {progress.retries:,}, {progress.rate_limited:,} of them rate-limited; "
        f"{plural(progress.shifts, 'shift')} of the pages; {plural(verdict.starts - 1, 'restart')}"
    )
    say(f"  time        {verdict.virtual_s:,.1f} s virtual, {verdict.wall_s:.2f} s real")
    if process.failure is not None:
        say(f"  failed      {process.failure.action}: {process.failure.error}")
    if scenario.criteria:
        _print_criteria(verdict)
    for violation in verdict.violations:
        what = f"{violation.invariant} ({violation.phase})"
        say(f"  VIOLATED    {what}: {violation.means} But {violation.seen}.")
    if not verdict.violations:
        say("  invariants  all hold: nothing lost, nothing twice, log sound")
    look = f"syncfsm replay {quote(log_path)} {process.id} --at {max(1, process.version // 2)}"
    is_kept = log_path != ":memory:"
    say(f"  next        {look if is_kept else 'keep the log, to replay it: --log sim.db'}")


def _print_criteria(verdict: Verdict) -> None:
    from syncfsm_simulator.runs.criteria import CRITERIA  # noqa: PLC0415 - the simulator is an extra

    unmet = {violation.invariant for violation in verdict.violations}
    for criterion in CRITERIA:
        mark = "not met" if criterion.__name__ in unmet else "met"
        say(f"  criterion   {mark}: {(criterion.__doc__ or '').strip()}")

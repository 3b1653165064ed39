"""`syncfsm simulate`."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins
from msgspec.structs import replace

from syncfsm.cli.output import BROKEN, FAILED, Command, json_option, plural, print_json
from syncfsm.errors import ConfigurationError, LogError
from syncfsm.log import open_log
from syncfsm.machine import State
from syncfsm.summary import summary

if TYPE_CHECKING:
    from simulator.run import Verdict
    from simulator.scenario import Scenario


@click.command(cls=Command)
@click.argument("scenario_path", metavar="[SCENARIO.toml]", required=False)
@click.option("--people", type=click.IntRange(min=0), help="People in the workspace.  [default: 5000]")
@click.option("--page-size", type=click.IntRange(min=1), help="Page length.  [default: 50]")
@click.option("--seed", default=1, show_default=True, help="The number that decides everything.")
@click.option("--log", "log_path", default="sim.db", show_default=True, help="The event log; made anew.")
@json_option
def simulate(
    *, scenario_path: str | None, seed: int, log_path: str, as_json: bool, **asked: int | None
) -> None:
    """Run a sync in virtual time, against a fake Attio, under faults.

    The real engine, HTTP client and log meet rate limits, outages, moving rows and crashes drawn from the
    seed; then every invariant is checked. The same seed gives the same log, byte for byte. What a scenario
    file says, options override.
    """
    _require_simulator()
    from simulator.run import simulate as run  # noqa: PLC0415 - the simulator is an extra

    scenario = _scenario(scenario_path, asked)
    _make_way(log_path)
    with open_log(log_path) as log:
        verdict = run(scenario, seed, log)
    if as_json:
        print_json(_as_json(verdict))
    else:
        _print(verdict, log_path)
    sys.exit(_status(verdict))


def _require_simulator() -> None:
    try:
        import looptime  # noqa: F401, PLC0415 - asked for by name, to say what is missing
    except ModuleNotFoundError as error:
        raise ConfigurationError("the simulator is an extra: pip install 'syncfsm[sim]'") from error


def _scenario(path: str | None, asked: dict[str, int | None]) -> Scenario:
    from simulator.scenario import Scenario, load_scenario  # noqa: PLC0415 - the simulator is an extra

    scenario = load_scenario(path) if path else Scenario()
    return replace(scenario, **{name: value for name, value in asked.items() if value is not None})


def _make_way(log_path: str) -> None:
    """Delete the log of an earlier simulation; refuse to touch anything else."""
    from simulator.run import SOURCE  # noqa: PLC0415 - the simulator is an extra

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
    for suffix in ("", "-wal", "-shm"):
        Path(log_path + suffix).unlink(missing_ok=True)


def _status(verdict: Verdict) -> int:
    if verdict.violations:
        return BROKEN
    return 0 if verdict.process.state is State.COMPLETED else FAILED


def _as_json(verdict: Verdict) -> dict[str, Any]:
    rest = to_builtins(verdict)
    del rest["process"]
    return {**summary(verdict.process), **rest}


def _print(verdict: Verdict, log_path: str) -> None:
    process, progress = verdict.process, verdict.process.progress
    struck = ", ".join(f"{count} {name}" for name, count in verdict.faults.items()) or "none"
    click.echo(f"{process.state}: {plural(progress.delivered, 'person', 'people')} of a simulated workspace")
    moved = verdict.changes
    click.echo(
        f"  world       {plural(verdict.people, 'person', 'people')} at the start; meanwhile "
        f"{moved['created']:,} came, {moved['updated']:,} changed, {moved['deleted']:,} went"
    )
    click.echo(f"  pages       {progress.pages:,} delivered with {plural(verdict.requests, 'request')}")
    click.echo(f"  faults      {struck}")
    click.echo(
        f"  retries     {progress.retries:,}, {progress.rate_limited:,} of them rate-limited; "
        f"{plural(progress.shifts, 'shift')} of the pages; {plural(verdict.starts - 1, 'restart')}"
    )
    click.echo(f"  time        {verdict.virtual_s:,.1f} s virtual, {verdict.wall_s:.2f} s real")
    for violation in verdict.violations:
        click.echo(f"  VIOLATED    {violation.invariant}: {violation.means} But {violation.seen}.")
    if not verdict.violations:
        click.echo("  invariants  all hold: nothing lost, nothing twice, log sound")
    click.echo(f"  next        syncfsm replay {quote(log_path)} --at {max(1, process.version // 2)}")

"""`python -m benchmarks`: replay, append and first state, ours beside a peer's, in turns. See README.md."""

from __future__ import annotations

import sqlite3
import sys
from importlib.metadata import version
from importlib.util import find_spec

import click
import msgspec

from benchmarks.turns import Result, Spread, all_measured


@click.command()
@click.option("--events", "events_min", default=50_000, show_default=True, help="Events of each sync.")
@click.option(
    "--turns", default=5, show_default=True, help="Times that each is measured, one after the other."
)
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object.")
def main(events_min: int, turns: int, *, as_json: bool) -> None:
    """Measure how fast logs of several kinds of syncs are written and replayed."""
    results = []
    for found in all_measured(events_min=events_min, turns=turns):
        results.append(found)
        if not as_json:
            _print(found)
    if as_json:
        click.echo(msgspec.json.encode({"machine": _machine(), "results": results}).decode())
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in _machine().items()))


def _machine() -> dict[str, str]:
    """Return what the figures depend on."""
    packages = {name: version(name) for name in ("msgspec", "eventsourcing") if find_spec(name)}
    return {"Python": sys.version.replace("\n", ""), "SQLite": sqlite3.sqlite_version, **packages}


def _print(found: Result) -> None:
    click.echo(f"{found.workload}: {found.events:,} events, {found.bytes_per_event:,} bytes of data each")
    click.echo(_line("", "replay, events/s", "per s of CPU", "append, events/s", "first state, ms"))
    ours = found.measured[0].replay_events_per_cpu_s.median
    for one in found.measured:
        of_cpu = one.replay_events_per_cpu_s.median
        replay, append = _cell(one.replay_events_per_s, ",.0f"), _cell(one.append_events_per_s, ",.0f")
        first_state = _cell(one.first_state_ms, ".2f")
        click.echo(_line(one.name, replay, f"{of_cpu:,.0f} {ours / of_cpu:>4.1f}x", append, first_state))


def _line(name: str, replay: str, of_cpu: str, append: str, first_state: str) -> str:
    return f"  {name:<28}{replay:>26}{of_cpu:>15}{append:>24}{first_state:>22}"


def _cell(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({spread.least:{form}}-{spread.most:{form}})"


if __name__ == "__main__":
    sys.exit(main())

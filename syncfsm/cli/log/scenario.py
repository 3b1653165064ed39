"""`syncfsm log scenario`: from a process in a log to a scenario that takes the same path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from syncfsm.cli.shared.extras import require_simulator
from syncfsm.cli.shared.output import Command, json_option, print_json
from syncfsm.errors import NotReproducible
from syncfsm.history.replay import Moment, find, moments
from syncfsm.log import open_log
from syncfsm.log.checks.rules import ensure_chained

if TYPE_CHECKING:
    from syncfsm_simulator.stage.scenario import Scenario


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.option("--no-check", is_flag=True, help="Do not play the scenario to see that it takes the same path.")
@json_option
def scenario(*, log_path: str, process: str | None, no_check: bool, as_json: bool) -> None:
    """Print a scenario that takes the path of a process again, for `simulate`.

    It has the same pages, failures, waits, shifts, crashes and rejects at the same places, and nobody in
    it: no record, no name, no address, no words of a server. PROCESS may be a unique prefix; left out, it
    is the last one that began.

    The scenario is played in memory first; if it strays, nothing is printed but where, and the exit status
    is 3.

    \b
    syncfsm log scenario sync.db > incident.toml
    syncfsm simulate incident.toml
    """  # noqa: D301 - \b keeps click from wrapping the example
    require_simulator()
    with open_log(log_path, read_only=True) as log:
        process_id = find(log, process)
        ensure_chained(log, process_id)
        history = list(moments(log, process_id))
    text = _text(history, is_checked=not no_check)
    if as_json:
        print_json({"process": history[0].after.id, "checked": not no_check, "scenario": text})
    else:
        click.echo(text.encode(), nl=False)


def _text(history: list[Moment], *, is_checked: bool) -> str:
    from syncfsm_simulator.incidents.from_log import to_scenario  # noqa: PLC0415 - the simulator is an extra
    from syncfsm_simulator.stage.scenario import from_toml, to_toml  # noqa: PLC0415 - likewise

    text = to_toml(to_scenario(history))
    if is_checked:
        _check(from_toml(text, "of this process"), history)
    return text


def _check(found: Scenario, history: list[Moment]) -> None:
    from syncfsm_simulator.incidents.playing import strays  # noqa: PLC0415 - the simulator is an extra

    parting = strays(found, (moment.recorded for moment in history))
    if parting is not None:
        raise NotReproducible(
            f"the scenario does not take the path of process {history[0].after.id}: {parting.words()}. "
            "Please report it; --no-check prints the scenario as it is."
        )

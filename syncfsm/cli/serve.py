"""`syncfsm serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from syncfsm.cli.shared.output import Command, FiniteRange, say
from syncfsm.errors import ConfigurationError
from syncfsm.outside.clock import SystemClock

PEOPLE_MAX = 1_000_000
"""They are all held in memory; more would take it up before the first answer."""

if TYPE_CHECKING:
    from syncfsm_simulator.fakes.asgi import App


@click.command(cls=Command)
@click.option(
    "--port",
    default=8787,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Where on this machine; 0 for any free port.",
)
@click.option(
    "--people",
    default=5000,
    show_default=True,
    type=click.IntRange(0, PEOPLE_MAX),
    help="People in the workspace.",
)
@click.option(
    "--workspaces",
    default=1,
    show_default=True,
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Workspaces of so many people each, by their tokens: workspace-1, workspace-2, …",
)
@click.option("--seed", default=1, show_default=True, help="Decides who the people are.")
@click.option(
    "--latency-ms",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="How long each answer takes.",
)
@click.option(
    "--rate-limit",
    default=100,
    show_default=True,
    type=click.IntRange(min=1),
    help="Reads allowed in a second.",
)
@click.option("--api-key", help="The only token accepted; any is, if not given.")
@click.option(
    "--moving",
    default=0.0,
    show_default=True,
    type=FiniteRange(0, 1000),
    help="People who come, change or go, a second, from the first request on.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KNOB=VALUE",
    help="Set one of the fake's knobs, such as writes_per_s=5; docs/fake-attio.md has them all.",
)
@click.option("--quo-api-key", help="The only key that the fake Quo accepts; any is, if not given.")
def serve(
    *,
    port: int,
    people: int,
    workspaces: int,
    seed: int,
    latency_ms: int,
    rate_limit: int,
    api_key: str | None,
    moving: float,
    settings: tuple[str, ...],
    quo_api_key: str | None,
) -> None:
    """Serve the fake Attio over HTTP on this machine, and a fake Quo beside it.

    The first line on stdout is its URL, which answers as both: their paths differ. Ctrl-C stops
    it. Webhooks may be sent to http:// on this machine.

    \b
    syncfsm serve --people 5000
    ATTIO_API_KEY=any syncfsm sync --source attio --base-url http://127.0.0.1:8787 --sink sqlite:contacts.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    try:
        from syncfsm_simulator.fakes.serve import serve as run  # noqa: PLC0415 - the simulator is an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError("the fake server is an extra: pip install 'syncfsm[sim]'") from error
    from syncfsm_simulator.fakes.attio import FakeAttio  # noqa: PLC0415 - likewise
    from syncfsm_simulator.fakes.attio.knobs import read_knobs  # noqa: PLC0415 - likewise
    from syncfsm_simulator.fakes.attio.workspaces import Workspaces, token  # noqa: PLC0415 - likewise
    from syncfsm_simulator.fakes.background_changes import Moving  # noqa: PLC0415 - likewise
    from syncfsm_simulator.fakes.quo.app import FakeQuo, beside  # noqa: PLC0415 - likewise
    from syncfsm_simulator.world.clock import EPOCH  # noqa: PLC0415 - likewise
    from syncfsm_simulator.world.world import World  # noqa: PLC0415 - likewise

    if workspaces > 1 and api_key:
        raise ConfigurationError(
            "--api-key is the token of one workspace, and --workspaces gives each its own"
        )
    clock = SystemClock()
    named = {"reads_per_s": str(rate_limit), "latency_s": str(latency_ms / 1000), "http_targets": "true"}
    named |= {"api_key": api_key} if api_key else {}
    knobs = read_knobs([*map("=".join, named.items()), *settings])

    def workspace(number: int, **only: str) -> App:
        world = World(seed + number, people=people, now=EPOCH)
        fake = FakeAttio(world, clock, **(msgspec.structs.asdict(knobs) | only))
        return Moving(fake, world, clock, per_s=moving, seed=seed + number) if moving else fake

    if workspaces == 1:
        attio = workspace(0)
    else:
        attio = Workspaces({token(n): workspace(n, api_key=token(n)) for n in range(workspaces)})
    quo = FakeQuo(clock, api_key=quo_api_key, latency_ms=(latency_ms, latency_ms))
    run(beside(quo, attio), port, _say)


def _say(url: str) -> None:
    """Print the URL by itself, for programs, and then what it is good for."""
    say(url)
    say(f"{url} answers as Attio (--base-url) and as Quo (--sink quo:{url})")

"""`syncfsm sync`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, get_args

import click

from syncfsm.cli.apart import check_sink_file
from syncfsm.cli.output import Resumable
from syncfsm.cli.running import leave_if_off, limits, report, run, sync_options
from syncfsm.contact import Contact
from syncfsm.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.events import Order
from syncfsm.log import open_log
from syncfsm.process import Process

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--order",
        type=click.Choice(get_args(Order)),
        default="newest",
        show_default=True,
        help="Which records come first.",
    ),
    click.option("--fresh", is_flag=True, help="Start anew, even where a sync could go on."),
)


def beginning_options(command: F) -> F:
    """Give a command the options that say how a sync begins."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=Resumable)
@sync_options
@beginning_options
def sync(*, log_path: str, as_json: bool, **asked: Any) -> None:
    """Sync the people of an Attio workspace into a sink.

    The key comes from the variable ATTIO_API_KEY. Run the same command again after a crash, a failure,
    Ctrl-C or SIGTERM: the sync goes on where it stopped. `syncfsm check` says beforehand what it would do.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    leave_if_off(asked["source"], as_json=as_json)
    check_sink_file(asked["sink_url"], log_path)
    with open_log(log_path) as log:
        process = run(log, beginning(**asked), as_json=as_json, **asked)
    assert process is not None, "a sync always has something to do"
    sys.exit(report(process, log_path, as_json=as_json))


def _say(words: str) -> None:
    click.echo(words, err=True)


def beginning(
    *,
    fresh: bool,
    settings: tuple[str, ...],
    page_size: int,
    order: Order,
    say: Callable[[str], None] = _say,
    **_: Any,
) -> Callable[[Engine[Contact]], Process]:
    """Return how a sync begins: what is unfinished goes on, unless all is to start anew."""
    wanted: dict[str, Any] = {"settings": settings, "page_size": page_size, "order": order}
    return partial(_start_anew, say=say, **wanted) if fresh else partial(_take_up, **wanted)


def _take_up(engine: Engine[Contact], settings: tuple[str, ...], **wanted: Any) -> Process:
    options = limits(engine, engine.unfinished(), settings)
    try:
        return engine.take_up(options=options, **wanted)
    except ConfigurationError as error:
        how = " with --fresh" if str(error).endswith("start anew") else ""
        raise ConfigurationError(f"{error}{how}") from error


def _start_anew(
    engine: Engine[Contact], settings: tuple[str, ...], say: Callable[[str], None], **wanted: Any
) -> Process:
    options = limits(engine, None, settings)
    active = engine.active()
    if active is not None:
        engine.cancel(active.id, by="cli", why="started anew with --fresh")
        say(f"cancelled process {active.id}, which was active: --fresh starts anew")
    return engine.start(options=options, **wanted)

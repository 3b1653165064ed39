"""How commands speak: results on stdout, everything else on stderr; errors without tracebacks."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click
import msgspec

from syncfsm.errors import (
    CorruptLog,
    InvalidTransition,
    LogUnwritable,
    NotReproducible,
    SyncfsmError,
    VersionConflict,
)

FAILED = 1
WRONG_USE = 2
BROKEN = 3
INTERRUPTED = 130
PIPE_CLOSED = 141
TERMINATED = 143

_STATUS: dict[type[SyncfsmError], int] = {
    LogUnwritable: FAILED,
    VersionConflict: FAILED,
    CorruptLog: BROKEN,
    InvalidTransition: BROKEN,
    NotReproducible: BROKEN,
}

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print exactly one JSON object on stdout, for machines."
)


class Command(click.Command):
    """A command whose expected errors end in one line and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn this package's errors into words."""
        try:
            return super().invoke(ctx)
        except SyncfsmError as error:
            _stop(ctx, str(error), type(error).__name__, _STATUS.get(type(error), WRONG_USE))
        except KeyboardInterrupt:
            words = "interrupted; run the same command again to go on where it stopped"
            _stop(ctx, words, "Interrupted", INTERRUPTED)


def _stop(ctx: click.Context, words: str, kind: str, status: int) -> NoReturn:
    if ctx.params.get("as_json"):
        print_json({"error": words, "type": kind})
    click.echo(f"error: {words}", err=True)
    sys.exit(status)


def print_json(value: Any) -> None:
    """Print one JSON object."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())

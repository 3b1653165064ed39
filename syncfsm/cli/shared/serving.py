"""What those share that run for ever: engines one by one, a line for each sync, trouble on stderr."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from syncfsm.cli.shared.file_conflicts import check_sink_file
from syncfsm.cli.shared.metrics import metrics_served
from syncfsm.cli.shared.output import print_json_line, say
from syncfsm.cli.shared.running import Show, make_engine, make_source, secrets_given
from syncfsm.core.describe import counts_words, plural
from syncfsm.core.limits import with_limits
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.core.summary import summary
from syncfsm.engine.engine import Engine
from syncfsm.errors import SyncfsmError
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog


@contextmanager
def engines(
    log: EventLog, *, log_path: str, verbose: bool, metrics: str | None, **asked: Any
) -> Iterator[Callable[[], Engine[Contact]]]:
    """Yield what makes the engine of each sync; what the options cannot make is said before the first.

    Raises:
        ConfigurationError: The sink's file is the log, or no engine can be made.
    """
    check_sink_file(asked["sink_url"], log_path)
    asyncio.run(make_engine(log, [], **asked).aclose())
    with metrics_served(metrics) as hooks:
        show = Show(secrets_given(**asked), verbose=verbose, is_live=False)

        def make() -> Engine[Contact]:
            return make_engine(log, [show, *hooks], **asked)

        yield make


def limits_asked(settings: tuple[str, ...], **asked: Any) -> Options | None:
    """Return the options of new processes, if any limit is set."""
    return with_limits(make_source(**asked).source.options, settings) if settings else None


def say_over(process: Process, *, as_json: bool, sync: str = "") -> None:
    """Print what a sync came to: one line; with its name, where there are several."""
    if as_json:
        print_json_line({"sync": sync, **summary(process)} if sync else summary(process))
    else:
        say(_line(process, sync))
    sys.stdout.flush()
    if process.failure is not None:
        say(f"error: {_of(sync)}{process.failure.error}", err=True)


def say_trouble(error: SyncfsmError, *, sync: str = "") -> None:
    """Say on stderr why a sync could not begin or go on now."""
    say(f"waiting: {_of(sync)}{error}", err=True)


def _of(sync: str) -> str:
    return f"{sync}: " if sync else ""


def _line(process: Process, sync: str) -> str:
    progress = process.progress
    state = "" if process.state is State.COMPLETED else f" {process.state}"
    named = f"{sync}  " if sync else ""
    return (
        f"{process.updated_at:%Y-%m-%d %H:%M:%S}  {named}{process.id}  {process.mode:<7}{state}  "
        f"{plural(progress.fetched, 'record')}: {counts_words(progress)}, {progress.rejected:,} rejected"
    )

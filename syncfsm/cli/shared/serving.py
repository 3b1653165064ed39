"""What `watch` and `webhooks` share: engines one after the other, a line for each sync, trouble on stderr."""

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


def say_over(process: Process, *, as_json: bool) -> None:
    """Print what a sync came to: one line."""
    if as_json:
        print_json_line(summary(process))
    else:
        say(_line(process))
    sys.stdout.flush()
    if process.failure is not None:
        say(f"error: {process.failure.error}", err=True)


def say_trouble(error: SyncfsmError) -> None:
    """Say on stderr why a sync could not begin or go on now."""
    say(f"waiting: {error}", err=True)


def _line(process: Process) -> str:
    progress = process.progress
    state = "" if process.state is State.COMPLETED else f" {process.state}"
    return (
        f"{process.updated_at:%Y-%m-%d %H:%M:%S}  {process.id}  {process.mode:<7}{state}  "
        f"{plural(progress.fetched, 'record')}: {counts_words(progress)}, {progress.rejected:,} rejected"
    )

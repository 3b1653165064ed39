"""`syncfsm top`: the running syncs of a log, as a table that keeps itself up to date."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.filters import Wanted, filter_options
from syncfsm.cli.shared.output import INTERRUPTED, TERMINATED, Command, FiniteRange, json_option, print_json
from syncfsm.cli.shared.top_view import Pace, Sight, sight, span_words
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.source_name import account_of
from syncfsm.core.summary import summary
from syncfsm.errors import LogNotFound
from syncfsm.log import log_name
from syncfsm.log.protocol import EventLog
from syncfsm.log.tail import Watch, is_passing
from syncfsm.outside.clock import SystemClock
from syncfsm.outside.safe_words import printable
from syncfsm.postgres.driver import is_postgres

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 110
"""Characters that a line needs to show everything."""

OVER_LOOKED_MAX = 1000
"""How many more of those that are over are looked at for the last of an account, of a state or of a mode."""

_WIDTH = 160  # where no terminal says how wide it is

_STYLES = {State.INITIALIZING: "cyan", State.FETCHING: "green", State.FAILED: "red"}


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.option("--once", is_flag=True, help="Print the table once; so it is, too, where there is no terminal.")
@click.option(
    "--over", "over_max", type=click.IntRange(0), default=5, show_default=True, help="How many that are over."
)
@click.option(
    "--interval",
    "interval_s",
    type=FiniteRange(0.05, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
@filter_options
@json_option
def top(*, log_path: str, once: bool, over_max: int, interval_s: float, as_json: bool, **asked: Any) -> None:
    """Show the running syncs of a log, live, and the last that are over.

    How far and how fast each is, what it waits for and how long, when it was last heard of, and how far its
    sink lags behind: the age of the last complete sync's watermark; with several workers, which of them is on
    it. The log is only read. q or Ctrl-C leaves.
    """
    with Watch(log_path) as watch:
        view = _View(watch, log_name(log_path), over_max, Wanted(**asked))
        if as_json:
            print_json(view.as_json())
        elif once or not sys.stdout.isatty():
            _print_once(view)
        else:
            sys.exit(_show_live(view, interval_s))


class _View:
    """What is to be seen in a log now."""

    def __init__(self, watch: Watch, name: str, over_max: int, wanted: Wanted) -> None:
        self._watch = watch
        self._name = name
        self._over_max = over_max
        self._wanted = wanted
        self._pace = Pace()
        self._now: Callable[[], datetime] = SystemClock().now
        self._last: list[Sight] = []

    def sights(self) -> list[Sight]:
        """Return the processes as they look now; as they last looked where the log cannot be read.

        Raises:
            LogError: There is no such log, or it cannot be read, and waiting would not help.
        """
        found = self._watch.look(self._read)
        trouble = self._watch.trouble
        if trouble and not self._last and (isinstance(trouble, LogNotFound) or not is_passing(trouble)):
            raise trouble
        self._last = self._last if found is None else found
        return self._last

    def settled(self) -> list[Sight]:
        """Return the processes as they look now, for one who looks once. Raises `LogError` as they do."""
        found = self.sights()
        if self._watch.trouble:
            raise self._watch.trouble
        return found

    def _read(self, log: EventLog) -> list[Sight]:
        processes = self._processes(log)
        self._pace.forget_others(processes)
        now, workers = self._now(), _workers(log)
        return [
            sight(
                process,
                now,
                pace=self._pace,
                last_sync_at=_last_sync_at(log, process),
                worker=workers.get(process.id),
            )
            for process in processes
        ]

    def _processes(self, log: EventLog) -> list[Process]:
        """Return the active processes, and the last that are over, of those that are asked for."""
        if not self._wanted:
            return log.recent(over_max=self._over_max)
        found = list(filter(self._wanted, log.recent(over_max=self._over_max + OVER_LOOKED_MAX)))
        active = [process for process in found if process.is_active]
        return active + [process for process in found if not process.is_active][: self._over_max]

    def as_json(self) -> dict[str, Any]:
        """Return what is to be seen, ready for JSON."""
        return {"log": self._name, "processes": [_as_json(seen) for seen in self.settled()]}

    def table(self, sights: list[Sight], width: int) -> Table:
        """Return what is to be seen, for a person whose screen is so many characters wide."""
        from rich.table import Table  # noqa: PLC0415 - rich is loaded when it is used
        from rich.text import Text  # noqa: PLC0415 - likewise

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", caption_justify="left")
        left_out = _not_needed(sights) | (set() if width >= WIDE else _ONLY_WIDE)
        shown = [name for name in _COLUMNS if name not in left_out]
        for name in shown:
            table.add_column(name, justify=_COLUMNS[name], no_wrap=name not in _WRAPPED, overflow="fold")
        for seen in sights:
            cells = dict(zip(_COLUMNS, _cells(seen), strict=True))
            table.add_row(*map(cells.get, shown), style=None if seen.process.is_active else "dim")
        trouble = self._watch.trouble
        words = f"waiting: {trouble}" if trouble else f"{self._name}: {_count(sights)}"
        table.caption = Text(printable(words))
        return table


def _not_needed(sights: list[Sight]) -> set[str]:
    """Return the columns in which nobody has anything."""
    told = {"account": any(account_of(seen.process.source) for seen in sights)}
    told["worker"] = any(seen.worker for seen in sights)
    return {name for name, is_told in told.items() if not is_told}


def _workers(log: EventLog) -> dict[str, str]:
    """Return which worker is on which process; none on a log that no workers share."""
    if not is_postgres(log.path):
        return {}
    from syncfsm.log.postgres.store import PostgresLog  # noqa: PLC0415 - a backend is loaded when it is used
    from syncfsm.workers.queue.turns import workers_on  # noqa: PLC0415 - an extra

    return log.ask(workers_on) if isinstance(log, PostgresLog) else {}


def _last_sync_at(log: EventLog, process: Process) -> datetime | None:
    """Return what the sink of a process has seen, by the last sync that was completed into it."""
    last = log.last_completed(process.source, process.object, process.sink)
    return last.watermark if last else None


def _as_json(seen: Sight) -> dict[str, Any]:
    return {**summary(seen.process), **to_builtins(seen), "process": seen.process.id}


_COLUMNS: dict[str, Any] = {
    "process": "left",
    "account": "left",
    "worker": "left",
    "sync": "left",
    "state": "left",
    "pages": "right",
    "records": "right",
    "rejected": "right",
    "records/s": "right",
    "retries": "right",
    "last event": "right",
    "lag": "right",
    "waiting": "left",
}

_ONLY_WIDE = {"sync", "pages", "rejected", "lag"}
"""Columns that are left out on a screen narrower than `WIDE`."""

_WRAPPED = {"sync", "waiting"}
"""Columns that give way first on a narrow terminal."""


def _cells(seen: Sight) -> list[Any]:
    from rich.text import Text  # noqa: PLC0415 - rich is loaded when it is used

    process, progress = seen.process, seen.process.progress
    return [
        Text(printable(process.id)),
        Text(account_of(process.source)),
        Text(printable(seen.worker or "")),
        Text(printable(f"{process.object} of {process.source} → {process.sink}")),
        Text(process.state.value, style=_STYLES.get(process.state, "")),
        f"{progress.pages:,}",
        f"{progress.fetched:,}",
        f"{progress.rejected:,}",
        f"{seen.records_per_s:,.0f}",
        f"{progress.retries:,}",
        f"{span_words(seen.last_event_age_s)} ago",
        "" if seen.lag_s is None else span_words(seen.lag_s),
        Text(printable(_waiting(seen))),
    ]


def _waiting(seen: Sight) -> str:
    retry = seen.process.retry
    if seen.waiting_s is None or retry is None:
        return seen.process.failure.reason if seen.process.failure else ""
    return f"{span_words(seen.waiting_s)}, until {retry.retry_at:%H:%M:%S}: {seen.waiting_for}"


def _count(sights: list[Sight]) -> str:
    active = sum(seen.process.is_active for seen in sights)
    return f"{active} active, {len(sights) - active} over"


def _print_once(view: _View) -> None:
    from rich.console import Console  # noqa: PLC0415 - rich is loaded when it is used

    sights = view.settled()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(view.table(sights, console.width))


def _show_live(view: _View, interval_s: float) -> int:
    """Show the table until somebody leaves; leave the last one on the screen. Return the exit status."""
    from rich.console import Console  # noqa: PLC0415 - rich is loaded when it is used
    from rich.live import Live  # noqa: PLC0415 - likewise

    from syncfsm.cli.shared.keys import pause_until_left  # noqa: PLC0415 - only where there is a terminal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # or the terminal would stay as it is
    console = Console()
    table = view.table(view.sights(), console.width)
    status = 0
    try:
        with (
            pause_until_left() as pause,
            Live(table, console=console, screen=True, auto_refresh=False) as live,
        ):
            while not pause(interval_s):
                table = view.table(view.sights(), console.width)
                live.update(table, refresh=True)
    except KeyboardInterrupt:
        status = INTERRUPTED
    console.print(table)
    return status

"""`syncfsm log follow`: events as they come, like `tail -f`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import click

from syncfsm.cli.shared.events import event_line, event_object
from syncfsm.cli.shared.filters import Wanted, following_options
from syncfsm.cli.shared.output import FAILED, INTERRUPTED, Command, FiniteRange, print_json_line, say
from syncfsm.core.events import Recorded
from syncfsm.core.machine import State
from syncfsm.errors import LogNotFound, ProcessNotFound
from syncfsm.history.replay import choose
from syncfsm.log.protocol import EventLog
from syncfsm.log.tail import Follower, Watch, is_passing
from syncfsm.outside.clock import SystemClock

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LOOKED_MAX = 1000
"""How many more past events are looked at for the last of an account or a mode."""

_TIMES = "2026-01-31T09:30 (UTC), or 90s, 10m, 2h, 1d for so long ago"


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Return the moment that is meant: ISO 8601, in UTC unless it says otherwise, or so long ago."""
    if value is None:
        return None
    ago = re.fullmatch(r"(\d{1,9})([smhd])", value)
    try:
        if ago:
            return SystemClock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is no time: give one like {_TIMES}") from error


@click.command(cls=Command)
@click.argument("log_path", metavar="LOG")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.option(
    "-n",
    "last",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Show so many past events first.",
)
@click.option("--since", metavar="TIME", callback=_moment, help=f"Show those from then on: {_TIMES}.")
@click.option(
    "--until-over",
    is_flag=True,
    help="End when the process (the last that began, if none is named) is over: status 0 if it is complete, "
    "1 if it failed or was cancelled.",
)
@following_options
@click.option("--wait", is_flag=True, help="Wait for a log or a process that is not there yet.")
@click.option(
    "--interval",
    "interval_s",
    type=FiniteRange(0.01, 3600),
    default=0.2,
    show_default=True,
    help="Seconds between looks.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON Lines: one object for each event, as it comes."
)
def follow(*, log_path: str, interval_s: float, **asked: Any) -> None:
    """Show events as they come, from whatever process writes them.

    PROCESS may be a unique prefix; left out, all processes are followed, each line with its process. The log
    is only read, and never held: whoever writes to it does not notice. Ctrl-C ends it. With --json, this is
    the one command that prints more than one JSON object.

    \b
    syncfsm log follow sync.db --wait --until-over
    """  # noqa: D301 - \b keeps click from wrapping the example
    with Watch(log_path, busy_timeout_s=min(interval_s, 0.2)) as watch:
        sys.exit(_quietly(_Following(watch, lambda: time.sleep(interval_s), **asked).run))


def _quietly(run: Callable[[], int]) -> int:
    """Return the exit status of `run`, also where whoever watches has had enough."""
    try:
        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


class _Following:
    """What is followed, and how it is shown."""

    def __init__(
        self,
        watch: Watch,
        pause: Callable[[], None],
        *,
        process: str | None,
        last: int,
        since: datetime | None,
        until_over: bool,
        wait: bool,
        as_json: bool,
        **wanted: Any,
    ) -> None:
        self._watch = watch
        self._pause = pause
        self._prefix = process
        self._last = last
        self._since = since
        self._until_over = until_over
        self._wait = wait
        self._as_json = as_json
        self._said: tuple[str, int] = ("", 0)
        self._follower = Follower()
        self._wanted = Wanted(**wanted)
        self._is_wanted: dict[str, bool] = {}
        self._unshown: list[Recorded] = []

    def run(self) -> int:
        """Show events until the process is over; return the exit status."""
        while (shown := self._watch.look(self._begin)) is None:
            self._check_worth_waiting()
            self._pause()
        self._show(shown)
        while True:
            state = self._watch.look(self._state)  # before its last events are read, so that none is missed
            found = self._watch.look(self._follower.news)
            self._unshown += found or []
            news = self._watch.look(partial(self._of_wanted, self._unshown))
            self._say_what_is_wrong()
            if news is not None:  # else they wait until their processes can be looked up
                self._unshown = []
                self._show(news)
            if state is not None and not found and not self._watch.trouble:
                return 0 if state is State.COMPLETED else FAILED
            if not found:
                self._pause()

    # ── beginning ────────────────────────────────────────────────────────────────────────────

    def _begin(self, log: EventLog) -> list[Recorded] | None:
        """Return the first events to show, or `None` while the process is not there and is waited for."""
        if self._prefix is not None or self._until_over:
            ids = self._of_wanted_ids(log)
            if self._wait and not any(id_.startswith(self._prefix or "") for id_ in ids):
                return None
            if not ids and self._wanted:
                raise ProcessNotFound("the log has no such process yet: --wait waits for one")
            self._follower.process_id = choose(ids, self._prefix)
        looked = self._last + LOOKED_MAX if self._wanted and self._last else self._last
        events = self._of_wanted(self._follower.begin(log, last=looked, since=self._since), log)
        return events[-self._last :] if self._last else []

    def _of_wanted_ids(self, log: EventLog) -> list[str]:
        """Return the processes that may be meant."""
        return [id_ for id_ in log.ids() if not self._wanted or self._wanted(log.load(id_))]

    def _check_worth_waiting(self) -> None:
        """Wait for a log that is to come only where that was asked for; for one that is locked, always."""
        trouble = self._watch.trouble
        if trouble and not (self._wait and isinstance(trouble, LogNotFound)) and not is_passing(trouble):
            raise trouble
        self._say_what_is_wrong()

    def _of_wanted(self, events: list[Recorded], log: EventLog) -> list[Recorded]:
        """Return those events whose process is one of those asked for."""
        if not self._wanted:
            return events
        for process_id in {recorded.stream for recorded in events} - self._is_wanted.keys():
            self._is_wanted[process_id] = self._wanted(log.load(process_id))
        return [recorded for recorded in events if self._is_wanted[recorded.stream]]

    # ── going on ─────────────────────────────────────────────────────────────────────────────

    def _state(self, log: EventLog) -> State | None:
        """Return the state of the process if it is over and that is waited for."""
        process_id = self._follower.process_id
        if not self._until_over or process_id is None or not log.version(process_id):
            return None
        process = log.load(process_id)
        return None if process.is_active else process.state

    def _show(self, events: list[Recorded]) -> None:
        for recorded in events:
            if self._as_json:
                print_json_line(event_object(recorded))
            else:
                say(event_line(recorded, with_process=self._follower.process_id is None))

    def _say_what_is_wrong(self) -> None:
        """Say once what keeps the log from being read, and that another log has taken its place."""
        trouble = f"waiting: {self._watch.trouble}" if self._watch.trouble else ""
        if trouble and trouble != self._said[0]:
            say(trouble, err=True)
        if self._follower.anew > self._said[1]:
            say("this is another log than before: showing it from its beginning", err=True)
        self._said = (trouble, self._follower.anew)

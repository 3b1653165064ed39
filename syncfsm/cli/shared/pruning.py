"""Pruning between the turns of what runs for ever: a little at a time, once a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from time import monotonic

import click

from syncfsm.cli.shared.durations import duration
from syncfsm.cli.shared.output import say
from syncfsm.errors import SyncfsmError
from syncfsm.log import EventLog
from syncfsm.outside.clock import Clock, SystemClock

EACH = timedelta(days=1)
"""How often a log is pruned, whoever does it: each pruning leaves something in it."""

LOOKED_EACH = timedelta(hours=1)
TURN_S = 0.5
"""For so long other syncs may have to wait, and a little longer where it begins."""

prune_after_option = click.option(
    "--prune-after",
    metavar="TIME",
    help="Once a day, prune from the log what ended so long ago, such as 90d; see `syncfsm log prune`.  "
    "[default: never]",
)


class Pruner:
    """Prunes a log, whenever it has its turn.

    Args:
        log: The log.
        after: How long ago what is pruned must have ended; null for never.
        by: Who prunes.
        clock: Time; the machine's if `None`.
    """

    def __init__(self, log: EventLog, after: str | None, *, by: str, clock: Clock | None = None) -> None:
        self._log = log
        self._after = duration(after) if after is not None else None
        self._by = by
        self._clock = clock or SystemClock()
        self._looks_at: datetime | None = None
        self._under_way: Iterator[object] | None = None

    def turn(self) -> None:
        """Go on with a pruning, or begin one where it is due; whatever is wrong is said and no more."""
        if self._after is None:
            return
        try:
            self._go_on(self._after)
        except SyncfsmError as error:
            self._under_way = None
            say(f"warning: nothing is pruned now: {error}", err=True)

    def _go_on(self, after: timedelta) -> None:
        if self._under_way is None:
            if not self._is_due():
                return
            self._under_way = self._steps(self._clock.now() - after)
        ends = monotonic() + TURN_S
        for _ in self._under_way:
            if monotonic() >= ends:
                return
        self._under_way = None

    def _is_due(self) -> bool:
        now = self._clock.now()
        if self._looks_at is not None and now < self._looks_at:
            return False
        self._looks_at = now + LOOKED_EACH
        last = self._log.pruned_at()
        return last is None or now - last >= EACH

    def _steps(self, before: datetime) -> Iterator[object]:
        from syncfsm.log.pruning.choosing import Choice  # noqa: PLC0415 - most never prune
        from syncfsm.log.pruning.pruning import in_portions  # noqa: PLC0415 - likewise

        choice = Choice(self._log, before=before)
        yield from in_portions(self._log, choice, before=before, by=self._by, now=self._clock.now())
        give_back: Callable[[], bool] | None = (
            self._log.give_back(may_rebuild=False) if choice.portions else None
        )
        while give_back is not None and not give_back():
            yield None

"""What a terminal shows while something takes long: the live line of a sync, the count of events read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from syncfsm.core.describe import done_words, plural
from syncfsm.core.events import Recorded, RetryScheduled
from syncfsm.core.process import Process
from syncfsm.outside.safe_words import printable

SHOWN_EVERY = 1000
"""Events read between two looks of the count."""


@contextmanager
def shown(doing: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done on a terminal, nothing elsewhere; yields what to call with news of it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _words: None
        return
    with Status(doing, console=console) as status:
        yield status.update


@contextmanager
def counted(doing: str) -> Iterator[Callable[[object], None]]:
    """Count the events of a long log on a terminal; yields what to call with each."""
    with shown(doing) as show:
        yield counter(doing, show)


def counter(doing: str, show: Callable[[str], None]) -> Callable[[object], None]:
    """Return what to call with each event of a long log, to show now and then how many there were."""
    count = 0

    def advance(_event: object) -> None:
        nonlocal count
        count += 1
        if count % SHOWN_EVERY == 0:
            show(f"{doing}: {plural(count, 'event')}")

    return advance


class ProgressLine:
    """A hook that keeps one line on stderr up to date; other events that matter pass above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = Status("starting", console=self._console)
        self._status.start()

    def __call__(self, process: Process, recorded: Recorded) -> None:
        """Show the totals, and why the sync waits."""
        self._status.update(self._line(process, recorded))

    def close(self) -> None:
        """Take the line away."""
        self._status.stop()

    def _line(self, process: Process, recorded: Recorded) -> str:
        progress = process.progress
        words = (
            f"{process.state.value}  {plural(progress.pages, 'page')}  "
            f"{done_words(progress)}  {process.records_per_s:,.0f} records/s  "
            f"{plural(progress.retries, 'retry', 'retries')}"
        )
        if isinstance(recorded.event, RetryScheduled):
            words += f"  waiting {recorded.event.wait_s:.1f} s: {recorded.event.cause}"
        return escape(printable(words))

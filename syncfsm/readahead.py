"""Reading ahead: several requests are under way at once, and their pages are used one after the other.

Whoever asks is told nothing of it: a page that was asked for ahead answers the very request that it was asked
with, so the state machine decides the same, and the log says the same. A page asked for early shows its rows
at an earlier moment, which the page rule allows: it holds whenever each page is of some moment since the
first.

How many are under way is found out as TCP does it: one more for each page that was used, half as many when a
request failed or what came was not needed. After a failure nothing more is asked for ahead before it was
handed over, so that whoever asks can wait as long as the source wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence

from syncfsm.errors import ConfigurationError
from syncfsm.failure import Failure
from syncfsm.pages import PageRequest
from syncfsm.sources.protocol import Page, Source

READ_AHEAD = 4
"""Requests under way at once where nobody says how many."""

READ_AHEAD_MAX = 64
"""More than that, and the pages held in memory are what limits."""


def check_read_ahead(requests_max: int) -> None:
    """Refuse a number of requests that cannot work.

    Raises:
        ConfigurationError: It is less than 1, or more than memory should hold.
    """
    if not 1 <= requests_max <= READ_AHEAD_MAX:
        raise ConfigurationError(
            f"read_ahead={requests_max} cannot work: choose from 1, which is one request after the other, "
            f"to {READ_AHEAD_MAX}"
        )


class ReadAhead:
    """Asks a source for pages before they are needed, and hands them over when they are.

    Args:
        source: Who is asked; it must stand being asked again before it has answered.
        requests_max: The most requests under way or pages held, the one that is needed now included.

    Attributes:
        asked: How many pages were asked for ahead.
        unused: How many of them were not needed.
    """

    def __init__(self, source: Source, requests_max: int) -> None:
        self.asked = 0
        self.unused = 0
        self._source = source
        self._requests_max = requests_max
        self._width = 1.0
        self._careful_from = float(requests_max)  # a width from which it grows slowly
        self._slots: dict[PageRequest, asyncio.Task[Page | Failure]] = {}

    @property
    def width(self) -> int:
        """How many requests may be under way now, the one that is needed included."""
        return int(self._width)

    async def fetch(self, request: PageRequest, following: Sequence[PageRequest] = ()) -> Page | Failure:
        """Return the page for a request, which may be here or on its way. See `Source.fetch`.

        Args:
            request: What is needed now.
            following: What will be needed after it, in order, as far as that can be foreseen.
        """
        failed = self._failed()
        await self._forget_but({request, *following})
        task = self._slots.pop(request, None)
        if task is None and failed is not None:
            page: Page | Failure = failed
        else:
            self._ask_ahead(following)
            page = await (task or self._source.fetch(request))
        if isinstance(page, Failure):
            self._shrink()
            await self.pause()
        else:
            self._grow()
        return page

    async def pause(self) -> None:
        """Ask for nothing until the next `fetch`; pages that are here are kept."""
        await self._cancel([asked for asked, task in self._slots.items() if not _is_page(task)])

    async def drop(self) -> None:
        """Give up everything that was asked for ahead."""
        await self._cancel(list(self._slots))

    def _ask_ahead(self, following: Iterable[PageRequest]) -> None:
        """Ask for what follows, in order, up to what is known to be the end or a failure."""
        for request in following:
            task = self._slots.get(request)
            if task is None:
                if len(self._slots) + 1 >= self.width or self._failed() is not None:
                    return
                self._slots[request] = asyncio.create_task(self._ask(request))
                self.asked += 1
            elif _is_last(task, request):
                return

    async def _ask(self, request: PageRequest) -> Page | Failure:
        return await self._source.fetch(request)

    async def _forget_but(self, needed: Collection[PageRequest]) -> None:
        """Give up what is not needed, since rows have moved; a failure is still to be handed over."""
        unneeded = ((asked, task) for asked, task in self._slots.items() if asked not in needed)
        stale = [asked for asked, task in unneeded if not _is_failure(task)]
        if stale:
            self._shrink()
            await self._cancel(stale)

    async def _cancel(self, requests: Sequence[PageRequest]) -> None:
        tasks = [self._slots.pop(request) for request in requests]
        self.unused += len(tasks)
        for task in tasks:
            task.cancel()
        if tasks:  # or no event loop is needed: whoever drives the engine by hand has none
            await asyncio.gather(*tasks, return_exceptions=True)

    def _failed(self) -> Failure | None:
        """Return the first failure among what has come."""
        failures = (task.result() for task in self._slots.values() if _is_failure(task))
        return next((failure for failure in failures if isinstance(failure, Failure)), None)

    def _grow(self) -> None:
        step = 1.0 if self._width < self._careful_from else 1 / self._width
        self._width = min(float(self._requests_max), self._width + step)

    def _shrink(self) -> None:
        self._careful_from = self._width = max(1.0, self._width / 2)


def _has_answer(task: asyncio.Task[Page | Failure]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _is_page(task: asyncio.Task[Page | Failure]) -> bool:
    return _has_answer(task) and isinstance(task.result(), Page)


def _is_failure(task: asyncio.Task[Page | Failure]) -> bool:
    return _has_answer(task) and isinstance(task.result(), Failure)


def _is_last(task: asyncio.Task[Page | Failure], request: PageRequest) -> bool:
    """Whether a page has come that has fewer rows than asked for: nothing follows it."""
    if not _has_answer(task):
        return False
    page = task.result()
    return isinstance(page, Page) and len(page.records) < request.limit

"""Reading ahead: several requests are under way at once, and their pages are used one after the other.

Whoever asks is told nothing of it: a page that was asked for ahead answers the very request that it was asked
with, so the state machine decides the same, and the log says the same. A page asked for early shows its rows
at an earlier moment, which the page rule allows: it holds whenever each page is of some moment since the
first.

How many are under way is found out as TCP does it: one more for each page that was used, half as many when a
request failed or what came was not needed. When one fails, those that are not answered yet are given up at
once, also where they only wait for their turn within a rate limit, and nothing more is asked for ahead before
the failure was handed over: so whoever asks can wait as long as the source wants. A failure of a page that
nobody needs any more is forgotten with it, unless it tells how the source is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.pages import PageRequest
from syncfsm.errors import ConfigurationError
from syncfsm.outside.clock import Clock, SteadyClock
from syncfsm.sources.protocol import Page, Source

READ_AHEAD = 4
"""Requests under way at once where nobody says how many."""

READ_AHEAD_MAX = 64
"""More than that, and the pages held in memory are what limits."""


_OF_THE_SOURCE = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.UNAVAILABLE,
        FailureKind.TIMEOUT,
        FailureKind.UNAUTHORIZED,
        FailureKind.UNTRUSTED,
    }
)
"""What would meet any request now, whichever page it is for."""


class Answer(NamedTuple):
    """What came for a request, how long it took, whenever that was, and whether rows beyond it came ahead."""

    page: Page | Failure
    elapsed_ms: int
    is_followed: bool = False


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
        clock: For how long requests take.

    Attributes:
        asked: How many pages were asked for ahead.
        unused: How many of them were not needed.
    """

    def __init__(self, source: Source, requests_max: int, clock: Clock) -> None:
        self.asked = 0
        self.unused = 0
        self._source = source
        self._requests_max = requests_max
        self._clock = SteadyClock(clock)
        self._width = 1.0
        self._careful_from = float(requests_max)  # a width from which it grows slowly
        self._slots: dict[PageRequest, asyncio.Task[Answer]] = {}
        self._needed: asyncio.Task[Answer] | None = None
        self._given_up: set[asyncio.Task[Answer]] = set()  # until they have ended

    @property
    def width(self) -> int:
        """How many requests may be under way now, the one that is needed included."""
        return int(self._width)

    async def fetch(self, request: PageRequest, following: Sequence[PageRequest] = ()) -> Answer:
        """Return what comes for a request, which may be here or on its way. See `Source.fetch`.

        Args:
            request: What is needed now.
            following: What will be needed after it, in order, as far as that can be foreseen.
        """
        await self._forget_but({request, *following})
        task = self._slots.pop(request, None)
        failed = self._failed() if task is None else None
        if failed is None:
            if task is None and (following or self._slots):
                task = asyncio.create_task(self._ask(request))
            self._ask_ahead(following)
        answer = failed or await (self._needed_of(task) if task else self._ask(request))
        if isinstance(answer.page, Failure):
            self._shrink()
            await self.pause()
        else:
            self._grow()
        return answer._replace(is_followed=self._has_beyond(request, answer.page))

    def _has_beyond(self, request: PageRequest, page: Page | Failure) -> bool:
        """Whether rows have come ahead from beyond where a short page seems to be the end of all."""
        if isinstance(page, Failure) or len(page.records) >= request.limit:
            return False
        end = request.offset + len(page.records)
        return any(asked.offset >= end and _has_rows(task) for asked, task in self._slots.items())

    async def _needed_of(self, task: asyncio.Task[Answer]) -> Answer:
        """Return what comes for what is needed now, or a failure that would meet it too."""
        self._needed = task
        try:
            await asyncio.wait({task})
        finally:
            self._needed = None
            if not task.done():  # nobody waits for it any more
                self._cancelled(task)
        failed = self._failed() if task.cancelled() else None
        return failed or task.result()

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
                if len(self._slots) + 1 >= self.width or any(map(_is_failure, self._slots.values())):
                    return
                self._slots[request] = task = asyncio.create_task(self._ask(request))
                task.add_done_callback(self._calm_down)
                self.asked += 1
            elif _is_last(task, request):
                return

    async def _ask(self, request: PageRequest) -> Answer:
        began = self._clock.now()
        page = await self._source.fetch(request)
        return Answer(page, elapsed_ms(began, self._clock.now()))

    def _calm_down(self, ended: asyncio.Task[Answer]) -> None:
        """Give up what is not answered yet, where a request has failed; the failure is handed over later."""
        if _is_failure(ended) and ended in self._slots.values():
            self._give_up([asked for asked, task in self._slots.items() if not task.done()])
            if self._needed is not None and not self._needed.done() and _tells_of_the_source(ended):
                self._needed.cancel()

    async def _forget_but(self, needed: Collection[PageRequest]) -> None:
        """Give up what is not needed, since rows have moved; how the source is, is still to be told."""
        unneeded = ((asked, task) for asked, task in self._slots.items() if asked not in needed)
        stale = [asked for asked, task in unneeded if not _tells_of_the_source(task)]
        if stale:
            self._shrink()
            await self._cancel(stale)

    async def _cancel(self, requests: Sequence[PageRequest]) -> None:
        self._give_up(requests)
        if self._given_up:  # or no event loop is needed: whoever drives the engine by hand has none
            await asyncio.gather(*self._given_up, return_exceptions=True)

    def _give_up(self, requests: Sequence[PageRequest]) -> None:
        tasks = [self._slots.pop(request) for request in requests]
        self.unused += len(tasks)
        for task in tasks:
            self._cancelled(task)

    def _cancelled(self, task: asyncio.Task[Answer]) -> None:
        self._given_up.add(task)
        task.add_done_callback(self._given_up.discard)
        task.cancel()

    def _failed(self) -> Answer | None:
        """Return the first failure among what has come that would meet any other request too."""
        return next((task.result() for task in self._slots.values() if _tells_of_the_source(task)), None)

    def _grow(self) -> None:
        step = 1.0 if self._width < self._careful_from else 1 / self._width
        self._width = min(float(self._requests_max), self._width + step)

    def _shrink(self) -> None:
        self._careful_from = self._width = max(1.0, self._width / 2)


def elapsed_ms(began: datetime, ended: datetime) -> int:
    """Return the time between two moments of a steady clock."""
    return round((ended - began).total_seconds() * 1000)


def _has_answer(task: asyncio.Task[Answer]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _is_page(task: asyncio.Task[Answer]) -> bool:
    return _has_answer(task) and isinstance(task.result().page, Page)


def _has_rows(task: asyncio.Task[Answer]) -> bool:
    page = task.result().page if _has_answer(task) else None
    return isinstance(page, Page) and bool(page.records)


def _is_failure(task: asyncio.Task[Answer]) -> bool:
    return _has_answer(task) and isinstance(task.result().page, Failure)


def _tells_of_the_source(task: asyncio.Task[Answer]) -> bool:
    """Whether a request has failed in a way in which any other would have."""
    page = task.result().page if _has_answer(task) else None
    return isinstance(page, Failure) and page.kind in _OF_THE_SOURCE


def _is_last(task: asyncio.Task[Answer], request: PageRequest) -> bool:
    """Whether a page has come that has fewer rows than asked for: nothing follows it."""
    page = task.result().page if _has_answer(task) else None
    return isinstance(page, Page) and len(page.records) < request.limit

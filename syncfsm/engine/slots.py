"""The requests for pages that are under way, and the pages that came and are not used yet.

When a request fails, those that are not answered yet are given up at once, also where they only wait for
their turn within a rate limit, and nothing more is asked for ahead before the failure was handed over: so
whoever asks can wait as long as the source wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, TypeAlias

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.pages import PageRequest
from syncfsm.outside.clock import Clock, SteadyClock
from syncfsm.sources.protocol import Page, Record, Source

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


Prepare: TypeAlias = Callable[[Sequence[Record]], Awaitable[None]]
"""Looks up what the records of a page will need."""


class Answer(NamedTuple):
    """What came for a request, how long it took, whenever that was, and whether rows beyond it came ahead."""

    request: PageRequest
    page: Page | Failure
    elapsed_ms: int
    is_followed: bool = False


class Slot(NamedTuple):
    """A request that was made: the how-manieth, and from which place its page is to be taken."""

    request: PageRequest
    number: int
    place: float
    task: asyncio.Task[Answer]

    @property
    def page(self) -> Page | None:
        """The page that has come, if one has."""
        return self._came if isinstance(self._came, Page) else None

    @property
    def failure(self) -> Failure | None:
        """The failure that has come, if one has."""
        return self._came if isinstance(self._came, Failure) else None

    @property
    def ends(self) -> bool:
        """Whether nothing is to be asked for behind it: it failed, or has fewer rows than asked for."""
        return self.failure is not None or (
            self.page is not None and len(self.page.records) < self.request.limit
        )

    @property
    def tells_of_the_source(self) -> bool:
        """Whether it has failed in a way in which any other would have."""
        return self.failure is not None and self.failure.kind in _OF_THE_SOURCE

    @property
    def _came(self) -> Page | Failure | None:
        has_come = self.task.done() and not self.task.cancelled() and self.task.exception() is None
        return self.task.result().page if has_come else None

    def is_for(self, request: PageRequest) -> bool:
        """Whether it asks for the same rows."""
        asked = self.request
        return (asked.from_key, asked.offset, asked.limit) == (
            request.from_key,
            request.offset,
            request.limit,
        )


class Slots:
    """Requests, in the order in which they were made.

    Args:
        source: Who is asked.
        clock: For how long that takes.
        weigh: Called with each page that comes.
        prepare: Called with the records of a page that came early; see `PreparingTransform`.

    Attributes:
        count: How many requests were made since all were given up.
        unused: How many pages were asked for and not needed.
    """

    def __init__(
        self, source: Source, clock: Clock, weigh: Callable[[Page], None], prepare: Prepare | None = None
    ) -> None:
        self.count = 0
        self.unused = 0
        self._source = source
        self._weigh = weigh
        self._prepare = prepare
        self._clock = SteadyClock(clock)
        self._slots: list[Slot] = []
        self._needed: asyncio.Task[Answer] | None = None
        self._given_up: set[asyncio.Task[Answer]] = set()  # until they have ended
        self._cut_off: set[asyncio.Task[Answer]] = set()  # since another failed, which tells of them too
        self._preparing: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Slot]:
        """Go through them; some may be taken out meanwhile."""
        return iter(list(self._slots))

    def __len__(self) -> int:
        """Count them."""
        return len(self._slots)

    async def answer(self, request: PageRequest) -> Answer:
        """Ask for a page, and return what comes."""
        began = self._clock.now()
        page = await self._source.fetch(request)
        took_ms = elapsed_ms(began, self._clock.now())
        if isinstance(page, Failure):
            return Answer(request, page, took_ms)
        self._weigh(page)
        return Answer(page.asked or request, page, took_ms, page.is_followed)

    def ask(self, request: PageRequest, place: float) -> Slot:
        """Begin to ask for a page."""
        self.count += 1
        task = asyncio.create_task(self.answer(request))
        task.add_done_callback(self._calm_down)
        task.add_done_callback(self._begin_to_prepare)
        slot = Slot(request, self.count, place, task)
        self._slots.append(slot)
        return slot

    def take(self, slot: Slot) -> Answer:
        """Take out one that has ended, since it is used."""
        self._slots.remove(slot)
        return slot.task.result()

    def drop(self, slot: Slot) -> None:
        """Take out one that has ended, since nobody needs it."""
        self._slots.remove(slot)
        self.unused += 1

    async def has_come(self, slot: Slot) -> bool:
        """Wait for what is needed now; say whether it came, or another failure that would have met it too."""
        self._needed = slot.task
        try:
            await asyncio.wait({slot.task})
        finally:
            self._needed = None
            if not slot.task.done():  # nobody waits for it any more
                self._give_up([slot])
        if not slot.task.cancelled():
            return True
        self._slots.remove(slot)
        if slot.task not in self._cut_off:
            raise RuntimeError("a request was cancelled, and not by whoever made it")
        self._cut_off.discard(slot.task)
        return False

    def failed(self) -> Answer | None:
        """Return the first failure among what has come that would meet any other request too."""
        return next((slot.task.result() for slot in self._slots if slot.tells_of_the_source), None)

    async def pause(self) -> None:
        """Give up what is no page yet; pages that are here are kept."""
        await self._cancel([slot for slot in self._slots if slot.page is None])

    async def clear(self) -> None:
        """Give up everything."""
        self.unused += len(self._slots)
        await self._cancel(list(self._slots))
        self.count = 0

    def _begin_to_prepare(self, ended: asyncio.Task[Answer]) -> None:
        """Let the transform look up what a page that came will need, while those before it are used."""
        page = next((slot.page for slot in self._slots if slot.task is ended), None)
        if self._prepare is not None and page is not None:
            self._preparing.add(task := asyncio.create_task(self._prepared(page.records)))
            task.add_done_callback(self._preparing.discard)

    async def _prepared(self, records: Sequence[Record]) -> None:
        assert self._prepare is not None, "or nothing is prepared"
        with suppress(Exception):  # whatever it is, it is met again when the page is due
            await self._prepare(records)

    def _calm_down(self, ended: asyncio.Task[Answer]) -> None:
        """Give up what is not answered yet, where a request has failed; the failure is handed over later."""
        failed = next((slot for slot in self._slots if slot.task is ended), None)
        if failed is None or not failed.tells_of_the_source:
            return
        self._give_up(
            [slot for slot in self._slots if not slot.task.done() and slot.task is not self._needed]
        )
        if self._needed is not None and not self._needed.done():
            self._cut_off.add(self._needed)
            self._needed.cancel()

    async def _cancel(self, slots: Iterable[Slot]) -> None:
        self._give_up(slots)
        for task in self._preparing:
            task.cancel()
        ended = [*self._given_up, *self._preparing]
        if ended:  # or no event loop is needed: whoever drives the engine by hand has none
            await asyncio.gather(*ended, return_exceptions=True)

    def _give_up(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            self._slots.remove(slot)
            self._given_up.add(slot.task)
            slot.task.add_done_callback(self._given_up.discard)
            slot.task.cancel()


def elapsed_ms(began: datetime, ended: datetime) -> int:
    """Return the time between two moments of a steady clock."""
    return round((ended - began).total_seconds() * 1000)

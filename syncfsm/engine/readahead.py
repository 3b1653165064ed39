"""Reading ahead: several requests are under way at once, and their pages are used one after the other.

A page that was asked for ahead is used where it covers the place that is due, whatever it was asked for: it
begins at a row that was taken, or at the peek, and has rows that are new. The event says what was asked. Such
a page shows its rows at an earlier moment, which the page rule allows: it holds whenever each page is of some
moment since the first. So rows that move cost a few rows more with each request (`core/paging/drift.py`),
and where a page begins too late all the same, one request for what lies before it: what came is kept.

A failure of a page that turns out not to be needed is forgotten, unless it tells how the source is. Where
offsets get too deep for the source, they are counted from the frontier's key on (`core/paging/base.py`).
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.base import Base
from syncfsm.core.paging.drift import Drift
from syncfsm.core.paging.lookahead import Lookahead
from syncfsm.core.paging.offsets import first_placed
from syncfsm.core.paging.pages import PageRequest
from syncfsm.engine.depth import Depth
from syncfsm.engine.slots import Answer, Prepare, Slot, Slots
from syncfsm.engine.width import Width
from syncfsm.outside.clock import Clock
from syncfsm.sources.protocol import Page, Source


class _Due(NamedTuple):
    """What is due: the request, what it is for, and its place, counted in rows taken."""

    request: PageRequest
    ahead: Lookahead
    place: int
    is_alone: bool


class ReadAhead:
    """Asks a source for pages before they are needed, and hands them over when they are.

    Args:
        source: Who is asked; it must stand being asked again before it has answered.
        width: How many requests may be under way or held at once, the one that is needed now included.
        clock: For how long requests take.
        prepare: See `Slots`.

    Attributes:
        slots: What is under way and held.
    """

    def __init__(self, source: Source, width: Width, clock: Clock, prepare: Prepare | None = None) -> None:
        self.slots = Slots(source, clock, width.weigh, prepare)
        self._width = width
        self._depth = Depth()
        self._orders = getattr(source, "heeds_from_key", ())
        self._bases: dict[str | None, Base] = {}
        self._asks_from: str | None = None
        self._was_full = False

    async def fetch(
        self, request: PageRequest, ahead: Lookahead | None = None, *, is_alone: bool = False
    ) -> Answer:
        """Return what comes for a place, which may be here or on its way. See `Source.fetch`.

        Args:
            request: What is due.
            ahead: What later pages can be foreseen by, and which pages cover the place; `None` where none is
                to be asked for but this very one.
            is_alone: Whether nothing else is to be asked for.
        """
        if ahead is None:
            await self.drop()
            answer = await self.slots.answer(request)
        else:
            answer = await self._covering(request, ahead, is_alone=is_alone or self._width.is_one)
        if isinstance(answer.page, Failure):
            self._width.shrink()
            await self.pause()
            return answer
        took_ms = answer.elapsed_ms if answer.page.took_ms is None else answer.page.took_ms
        self._was_full = len(answer.page.records) >= answer.request.limit
        self._width.used(took_ms)
        self._depth.answered(answer.request.offset, took_ms)
        return answer

    def expect(self, ahead: Lookahead) -> None:
        """Ask for what will be due once a page is delivered, as far as it can be foreseen."""
        if self._width.is_one or not ahead.is_open:
            return
        due = self._due(ahead.due, ahead, is_alone=False)
        if not self.slots:
            self.slots.ask(self._due_request(due), due.place)
        self._ask_ahead(due)

    async def pause(self) -> None:
        """Ask for nothing until the next `fetch`; pages that are here are kept."""
        await self.slots.pause()

    async def drop(self) -> None:
        """Give up everything that was asked for ahead, and what is known of how rows move."""
        await self.slots.clear()
        self._bases.clear()

    async def _covering(self, request: PageRequest, ahead: Lookahead, *, is_alone: bool) -> Answer:
        """Return a page that covers the place, or what comes for the request that is due."""
        due = self._due(request, ahead, is_alone=is_alone)
        if due.is_alone:
            return await self._alone(due)
        while (answer := self.slots.failed()) is None:
            early = self._here(due) or self._on_its_way(due)
            slot = early or self.slots.ask(self._due_request(due), due.place)
            learnt = self._learn(slot, due)
            self._ask_ahead(due)
            if not await self.slots.has_come(slot):
                continue  # another request has failed, in a way in which this one would have
            covers = learnt or self._learn(slot, due)
            if covers or early is None or _answers(slot, due, _fresh(slot, due.ahead)):
                is_followed = self._is_followed(slot)
                answer = self.slots.take(slot)
                if not self._was_too_deep(answer, due):
                    return answer._replace(is_followed=answer.is_followed or is_followed)
        return answer

    def _due(self, request: PageRequest, ahead: Lookahead, *, is_alone: bool) -> _Due:
        self._bases.setdefault(request.from_key, Base(request.from_key, drift=Drift(number=1)))
        if not self.slots:
            self._asks_from = request.from_key
        return _Due(request, ahead, self._bases[request.from_key].used(ahead.paging.offset), is_alone)

    async def _alone(self, due: _Due) -> Answer:
        """Return what comes for what is due, without anything else under way."""
        while True:
            answer = await self.slots.answer(self._due_request(due))
            if not self._was_too_deep(answer, due):
                return answer

    # ── which page covers the place ──────────────────────────────────────────────────────────

    def _here(self, due: _Due) -> Slot | None:
        """Return what came for the very request, or the first page that has a whole one from the place on.

        The fullest, if none has. What has nothing new is dropped, and what failed for an earlier place.
        """
        most, found, proof = 0, None, None
        for slot in (slot for slot in self.slots if slot.task.done()):
            fresh = _fresh(slot, due.ahead)
            if self._is_too_deep(slot, due):
                fresh = 0
            elif _answers(slot, due, fresh):
                if fresh != 0:
                    return slot
                proof = slot
                continue
            is_over = slot.place <= due.place and (slot.page is None or _is_blank(slot.page))
            if is_over or fresh == 0:
                self.slots.drop(slot)
            elif fresh is not None and most < min(fresh, due.ahead.rule.page_size) and due.ahead.is_open:
                most, found = fresh, slot
        return found or proof

    def _on_its_way(self, due: _Due) -> Slot | None:
        """Return the first that has not come yet and should cover the place, as far as that is known."""
        if not due.ahead.is_open:
            return None
        return next((slot for slot in self.slots if self._should_cover(slot, due)), None)

    def _should_cover(self, slot: Slot, due: _Due) -> bool:
        begins = self._base(slot).place_of(slot.request.offset, slot.number)
        return (
            not slot.task.done() and begins <= due.place + 1 and self._following(slot, due.ahead) > due.place
        )

    def _following(self, slot: Slot, ahead: Lookahead) -> float:
        """Return the place that a page leads to."""
        base = self._base(slot)
        offset = ahead.offset_after(slot.request, base.offset_of(slot.place, slot.number))
        return base.place_of(offset, slot.number)

    def _learn(self, slot: Slot, due: _Due) -> bool:
        """Learn from a page how rows move, and say whether it covers the place; there may be none yet."""
        if slot.page is None:
            return False
        base, fresh = self._base(slot), _fresh(slot, due.ahead)
        if fresh is None:
            self._bases[base.from_key] = base.missed()
        elif fresh:
            seen = len(slot.page.records) - fresh
            self._bases[base.from_key] = base.shown(slot.number, due.place, slot.request.offset + seen)
        return bool(fresh)

    def _is_followed(self, slot: Slot) -> bool:
        """Whether rows have come ahead from beyond where a short page seems to be the end of all."""
        if slot.page is None or not slot.ends:
            return False
        end = self._base(slot).place_of(slot.request.offset + len(slot.page.records), slot.number)
        return any(
            other.page
            and other.page.records
            and self._base(other).place_of(other.request.offset, other.number) >= end
            for other in self.slots
        )

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    def _due_request(self, due: _Due) -> PageRequest:
        """Return what to ask for now: earlier rows too where they move, from a key where it is too deep."""
        base = self._base_for(due.place, due)
        offset, place = due.ahead.paging.offset, base.offset_of(due.place, self.slots.count + 1)
        if base.from_key is not None and base.from_key != due.request.from_key:
            return due.ahead.first_from(base.from_key)
        is_exact = due.is_alone or not due.ahead.is_open or self._looks_for_end(due.ahead)
        if is_exact or (place == offset and not base.drift.margin):
            return due.request
        first = floor(min(place, due.request.offset) - base.drift.margin)
        return due.ahead.window(first, max(offset, ceil(place)), base.from_key)

    def _looks_for_end(self, ahead: Lookahead) -> bool:
        """Whether there may be nothing behind the last row taken, which only the rows from there prove."""
        return ahead.looks_for_end and not self._was_full

    def _ask_ahead(self, due: _Due) -> None:
        """Ask for what follows, in order, up to what is known to be the end or a failure."""
        ahead = due.ahead
        is_open = ahead.is_open and not (self._looks_for_end(ahead) and len(self.slots) <= 1)
        while is_open and not any(slot.ends for slot in self.slots):
            place = max(self._following(slot, ahead) for slot in self.slots)
            base = self._base_for(place, due)
            offset = base.offset_of(place, self.slots.count + 1)
            request = ahead.window(floor(offset - base.drift.margin), ceil(offset), base.from_key)
            rows = sum(slot.request.limit for slot in self.slots) + request.limit
            is_full = len(self.slots) >= self._width.now or not self._width.has_room(rows)
            is_beyond = ahead.is_behind_end(base.origin + ceil(offset))
            if is_full or is_beyond or self._depth.is_refused(request.offset):
                return
            slot = self.slots.ask(request, place)
            if self._following(slot, ahead) <= place:
                return  # rows move so fast that it may reach no farther

    # ── what offsets are counted from ────────────────────────────────────────────────────────

    def _base(self, slot: Slot) -> Base:
        return self._bases[slot.request.from_key]

    def _base_for(self, place: float, due: _Due) -> Base:
        """Return what offsets are counted from: the frontier's key, where else they are too deep."""
        base = self._bases[self._asks_from]
        offset, key = base.offset_of(place, self.slots.count + 1), due.ahead.key_to_begin_with(self._orders)
        is_less = key is not None and 2 * (place - due.place) < offset
        if is_less and self._depth.is_too_deep(offset):
            return self._begin_at(key, due)
        return base

    def _begin_at(self, key: str | None, due: _Due) -> Base:
        drift = Drift(number=self.slots.count, margin=self._bases[self._asks_from].drift.margin)
        base = Base(key, origin=due.place - due.ahead.tied, drift=drift)
        used = {key, due.request.from_key, *(slot.request.from_key for slot in self.slots)}
        self._bases = {known: self._bases[known] for known in used if known in self._bases}
        self._asks_from = key
        self._depth.begun_anew()
        return self._bases.setdefault(key, base)

    def _is_too_deep(self, slot: Slot, due: _Due) -> bool:
        """Whether the offset of a page that was asked for early was refused, and is not needed."""
        if not _is_refused(slot.failure) or due.ahead.key_to_begin_with(self._orders) is None:
            return False
        self._depth.refused(slot.request.offset)
        return True

    def _was_too_deep(self, answer: Answer, due: _Due) -> bool:
        """Whether an offset was refused where there is another way, which is then gone."""
        asked, key = answer.request, due.ahead.key_to_begin_with(self._orders)
        if not _is_refused(answer.page) or key in {None, asked.from_key} or not asked.offset:
            return False
        self._depth.refused(asked.offset)
        self._begin_at(key, due)
        return True


def _answers(slot: Slot, due: _Due, fresh: int | None) -> bool:
    """Whether it is the very request that is due, which would be made again if its answer were not used.

    A page may have nothing new: so the end is proved. But one that may have something before it is of no use.
    """
    if slot.page is None:
        return slot.is_for(due.request)
    return slot.place == due.place and slot.is_for(due.request) and fresh is not None


def _is_refused(came: Page | Failure | None) -> bool:
    return isinstance(came, Failure) and came.kind is FailureKind.BAD_REQUEST


def _is_blank(page: Page) -> bool:
    """Whether a page has no row that has a place in the order: where it lies, it does not say."""
    return first_placed(page.records) is None


def _fresh(slot: Slot, ahead: Lookahead) -> int | None:
    """Return how many rows of a page that came are new; `None` if others may lie before them."""
    seen = ahead.seen_in(slot.request, slot.page.records) if slot.page else None
    return None if slot.page is None or seen is None else len(slot.page.records) - seen

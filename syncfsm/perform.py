"""Performing actions: the only I/O of the loop.

What comes back is an outcome, a value; `decide` says what it means. Between its fetch and its delivery a
page is held here, in memory. After a crash, or on another worker, nothing is held, and the page is fetched
again; the state machine does not know the difference.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar, assert_never

from syncfsm import decide as d
from syncfsm import events as e
from syncfsm.clock import Clock
from syncfsm.failure import Failure
from syncfsm.foresight import foresee
from syncfsm.pages import PageRequest
from syncfsm.process import Process
from syncfsm.readahead import ReadAhead
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.protocol import Record, Source, Transform

T = TypeVar("T")


class Performer(Generic[T]):
    """Does to one source and one sink what the actions say.

    `read_ahead` is how many requests may be under way at once, where pages are read ahead.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink[T],
        transform: Transform[T],
        *,
        clock: Clock,
        rng: random.Random,
        read_ahead: int = 1,
    ) -> None:
        self._source = source
        self._sink = sink
        self._transform = transform
        self._clock = clock
        self._rng = rng
        self._read_ahead = read_ahead
        self._pages = ReadAhead(source, read_ahead)
        self._held: tuple[e.PageFetched, tuple[Record, ...]] | None = None

    async def perform(self, process: Process, action: d.Action, *, reads_ahead: bool = False) -> d.Outcome:
        """Perform an action; what the world does wrong is an outcome too.

        With `reads_ahead`, pages that will be needed soon may be asked for as well: call `pause` before
        waiting, and `drop` at the end.
        """
        match action:
            case d.CheckSetup():
                return await self._check()
            case d.FetchPage():
                following = foresee(process, self._read_ahead - 1) if reads_ahead else ()
                return await self._fetch(action.request, following)
            case d.DeliverPage():
                records = self._held_records(process)
                return await (self._fetch(action.refetch) if records is None else self._deliver(records))
            case d.FinishSync():
                failure = await self._sink.finish()
                return self._failed("finish", failure) if failure else d.Finished()
            case _:
                assert_never(action)

    async def _check(self) -> d.Outcome:
        found: dict[str, str] = {}
        for side in (self._source, self._sink):
            seen = await side.check()
            if isinstance(seen, Failure):
                return self._failed("check", seen)
            found |= seen
        return d.Checked(found=found)

    async def pause(self) -> None:
        """Let nothing be asked for until the next page is."""
        await self._pages.pause()

    async def drop(self) -> None:
        """Give up what was asked for ahead."""
        await self._pages.drop()

    async def _fetch(self, request: PageRequest, following: Sequence[PageRequest] = ()) -> d.Outcome:
        began = self._clock.now()
        page = await self._pages.fetch(request, following)
        if isinstance(page, Failure):
            return self._failed("fetch", page)
        return d.Fetched(
            request=request,
            rows=page.records,
            as_of=page.as_of,
            elapsed_ms=self._elapsed_ms(began),
            is_total=page.is_total,
            total=page.total,
            next_token=page.next_token,
        )

    async def _deliver(self, records: tuple[Record, ...]) -> d.Outcome:
        began = self._clock.now()
        ready = await self._transform(records)
        if isinstance(ready, Failure):
            return self._failed("deliver", ready)
        assert len(ready.items) + len(ready.rejects) == len(records), "the transform lost a record"
        result = await self._sink.upsert(ready.items)
        if isinstance(result, Failure):
            return self._failed("deliver", result)
        written = result.created + result.updated + result.unchanged
        assert written + len(result.rejects) == len(ready.items), "the sink's counts do not add up"
        return d.Delivered(
            created=result.created,
            updated=result.updated,
            unchanged=result.unchanged,
            rejects=(*ready.rejects, *result.rejects),
            left_out=result.left_out,
            elapsed_ms=self._elapsed_ms(began),
        )

    def _failed(self, action: e.ActionName, failure: Failure) -> d.Failed:
        return d.Failed(action=action, failure=failure, at=self._clock.now(), chance=self._rng.random())

    def _elapsed_ms(self, began: datetime) -> int:
        """Return the time since `began`; 0 if the clock was set back."""
        return max(0, round((self._clock.now() - began).total_seconds() * 1000))

    # ── the page between its fetch and its delivery ──────────────────────────────────────────

    def hold(self, process: Process, outcome: d.Outcome) -> None:
        """Keep the records of the page that was fetched until it is delivered."""
        if process.pending is None or not process.is_active:
            self._held = None  # what a refetch found may have ended the sync; `pending` is then an older page
        elif isinstance(outcome, d.Fetched):
            # Of rows with one id the first was taken, so it is the one to keep.
            sound = [row for row in outcome.rows if isinstance(row, Record) and not row.problem]
            by_id = {record.id: record for record in reversed(sound)}
            self._held = (process.pending, tuple(by_id[id_] for id_ in process.pending.record_ids))

    def _held_records(self, process: Process) -> tuple[Record, ...] | None:
        """Return the records of the pending page, or `None` after a crash or on another worker."""
        if self._held is None or self._held[0] != process.pending:
            return None
        return self._held[1]

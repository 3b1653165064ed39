"""Performing actions: the only I/O of the loop.

What comes back is an outcome, a value; `decide` says what it means. Between its fetch and its delivery a
page is held here, in memory. After a crash, or on another worker, nothing is held, and the page is fetched
again; the state machine does not know the difference. What was to be deleted is deleted again likewise.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar, assert_never

from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.endpoints import emptied, moved
from syncfsm.core.failure import Failure
from syncfsm.core.page_rule import foresee
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.engine.readahead import ReadAhead, elapsed_ms
from syncfsm.history.missing import Seen, undeletable
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Listing, Sink, UpsertResult, deleting, emptiable, listing
from syncfsm.sources.protocol import Page, Record, Source, Transform

T = TypeVar("T")


class Deletion(Value, frozen=True):
    """What became of records that are gone; the counts add up to them."""

    deleted: int = 0
    unchanged: int = 0
    rejects: tuple[Reject, ...] = ()


class _Upserted(Value, frozen=True):
    """What became of the records of the page that is held; its deletions may be still to do."""

    rejects: tuple[Reject, ...]
    result: UpsertResult


def fetched(request: PageRequest, page: Page, elapsed_ms: int) -> d.Fetched:
    """Return the outcome of a request that was answered with a page, all of it."""
    return d.Fetched(
        request=request,
        rows=page.records,
        as_of=page.as_of,
        elapsed_ms=elapsed_ms,
        is_total=page.is_total,
        total=page.total,
        next_token=page.next_token,
    )


class Performer(Generic[T]):
    """Does to one source and one sink what the actions say.

    Args:
        source: Where the records come from.
        sink: Where the items go.
        transform: Makes the items.
        clock: Time.
        rng: Chance, for jitter.
        seen: Tells what a process saw of the source.
        before: Tells what a check found before, of a process or of the last one like it.
        is_filled: Tells whether a process goes on from what must be in the sink.
        check_untouched: Raises if somebody else moved a process on.
        read_ahead: How many requests may be under way at once, where pages are read ahead.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink[T],
        transform: Transform[T],
        *,
        clock: Clock,
        rng: random.Random,
        seen: Callable[[Process], Seen],
        before: Callable[[Process], Mapping[str, str]],
        is_filled: Callable[[Process], bool],
        check_untouched: Callable[[Process], None],
        read_ahead: int = 1,
    ) -> None:
        self._source = source
        self._sink = sink
        self._transform = transform
        self._clock = clock
        self._rng = rng
        self._seen = seen
        self._before = before
        self._is_filled = is_filled
        self._check_untouched = check_untouched
        self._checked: str | None = None
        self._missing: dict[str, frozenset[str]] = {}
        self._read_ahead = read_ahead
        self._pages = ReadAhead(source, read_ahead, clock)
        self._held: tuple[e.PageFetched, tuple[Record, ...]] | None = None
        self._upserted: _Upserted | None = None

    async def perform(self, process: Process, action: d.Action, *, reads_ahead: bool = False) -> d.Outcome:
        """Perform an action; what the world does wrong is an outcome too.

        With `reads_ahead`, pages that will be needed soon may be asked for as well: call `pause` before
        waiting, and `drop` at the end.

        Raises:
            VersionConflict: Somebody else moved the process on, so that nothing more is written for it.
        """
        if self._checked != process.id and not isinstance(action, d.CheckSetup):
            failure = await self._check_same(process)
            if isinstance(failure, Failure):
                # Nothing is held yet, so that a page that is to be delivered would be fetched first.
                return self._failed("finish" if isinstance(action, d.FinishSync) else "fetch", failure)
        match action:
            case d.CheckSetup():
                return await self._check(process)
            case d.FetchPage():
                following = foresee(process, self._read_ahead - 1) if reads_ahead else ()
                return await self._fetch(action.request, following)
            case d.DeliverPage():
                records = self._held_records(process)
                if records is None:
                    return await self._fetch(action.refetch)
                return await self._deliver(process, records, action.gone)
            case d.FinishSync():
                return await self._finish(process, action)
            case _:
                assert_never(action)

    async def _check(self, process: Process) -> d.Outcome:
        found = await self._check_same(process)
        if isinstance(found, Failure):
            return self._failed("check", found)
        there = await self._sink.check()
        return self._failed("check", there) if isinstance(there, Failure) else d.Checked(found=found | there)

    async def _check_same(self, process: Process) -> dict[str, str] | Failure:
        """Check, once for each process that is begun or gone on with, that it is of the same two sides.

        The key of the source may be another; the file of the sink may be gone.
        """
        found = await self._source.check()
        if isinstance(found, Failure):
            return found
        failure = moved(process.source, process.sink, found=found, before=self._before(process))
        failure = failure or await self._check_not_emptied(process)
        if failure is None:
            self._checked = process.id
        return failure or found

    async def _check_not_emptied(self, process: Process) -> Failure | None:
        sink = emptiable(self._sink)
        if sink is None or not self._is_filled(process):
            return None
        return emptied(process.sink) if await sink.is_empty() else None

    async def pause(self) -> None:
        """Let nothing be asked for until the next page is."""
        await self._pages.pause()

    async def drop(self) -> None:
        """Give up what was asked for ahead."""
        await self._pages.drop()

    async def _fetch(self, request: PageRequest, following: Sequence[PageRequest] = ()) -> d.Outcome:
        answer = await self._pages.fetch(request, following)
        if isinstance(answer.page, Failure):
            return self._failed("fetch", answer.page)
        # Not later than it is: a watermark ahead of us would leave out whoever comes until then.
        as_of = min(answer.page.as_of, self._clock.now())
        return fetched(request, replace(answer.page, as_of=as_of), answer.elapsed_ms)

    async def _deliver(
        self, process: Process, records: tuple[Record, ...], gone: tuple[str, ...]
    ) -> d.Outcome:
        began = self._clock.now()
        done = self._upserted or await self._upsert(process, records)
        if isinstance(done, Failure):
            return self._failed("deliver", done)
        self._upserted = done  # where the deletion fails, the next try need only delete, and counts both
        deletion = await self._delete(process, gone)
        if isinstance(deletion, Failure):
            return self._failed("deliver", deletion)
        return d.Delivered(
            created=done.result.created,
            updated=done.result.updated,
            unchanged=done.result.unchanged + deletion.unchanged,
            rejects=(*done.rejects, *done.result.rejects, *deletion.rejects),
            left_out=done.result.left_out,
            elapsed_ms=elapsed_ms(began, self._clock.now()),
            deleted=deletion.deleted,
        )

    async def _upsert(self, process: Process, records: tuple[Record, ...]) -> _Upserted | Failure:
        ready = await self._transform(records)
        if isinstance(ready, Failure):
            return ready
        assert len(ready.items) + len(ready.rejects) == len(records), "the transform lost a record"
        self._check_untouched(process)  # a transform takes its time, and old data must not come after new
        result = await self._sink.upsert(ready.items)
        if isinstance(result, Failure):
            return result
        written = result.created + result.updated + result.unchanged
        assert written + len(result.rejects) == len(ready.items), "the sink's counts do not add up"
        return _Upserted(rejects=ready.rejects, result=result)

    async def _delete(self, process: Process, record_ids: tuple[str, ...]) -> Deletion | Failure:
        """Delete what is gone; a sink that cannot delete rejects it."""
        sink = deleting(self._sink)
        if not record_ids:
            return Deletion()
        if sink is None:
            return Deletion(rejects=undeletable(record_ids))
        self._check_untouched(process)
        deleted = await sink.delete(self._source.kind, record_ids)
        if isinstance(deleted, Failure):
            return deleted
        assert 0 <= deleted <= len(record_ids), "the sink deleted more than it was asked to"
        return Deletion(deleted=deleted, unchanged=len(record_ids) - deleted)

    async def _finish(self, process: Process, action: d.FinishSync) -> d.Outcome:
        outcome = await self._delete_missing(process) if action.deletes_missing else d.Finished()
        if not isinstance(outcome, d.Finished):
            return outcome
        failure = await self._sink.finish()
        return self._failed("finish", failure) if failure else outcome

    async def _delete_missing(self, process: Process) -> d.Outcome:
        """Delete what the sink has of the source and no page had, unless that is in doubt or too much."""
        sink = listing(self._sink)
        assert sink is not None, "a sync that deletes what is missing only begins with a sink that can"
        known = await sink.known(self._source.kind)
        if isinstance(known, Failure):
            return self._failed("finish", known)
        seen = self._seen(process)  # after that: whoever brings something meanwhile has told the log before
        if seen.doubt:
            return d.Finished(kept=seen.doubt)
        progress = process.progress
        if not known and progress.created + progress.updated + progress.unchanged:
            return d.Finished(kept=f"the sink has nothing that calls its source {self._source.kind!r}")
        missing = sorted(known - seen.record_ids)
        if len(missing) > process.options.missing_ratio_max * len(known):
            return d.TooManyMissing(missing=len(missing), known=len(known))
        return await self._delete_all(process, sink, missing)

    async def _delete_all(self, process: Process, sink: Listing, missing: Sequence[str]) -> d.Outcome:
        """Delete what is missing; what was deleted at an earlier try, and so is known no more, counts too."""
        all_missing = self._missing.get(process.id, frozenset()).union(missing)
        self._missing = {process.id: all_missing}
        self._check_untouched(process)
        deleted = await sink.delete(self._source.kind, missing) if missing else 0
        return (
            self._failed("finish", deleted)
            if isinstance(deleted, Failure)
            else d.Finished(missing=len(all_missing))
        )

    def _failed(self, action: e.ActionName, failure: Failure) -> d.Failed:
        return d.Failed(action=action, failure=failure, at=self._clock.now(), chance=self._rng.random())

    # ── the page between its fetch and its delivery ──────────────────────────────────────────

    def hold(self, process: Process, outcome: d.Outcome) -> None:
        """Keep the records of the page that was fetched until it is delivered."""
        if process.pending is None or not process.is_active:
            # What a refetch found may have ended the sync; `pending` is then an older page.
            self._held = self._upserted = None
        elif isinstance(outcome, d.Fetched):
            # Of rows with one id the first was taken, so it is the one to keep.
            sound = [row for row in outcome.rows if isinstance(row, Record) and not row.problem]
            by_id = {record.id: record for record in reversed(sound)}
            self._held = (process.pending, tuple(by_id[id_] for id_ in process.pending.record_ids))
            self._upserted = None

    def _held_records(self, process: Process) -> tuple[Record, ...] | None:
        """Return the records of the pending page, or `None` after a crash or on another worker."""
        if self._held is None or self._held[0] != process.pending:
            return None
        return self._held[1]

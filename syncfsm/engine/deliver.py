"""Delivering to a sink: a page, what is gone, and in the end what is missing.

What the world does wrong comes back as a `Failure`. What was to be deleted is deleted again after a crash.
What is deleted as missing was asked for by its id before, and did not come: the log says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core.blanking import Blanking, added, overrun
from syncfsm.core.failure import Failure
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.engine.held_page import HeldPage, Upserted
from syncfsm.engine.slots import elapsed_ms
from syncfsm.errors import BrokenContract
from syncfsm.history.earlier import Earlier
from syncfsm.history.missing import undeletable
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.outside.clock import Clock, SteadyClock
from syncfsm.sinks.protocol import Enumerable, Sink, UpsertResult, capabilities
from syncfsm.sources.protocol import Source, Transform, Transformed

T = TypeVar("T")


class Deletion(Value, frozen=True):
    """What became of records that are gone; the counts add up to them."""

    deleted: int = 0
    unchanged: int = 0
    rejects: tuple[Reject, ...] = ()


class LookUpFailed(Value, frozen=True):
    """What the transform asked for did not come, so that the page was not delivered."""

    failure: Failure


Delivered = d.Delivered | d.TooMuchBlanked | LookUpFailed | Failure
"""What comes of a delivery."""


class Delivery(Generic[T]):
    """Gives to one sink what came from one source.

    Args:
        source: Where it came from.
        sink: Where it goes.
        transform: Makes the items.
        clock: Time.
        earlier: What the log says came before.
        marks: What of that the sink bears out.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink[T],
        transform: Transform[T],
        *,
        clock: Clock,
        earlier: Earlier,
        marks: SinkMarks,
    ) -> None:
        self._kind = source.kind
        self._sink = sink
        self._can = capabilities(sink)
        self._transform = transform
        self._clock = SteadyClock(clock)
        self._earlier = earlier
        self._marks = marks
        self._found: dict[str, d.FoundMissing] = {}  # all that is missing, by the process

    async def deliver(
        self, process: Process, held: HeldPage, gone: tuple[str, ...]
    ) -> Delivered | d.TooManyMissing:
        """Let the sink take a page, and delete what is gone.

        Raises:
            VersionConflict: Somebody else moved the process on, so that nothing more is written for it.
            BrokenContract: The transform or the sink lost track of what it was given.
        """
        began = self._clock.now()
        done = held.upserted or await self._upsert(process, held)
        if not isinstance(done, Upserted):
            return done
        held.upserted = done
        too_many = await self._too_many(process, gone)
        if too_many is not None:
            return too_many
        deletion = await self._delete(process, gone)
        if isinstance(deletion, Failure):
            return deletion
        return d.Delivered(
            created=done.result.created,
            updated=done.result.updated,
            unchanged=done.result.unchanged + deletion.unchanged,
            rejects=(*done.rejects, *done.result.rejects, *deletion.rejects),
            left_out=added(done.result.left_out, done.left_out),
            elapsed_ms=elapsed_ms(began, self._clock.now()),
            deleted=deletion.deleted,
            blanking=held.blanking or Blanking(),
        )

    async def find_missing(self, process: Process, action: d.FindMissing) -> d.FoundMissing | Failure:
        """Find what the sink has of the source and no page had, unless that is in doubt."""
        found = self._found.get(process.id) if action.after else None
        if found is None:
            answer = await self._all_missing(process)
            if isinstance(answer, Failure):
                return answer
            found = answer
            self._found = {process.id: found}
        following = [record_id for record_id in found.record_ids if record_id > action.after]
        return replace(found, record_ids=tuple(following[: action.limit]))

    async def finish(self, process: Process, action: d.FinishSync) -> d.Finished | d.TooManyMissing | Failure:
        """Delete what is missing, where that was asked for, and let the sink put its house in order."""
        outcome = await self._delete_missing(process) if action.deletes_missing else d.Finished()
        if not isinstance(outcome, d.Finished):
            return outcome
        failure = await self._end(process)
        before = max(0, self._earlier.items_left(process)) if process.mode == "initial" else 0
        return failure or replace(outcome, before=before)

    async def finish_early(self, process: Process, as_of: datetime) -> Failure | None:
        """Let the sink put its house in order, and its mark say that it has all that was there at a time.

        Its check may have begun what this ends. A mark that stayed behind would cost more with every turn:
        the older of both watermarks counts, and all processes since the mark are looked through.
        """
        self._earlier.check_untouched(process)
        return await self._end(replace(process, watermark=as_of))

    async def _end(self, process: Process) -> Failure | None:
        failure, sink = await self._sink.finish(), self._can.marked
        if failure is not None or sink is None:
            return failure
        return await sink.set_mark(self._marks.mark_of(process, is_done=True))

    async def _upsert(
        self, process: Process, held: HeldPage
    ) -> Upserted | d.TooMuchBlanked | LookUpFailed | Failure:
        ready = await self._transform(held.records)
        if isinstance(ready, Failure):
            return LookUpFailed(failure=ready)
        _check_transformed(ready, len(held.records))
        refusal = await self._foretell(process, held, ready.items)
        if refusal is not None:
            return refusal
        self._earlier.check_untouched(process)  # a transform takes its time: old data must not come after new
        held.is_given = True
        result = await self._give(process, ready.items)
        if isinstance(result, Failure):
            return result
        _check_upserted(self._sink, result, len(ready.items))
        return Upserted(rejects=ready.rejects, result=result, left_out=ready.left_out)

    async def _foretell(
        self, process: Process, held: HeldPage, items: Sequence[T]
    ) -> d.TooMuchBlanked | Failure | None:
        """Hear from the sink, once for each page, what an upsert would empty; return why it may not be."""
        sink = self._can.foretelling
        if sink is None or held.blanking is not None:
            return None
        found = await sink.would_blank(items)
        if isinstance(found, Failure):
            return found
        field = overrun(process.progress.blanking, found, process.options)
        if field is not None:
            return d.TooMuchBlanked(overrun=field)
        held.blanking = found
        return None

    async def _give(self, process: Process, items: Sequence[T]) -> UpsertResult | Failure:
        """Let the sink take the items, and with them the mark of how far it got, if it keeps any."""
        sink = self._can.marked
        if sink is None:
            return await self._sink.upsert(items)
        return await sink.upsert_marked(items, self._marks.mark_of(process))

    async def delete_again(self, process: Process, record_ids: Sequence[str]) -> Failure | None:
        """Delete whom others deleted while a page that still had them was on its way into the sink.

        They can only where somebody cancelled the process meanwhile, or moved it on; so nobody else will, and
        it is asked where the append that follows finds that.
        """
        sink = self._can.deleting
        gone = self._earlier.gone_meanwhile(process, record_ids)
        if sink is None or not gone:
            return None
        deleted = await sink.delete(self._kind, gone)
        return deleted if isinstance(deleted, Failure) else None

    async def _delete(self, process: Process, record_ids: tuple[str, ...]) -> Deletion | Failure:
        """Delete what is gone; a sink that cannot delete rejects it."""
        sink = self._can.deleting
        if not record_ids:
            return Deletion()
        if sink is None:
            return Deletion(rejects=undeletable(record_ids))
        self._earlier.check_untouched(process)
        deleted = await sink.delete(self._kind, record_ids)
        if isinstance(deleted, Failure):
            return deleted
        if not 0 <= deleted <= len(record_ids):
            raise BrokenContract(
                f"the sink {self._sink.name} was asked to delete {len(record_ids)} items and says that it "
                f"deleted {deleted}: mend its `delete`"
            )
        return Deletion(deleted=deleted, unchanged=len(record_ids) - deleted)

    async def _too_many(self, process: Process, gone: Collection[str]) -> d.TooManyMissing | Failure | None:
        """Say so where webhooks tell that more of the sink's contacts are gone than can be believed."""
        sink = self._can.enumerable
        if sink is None or process.progress.deleted + len(gone) <= process.options.deletions_min or not gone:
            return None
        known = await sink.known(self._kind)
        if isinstance(known, Failure):
            return known
        deleted = process.progress.deleted + len(known.intersection(gone))  # not those that are gone already
        before = len(known) + process.progress.deleted
        is_believed = deleted <= process.options.missing_ratio_max * before
        return None if is_believed or not before else d.TooManyMissing(missing=deleted, known=before)

    async def _all_missing(self, process: Process) -> d.FoundMissing | Failure:
        sink = self._enumerable(process)
        known = await sink.known(self._kind)
        if isinstance(known, Failure):
            return known
        # After that: who brings something has told the log before.
        seen = self._earlier.ids_seen(process, self._marks.all)
        progress = process.progress
        kept = seen.doubt
        if not known and progress.created + progress.updated + progress.unchanged:
            kept = kept or f"the sink has nothing that calls its source {self._kind!r}"
        missing = () if kept else tuple(sorted(known - seen.record_ids))
        return d.FoundMissing(record_ids=missing, known=len(known), kept=kept)

    def _enumerable(self, process: Process) -> Enumerable:
        sink = self._can.enumerable
        if sink is None:
            raise BrokenContract(
                f"process {process.id} is to delete what is missing, and the sink {self._sink.name} has no "
                "`delete` and `known` any more: give them back to it, or start anew without"
            )
        return sink

    async def _delete_missing(self, process: Process) -> d.Finished | d.TooManyMissing | Failure:
        """Delete what is missing by its id too, unless it is too much; also what was deleted already."""
        found = process.missing
        assert found is not None, "what is missing is found before the end"
        if found.kept:
            return d.Finished(kept=found.kept)
        sink = self._enumerable(process)
        gone = self._earlier.confirmed_gone(process)
        if len(gone) > process.options.missing_ratio_max * found.known:
            return d.TooManyMissing(missing=len(gone), known=found.known)
        self._earlier.check_untouched(process)
        deleted = await sink.delete(self._kind, gone) if gone else 0
        return deleted if isinstance(deleted, Failure) else d.Finished(missing=len(gone))


def _check_transformed(ready: Transformed[Any], count: int) -> None:
    """Refuse what a transform made, if a record is neither among the items nor among the rejects."""
    if len(ready.items) + len(ready.rejects) != count:
        raise BrokenContract(
            f"the transform made {len(ready.items)} items and {len(ready.rejects)} rejects of {count} "
            "records: let each record be one or the other"
        )


def _check_upserted(sink: Sink[Any], result: UpsertResult, count: int) -> None:
    """Refuse the counts of a sink that do not add up to the items it was given."""
    written = result.created + result.updated + result.unchanged
    if written + len(result.rejects) != count:
        raise BrokenContract(
            f"the sink {sink.name} was given {count} items, and its counts add up to "
            f"{written + len(result.rejects)}: mend its `upsert`"
        )

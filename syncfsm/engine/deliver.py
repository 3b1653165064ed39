"""Delivering to a sink: a page, what is gone, and in the end what is missing.

What the world does wrong comes back as a `Failure`. What was to be deleted is deleted again after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from syncfsm.core import decide as d
from syncfsm.core.failure import Failure
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.engine.held_page import HeldPage, Upserted
from syncfsm.engine.readahead import elapsed_ms
from syncfsm.errors import BrokenContract
from syncfsm.history.earlier import Earlier
from syncfsm.history.missing import undeletable
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Enumerable, Sink, UpsertResult, capabilities
from syncfsm.sources.protocol import Source, Transform, Transformed

T = TypeVar("T")


class Deletion(Value, frozen=True):
    """What became of records that are gone; the counts add up to them."""

    deleted: int = 0
    unchanged: int = 0
    rejects: tuple[Reject, ...] = ()


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
        self._transform = transform
        self._clock = clock
        self._earlier = earlier
        self._marks = marks
        self._missing: dict[str, frozenset[str]] = {}

    async def deliver(self, process: Process, held: HeldPage, gone: tuple[str, ...]) -> d.Delivered | Failure:
        """Let the sink take a page, and delete what is gone.

        Raises:
            VersionConflict: Somebody else moved the process on, so that nothing more is written for it.
            BrokenContract: The transform or the sink lost track of what it was given.
        """
        began = self._clock.now()
        done = held.upserted or await self._upsert(process, held)
        if isinstance(done, Failure):
            return done
        held.upserted = done
        deletion = await self._delete(process, gone)
        if isinstance(deletion, Failure):
            return deletion
        return d.Delivered(
            created=done.result.created,
            updated=done.result.updated,
            unchanged=done.result.unchanged + deletion.unchanged,
            rejects=(*done.rejects, *done.result.rejects, *deletion.rejects),
            left_out=done.result.left_out,
            elapsed_ms=elapsed_ms(began, self._clock.now()),
            deleted=deletion.deleted,
        )

    async def finish(self, process: Process, action: d.FinishSync) -> d.Finished | d.TooManyMissing | Failure:
        """Delete what is missing, where that was asked for, and let the sink put its house in order."""
        outcome = await self._delete_missing(process) if action.deletes_missing else d.Finished()
        if not isinstance(outcome, d.Finished):
            return outcome
        failure = await self._sink.finish()
        sink = capabilities(self._sink).marked
        if failure is None and sink is not None:
            failure = await sink.set_mark(self._marks.mark_of(process, is_done=True))
        return failure or outcome

    async def _upsert(self, process: Process, held: HeldPage) -> Upserted | Failure:
        ready = await self._transform(held.records)
        if isinstance(ready, Failure):
            return ready
        _check_transformed(ready, len(held.records))
        self._earlier.check_untouched(process)  # a transform takes its time: old data must not come after new
        result = await self._give(process, ready.items)
        failure = await self._delete_again(process, held.page.record_ids)
        if isinstance(result, Failure):
            return result
        if failure is not None:
            return failure
        _check_upserted(self._sink, result, len(ready.items))
        return Upserted(rejects=ready.rejects, result=result)

    async def _give(self, process: Process, items: Sequence[T]) -> UpsertResult | Failure:
        """Let the sink take the items, and with them the mark of how far it got, if it keeps any."""
        sink = capabilities(self._sink).marked
        if sink is None:
            return await self._sink.upsert(items)
        return await sink.upsert_marked(items, self._marks.mark_of(process))

    async def _delete_again(self, process: Process, record_ids: Sequence[str]) -> Failure | None:
        """Delete whom others deleted while a page that still had them was on its way into the sink.

        They can only where somebody cancelled the process meanwhile, or moved it on; so nobody else will.
        """
        sink = capabilities(self._sink).deleting
        gone = self._earlier.gone_meanwhile(process, record_ids)
        if sink is None or not gone:
            return None
        deleted = await sink.delete(self._kind, gone)
        return deleted if isinstance(deleted, Failure) else None

    async def _delete(self, process: Process, record_ids: tuple[str, ...]) -> Deletion | Failure:
        """Delete what is gone; a sink that cannot delete rejects it."""
        sink = capabilities(self._sink).deleting
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

    async def _delete_missing(self, process: Process) -> d.Finished | d.TooManyMissing | Failure:
        """Delete what the sink has of the source and no page had, unless that is in doubt or too much."""
        sink = capabilities(self._sink).enumerable
        if sink is None:
            raise BrokenContract(
                f"process {process.id} is to delete what is missing, and the sink {self._sink.name} has no "
                "`delete` and `known` any more: give them back to it, or start anew without"
            )
        known = await sink.known(self._kind)
        if isinstance(known, Failure):
            return known
        seen = self._earlier.ids_seen(process)  # after that: who brings something has told the log before
        if seen.doubt:
            return d.Finished(kept=seen.doubt)
        progress = process.progress
        if not known and progress.created + progress.updated + progress.unchanged:
            return d.Finished(kept=f"the sink has nothing that calls its source {self._kind!r}")
        missing = sorted(known - seen.record_ids)
        if len(missing) > process.options.missing_ratio_max * len(known):
            return d.TooManyMissing(missing=len(missing), known=len(known))
        return await self._delete_all(process, sink, missing)

    async def _delete_all(
        self, process: Process, sink: Enumerable, missing: Sequence[str]
    ) -> d.Finished | Failure:
        """Delete what is missing; what was deleted at an earlier try, and so is known no more, counts too."""
        all_missing = self._missing.get(process.id, frozenset()).union(missing)
        self._missing = {process.id: all_missing}
        self._earlier.check_untouched(process)
        deleted = await sink.delete(self._kind, missing) if missing else 0
        return deleted if isinstance(deleted, Failure) else d.Finished(missing=len(all_missing))


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

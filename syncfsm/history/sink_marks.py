"""What of a log a sink bears out: by its id and its marks, and not by its name alone.

A sink without marks, and a log from before there were any, are believed as they are. Else, pages that were
delivered by the log after what the sink's mark speaks of are lost to the sink, as if an older copy of it had
been put back. A log that does not know the mark's process is the older one. The older watermark counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, assert_never

from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.endpoints import mixed_up
from syncfsm.core.failure import Failure
from syncfsm.core.marks import SINK_ID, Lost, Mark, known_as
from syncfsm.core.process import Process
from syncfsm.core.routes import Side, items_left, last_begun, last_found, watermark
from syncfsm.core.source_name import SourceName
from syncfsm.history.looks import Looks, at_once
from syncfsm.log.protocol import EventLog
from syncfsm.sinks.protocol import Marked, Sink, capabilities
from syncfsm.sources.protocol import Source


class SinkMarks(Looks):
    """The marks of a sink beside a log.

    Args:
        log: The log.
        source: What comes into the sink.
        sink: The sink.
    """

    def __init__(self, log: EventLog, source: Source, sink: Sink[Any]) -> None:
        super().__init__()
        self._log = log
        self._source = source
        self._sink = sink
        self._marked: Marked[Any] | None = capabilities(sink).marked
        self._lost: tuple[tuple[Mark, int], Lost] | None = None

    @property
    def name(self) -> str:
        """What the log calls the sink: by its id, the same wherever its file is."""
        return self._sink.name if self._marked is None else self._known_as

    @cached_property
    def _known_as(self) -> str:
        kind = self._sink.name.partition(":")[0]
        by_sink: dict[str, list[Side]] = {}
        for side in self._log.sides(self._source.name):  # what others brought into it, its own marks tell
            if side.route.sink.partition(":")[0] == kind:
                by_sink.setdefault(side.route.sink, []).append(side)
        ids = [(known, (last_found(sides) or {}).get(SINK_ID)) for known, sides in by_sink.items()]
        active = self._log.active(self._source.name, self._source.object)
        if active is not None and active.found is None and active.sink == self._sink.name:
            return active.sink  # cut off before it could say whether this is its sink
        return known_as(self._sink.name, self.sink_id(), ids)

    # ── what is believed ─────────────────────────────────────────────────────────────────────

    def sides(self) -> Sequence[Side]:
        """Return what the log says that the processes of this source object and sink come to."""
        return self._look("sides", lambda: self._log.sides(*self._route))

    def last_begun(self, modes: Sequence[e.Mode]) -> Process | None:
        """Return the process of these modes that began last."""
        process_id = last_begun(self.sides(), modes)
        return self._loaded(process_id) if process_id is not None else None

    @at_once
    def last_sync_time(self) -> datetime | None:
        """Return the watermark at which an ongoing sync takes up: the log's or the sink's, the older one."""
        time = watermark(self.sides(), changed_by=self._source.changed_by)
        if time is None or not self._has_id:
            return time
        mark = self._mark()
        if mark is None:
            return None if self._is_blank else time
        moments = [time, mark.watermark]
        lost = self.lost(mark)
        if lost:
            moments.append(lost.takes_up_at(self._source.changed_by))
        known = [moment for moment in moments if moment is not None]
        return min(known) if len(known) == len(moments) else None

    @at_once
    def lacks(self, process: Process) -> bool:
        """Whether a process would build on what the sink has not, though the log says that it was delivered.

        Of those that begin, a sync of all records builds on nothing, and an ongoing one may begin so early
        that it brings all of that again.
        """
        if not self._has_id:
            return False
        mark = self._mark()
        is_new = not process.progress.pages
        if is_new and process.mode == "initial":
            return False
        if mark is None:
            return self._is_blank or (self._is_known and not is_new)
        lost = self.lost(mark)
        if is_new and process.since is not None:
            begins = process.since + timedelta(seconds=process.options.overlap_s)
            earliest = lost.takes_up_at(process.changed_by)
            return bool(lost) and (earliest is None or begins > earliest)
        return bool(lost)

    def lost(self, mark: Mark) -> Lost:
        """Return the processes of which the sink has not all that was written into it, by the log."""
        return self._look(mark, partial(self._lost_by_now, mark))

    def _lost_by_now(self, mark: Mark) -> Lost:
        key = (mark, self._log.last_position())
        if self._lost is None or self._lost[0] != key:
            self._lost = (key, self._lost_since(mark))
        return self._lost[1]

    def _lost_since(self, mark: Mark) -> Lost:
        known, position = self._known(mark), self._position(mark)
        if position is None:
            return Lost()
        lost: dict[str, Process] = {}
        again: set[str] = set()
        """Whose page is under way for a second time: its counts say nothing of the first."""
        is_its_page = True  # the first page of the process of the mark is what the mark speaks of
        for id_, recorded in self._of_route_after(mark, known[1:], position):
            is_of_mark = id_ == mark.process
            match recorded.event:
                case e.PageDelivered() as page:
                    is_written = page.created or page.updated or page.deleted or id_ in again
                    is_lost = is_written or self._loaded(id_).record_ids
                    if is_lost and not (is_of_mark and is_its_page):
                        lost[id_] = self._loaded(id_)
                    is_its_page &= not is_of_mark
                    again.discard(id_)
                case e.PageFetched():
                    is_its_page &= not is_of_mark
                case e.RetryScheduled(action="deliver") | e.SyncResumed():
                    again.add(id_)
                case e.SyncCompleted(missing=missing):
                    if missing and not (is_of_mark and recorded.version == mark.version + 1):
                        lost[id_] = self._loaded(id_)
                case (
                    e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
                    | e.MissingFound() | e.RecordRejected()
                    | e.RetryScheduled() | e.PagesShifted() | e.SyncFailed() | e.SyncCancelled()
                ):  # fmt: skip
                    pass
                case _:
                    assert_never(recorded.event)
        wrote = self._log.pruned_until(*self._route).wrote_position
        return Lost(processes=tuple(lost.values()), has_pruned=wrote > position)

    def is_elsewhere(self, process: Process) -> bool:
        """Whether it was another sink into which a process began to deliver.

        That is no matter to single records once a sync has brought all into this one.
        """
        began_in = (process.found or {}).get(SINK_ID)
        is_other = self._marked is not None and began_in is not None and began_in != self.sink_id()
        return is_other and not (process.record_ids and self._mark())

    @at_once
    def has_lost(self, process: Process, *, is_filled: bool) -> bool:
        """Whether the sink has not what a process goes on from: it is another, an older copy, or made anew.

        Args:
            process: The process.
            is_filled: Whether by the log there is anything that it goes on from. See `Earlier.is_filled`.
        """
        return self.is_elsewhere(process) or self.lacks(process) or (is_filled and self.is_without_id)

    @property
    def is_without_id(self) -> bool:
        """Whether the sink has no id where the log says that it had one: it is gone, or from before that."""
        return self._marked is not None and not self._has_id and self._is_known

    @at_once
    def told(self) -> str:
        """Say in words where the sink is not what the log says; empty where it is."""
        mark = self._mark() if self._has_id else None
        if mark is None:
            return "it has lost what the log says that it had" if self._has_id and self._is_blank else ""
        if self._position(mark) is None:
            return "it was written by a process that this log does not know; the older of the two counts"
        if not self.lost(mark):
            return ""
        return "an older copy of it was put back; what came since is brought again"

    def mixed_up(self) -> Failure | None:
        """Return why this source may not come into the sink, if another one has whose ids may be the same."""
        if getattr(self._source, "ids_are_unique", False):
            return None
        here = [mark.source for mark in self.all]
        here += [route.source for route in self._log.routes() if route.sink == self.name]
        ours, kind = self._source.name, self._source.kind
        alike = (name for name in here if name != ours and SourceName.of(name).items_source == kind)
        other = next(alike, None)
        return mixed_up(self._sink.name, ours, other) if other else None

    # ── what is written ──────────────────────────────────────────────────────────────────────

    def sink_id(self) -> str | None:
        """Return the id of the sink, if it has one."""
        return self._look("id", self._marked.sink_id) if self._marked else None

    @at_once
    def restated(self, process: Process) -> Mark | None:
        """Return the mark that is to be set when a process begins, if another is: nothing lost is forgotten.

        What the log says of a sink from before there were marks becomes its first one, as it is by then.
        """
        mark = self._mark()
        if mark is None:
            adopted = self._adopted()
            return replace(adopted, process=process.id, version=process.version) if adopted else None
        lost = self.lost(mark)
        moment = lost.takes_up_at(self._source.changed_by) if lost else mark.watermark
        if moment and mark.watermark:
            moment = min(moment, mark.watermark)
        elif lost:
            moment = None
        return replace(mark, watermark=moment) if moment != mark.watermark else None

    @at_once
    def mark_of(self, process: Process, *, is_done: bool = False) -> Mark:
        """Return the mark for what a process hands over now, or for its end."""
        before = self._mark() or self._adopted()
        watermark = before.watermark if before else None
        if is_done and process.mode == "initial":
            watermark = process.watermark
        elif is_done and process.mode == "ongoing" and watermark and process.watermark:
            watermark = max(watermark, process.watermark)
        source, object_, _ = self._route
        return Mark(
            source=source, object=object_, process=process.id, version=process.version, watermark=watermark
        )

    @property
    def _route(self) -> tuple[str, str, str]:
        return self._source.name, self._source.object, self.name

    @property
    def _has_id(self) -> bool:
        return self.sink_id() is not None

    @property
    def _is_known(self) -> bool:
        """Whether the log has seen an id of the sink: by then, each page was marked."""
        return SINK_ID in (
            self._look("found", partial(self._log.last_found, self._source.name, self.name)) or {}
        )

    @property
    def _is_blank(self) -> bool:
        """Whether the sink says nothing of what the log says that it has."""
        return self._is_known and items_left(self.sides()) > 0

    @property
    def all(self) -> tuple[Mark, ...]:
        """The marks of all that came into the sink, of whatever source, whoever's log says so."""
        return self._look("marks", self._marked.marks) if self._marked else ()

    def _mark(self) -> Mark | None:
        ours = (self._source.name, self._source.object)
        return next((mark for mark in self.all if (mark.source, mark.object) == ours), None)

    def _adopted(self) -> Mark | None:
        """Return what the log says of a sink that has no mark of it, and none that the log has seen."""
        last = None if self._is_known else self._log.last_completed(*self._route)
        if last is None:
            return None
        source, object_, _ = self._route
        time = watermark(self.sides(), changed_by=self._source.changed_by)
        return Mark(source=source, object=object_, process=last.id, version=last.version, watermark=time)

    def _known(self, mark: Mark) -> tuple[e.Recorded, ...]:
        """Return the event that a mark speaks of, and what came of its process since; none if it is unknown.

        Of a version that the log has not, it is the last one that there is.
        """
        return self._look(("known", mark), partial(self._known_by_now, mark))

    def _known_by_now(self, mark: Mark) -> tuple[e.Recorded, ...]:
        found = tuple(self._log.read(mark.process, after=mark.version - 1))
        return found or tuple(self._log.last_events(1, process_id=mark.process))

    def _position(self, mark: Mark) -> int | None:
        """Return the place behind which is lost what was written; null where the log does not know the mark.

        Of a process that was pruned, it is the place of the last that it wrote, if the mark speaks of that.
        """
        known = self._known(mark)
        if known:
            return known[0].position or 0
        pruning = self._look(("pruned", mark.process), partial(self._log.pruning_of, mark.process))
        gone = pruning.gone(mark.process) if pruning else None
        if gone is None:
            return None
        return gone.position if mark.version >= gone.version else 0

    def _of_route_after(
        self, mark: Mark, more: Sequence[e.Recorded], position: int
    ) -> Iterator[tuple[str, e.Recorded]]:
        """Yield what was recorded of this route behind a mark: `more` of its own process first."""
        yield from ((mark.process, recorded) for recorded in more)
        for process in self._log.moved_since(*self._route, position=position):
            has_written = process.progress.pages or process.progress.missing
            if process.id != mark.process and has_written:
                behind = (one for one in self._log.read(process.id) if (one.position or 0) > position)
                yield from ((process.id, recorded) for recorded in behind)

    def _loaded(self, process_id: str) -> Process:
        return self._look(("process", process_id), partial(self._log.load, process_id))

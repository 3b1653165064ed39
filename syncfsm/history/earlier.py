"""What the log says came before, for a process that is under way: what was set up, seen and left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncfsm.core import events as e
from syncfsm.core.marks import Mark
from syncfsm.core.process import Process
from syncfsm.core.routes import last_found
from syncfsm.errors import VersionConflict
from syncfsm.history.missing import Seen, confirmed_gone, ids_seen_since
from syncfsm.log.protocol import EventLog
from syncfsm.sources.protocol import Source


class Earlier:
    """What a log says of the processes of a source, asked while one of them is performed.

    Args:
        log: Where they are.
        source: Whose they are.
        hooks: What is called after each append; one that does not say that it `only_watches` may do anything.
    """

    def __init__(self, log: EventLog, source: Source, hooks: Sequence[object] = ()) -> None:
        self._log = log
        self._source = source
        self._may_be_stopped = not all(getattr(hook, "only_watches", False) for hook in hooks)

    def setup_facts(self, process: Process) -> Mapping[str, str]:
        """Return what a check found when a process, or the last one like it, began to fetch; it must hold.

        The last one of its route tells, or where there was none, that of another object.
        """
        if process.found:
            return process.found
        found = last_found(self._log.sides(process.source, process.object, process.sink))
        return found or self._log.last_found(process.source, process.sink) or {}

    def is_filled(self, process: Process) -> bool:
        """Whether a process goes on from what the log says is in its sink: its own, or others' before it."""
        progress = process.progress
        # Of single records, those count as unchanged too that were to be deleted and were not there.
        same = 0 if process.record_ids else progress.unchanged
        if progress.created + progress.updated + same > progress.deleted:
            return True
        return process.mode != "initial" and self.items_left(process) > 0

    def items_left(self, process: Process) -> int:
        """Return how many items completed syncs have left in the sink of a process."""
        return self._log.items_left_by_syncs(process.source, process.object, process.sink)

    def ids_seen(self, process: Process, marks: Sequence[Mark] = ()) -> Seen:
        """Return the records that were seen in the source since a process began. See `ids_seen_since`."""
        return ids_seen_since(self._log, self._source, process, marks)

    def confirmed_gone(self, process: Process) -> tuple[str, ...]:
        """Return the records of which a process has the proof that they are gone. See `confirmed_gone`."""
        return confirmed_gone(self._log, process)

    def gone_meanwhile(self, process: Process, record_ids: Sequence[str]) -> tuple[str, ...]:
        """Return those records that others have found to be gone since a process was at this version.

        Nobody can have while the process is where it was: then this costs no more than a look at that.
        """
        if self._log.version(process.id) == process.version:
            return ()
        here = next(self._log.read(process.id, after=process.version - 1, until=process.version))
        position, gone = here.position or 0, set[str]()
        told: dict[str, tuple[str, ...]] = {}  # by process, until it has deleted them
        proven: dict[str, set[str]] = {}
        while recorded := self._log.events_after(position):
            for record in recorded:
                event = record.event
                if isinstance(event, e.PageFetched) and self._is_alike(record.stream, process):
                    gone.difference_update(event.record_ids)
                    told[record.stream] = event.gone
                    proven.setdefault(record.stream, set()).update(event.confirmed or ())
                elif isinstance(event, e.PageDelivered):
                    gone.update(told.pop(record.stream, ()))
                elif isinstance(event, e.SyncCompleted) and event.missing:
                    gone |= proven.pop(record.stream, set())
            position = recorded[-1].position or 0
        return tuple(record_id for record_id in record_ids if record_id in gone)

    def _is_alike(self, process_id: str, process: Process) -> bool:
        """Whether a process is of the same source object and sink as another."""
        other = self._log.load(process_id)
        ours = (process.source, process.object, process.sink)
        return (other.source, other.object, other.sink) == ours

    def check_hooks(self, process: Process) -> None:
        """Let nothing more be asked for where a hook has cancelled the process.

        An action follows an append, or a load, without waiting, so only a hook can have moved the process on
        in between; the log need not be asked for anybody else. Who did while the action was under way is seen
        by the append, and before anything is given to the sink.

        Raises:
            VersionConflict: The process has moved on in the log.
        """
        if self._may_be_stopped and process.pending is None:  # what delivers looks itself
            self.check_untouched(process)

    def check_untouched(self, process: Process) -> None:
        """Let nothing be asked for and nothing delivered where somebody cancelled the process, or is on it.

        Raises:
            VersionConflict: The process has moved on in the log.
        """
        version = self._log.version(process.id)
        if version != process.version:
            raise VersionConflict(
                f"process {process.id} is at version {version}, not at {process.version} as expected: "
                "another worker is on it. Nothing was done."
            )

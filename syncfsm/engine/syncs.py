"""Beginning a sync, of all records or of what is new: what is unfinished is gone on with before.

Everything here appends at most one event and returns at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.processes import Processes
from syncfsm.engine.requests import SyncMode, SyncRequest
from syncfsm.errors import ActiveSync, ConfigurationError
from syncfsm.history.missing import mixed, other_route
from syncfsm.sinks.protocol import capabilities


class Syncs:
    """What is synced from one source object into one sink. See `Engine`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def start(self, request: SyncRequest) -> Process:
        """Record the start of a new sync of all records. See `Engine.start`."""
        if request.mode != "initial":
            raise ConfigurationError(
                f"only a sync of all records is started anew, not one in mode {request.mode}: see `take_up`"
            )
        if request.deletes_missing:
            self._check_deletes_missing()
        return self._processes.begin(
            page_size=request.page_size,
            order=request.order,
            options=request.options,
            deletes_missing=request.deletes_missing,
        )

    def _check_deletes_missing(self) -> None:
        sink = self._processes.sink
        if capabilities(sink).enumerable is None:
            raise ConfigurationError(
                f"the sink {sink.name} cannot delete what is missing: it needs `delete` and `known`"
            )
        other = other_route(
            self._processes.log,
            self._processes.source,
            self._processes.sink_name,
            self._processes.marks.all,
        )
        if other is not None:
            raise ConfigurationError(f"{mixed(other)}, or delete nothing")

    def take_up(self, request: SyncRequest) -> Process:
        """Return the process to go on with, or a new one. See `Engine.take_up`."""
        with self._processes.marks.at_once():
            return self._taken_up(request)

    def _taken_up(self, request: SyncRequest) -> Process:
        if request.mode == "ongoing":
            self._check_ongoing(request)
        process = self.to_go_on_with(request.mode)
        if process is not None:
            _check_like(process, request)
            return self._processes.go_on(process, request.page_size, request.options)
        told = self._processes.told_to_wait()
        if told is not None:
            return told
        since = self._processes.last_sync_time() if request.mode == "ongoing" else None
        if since is not None:
            return self._start_ongoing(since, request)
        return self.start(replace(request, mode="initial"))

    def _check_ongoing(self, request: SyncRequest) -> None:
        source = self._processes.source
        if not source.heeds_since:
            raise ConfigurationError(
                f"{source.name} cannot be asked for what is new: every sync of it is one of all records, in "
                "the mode initial"
            )
        if source.changed_by and self._processes.order_or_preferred(request.order) == "oldest":
            raise ConfigurationError(
                "records that change move ahead of a sync that goes from the oldest change to the newest, "
                "which might never end: choose order newest, or id"
            )
        if request.deletes_missing:
            raise ConfigurationError(
                "an ongoing sync asks for what is new, and cannot tell what is missing: delete that with an "
                "initial one"
            )

    def to_go_on_with(self, mode: SyncMode = "initial") -> Process | None:
        """Return the unfinished process that `take_up` goes on with; `None` if it begins a new one.

        A failed ongoing sync is left where a new one brings all that it would: where it went by another key
        than the source's now, or another sync was completed since it began. Any failed one is left where the
        sink has not what it brought.
        """
        if mode == "initial":
            return self._unfinished("initial")
        active = self._processes.active()
        if active is not None and active.mode == "initial" and self._processes.is_ours(active):
            return active
        watermark = self._processes.last_sync_time()
        process = self._unfinished("ongoing")
        if process is not None and (process.is_active or self._is_needed(process, watermark)):
            return process
        return self._unfinished("initial") if watermark is None else None

    def _unfinished(self, mode: SyncMode) -> Process | None:
        """Return the unfinished process of a mode, unless it failed and the sink lacks what it builds on."""
        process = self._processes.unfinished(mode)
        is_left = process is not None and not process.is_active and self._processes.marks.lacks(process)
        return None if is_left else process

    def _is_needed(self, failed: Process, watermark: datetime | None) -> bool:
        """Whether no new ongoing sync would bring all that a failed one would."""
        if watermark is None:  # the sink has lost what it began with
            return False
        assert failed.since is not None, "an ongoing sync began at a watermark"
        is_last = watermark - timedelta(seconds=failed.options.overlap_s) <= failed.since
        return is_last and failed.changed_by == self._processes.source.changed_by

    def _start_ongoing(
        self, watermark: datetime, request: SyncRequest, *, parent: str | None = None
    ) -> Process:
        """Record the start of a sync of what is new since the watermark, or a little longer."""
        source = self._processes.source
        options = request.options or source.options
        return self._processes.begin(
            mode="ongoing",
            since=watermark - timedelta(seconds=options.overlap_s),
            changed_by=source.changed_by,
            options=options,
            page_size=request.page_size,
            order=request.order,
            parent=parent,
        )

    def start_sweep(self, process: Process) -> Process | None:
        """Record the start of one more ongoing sync, where a completed one may have missed something.

        It may have where it went by a key that changes, and found anything new: a record that changes
        meanwhile moves to where the sync has been already. `None` where it cannot have, where `sweeps_max` of
        them have followed each other, whoever ran them, or where another sync of the source object is active,
        which is as good or is followed by one.
        """
        is_done = process.state is State.COMPLETED and process.mode == "ongoing"
        if not (is_done and process.changed_by and process.progress.found_anything):
            return None
        watermark = self._processes.last_sync_time()
        if watermark is None:
            return None
        if self._sweeps(process) >= process.options.sweeps_max:
            return None
        alike = SyncRequest(page_size=process.page_size, order=process.order, options=process.options)
        try:
            return self._start_ongoing(watermark, alike, parent=process.id)
        except ActiveSync:
            return None

    def _sweeps(self, process: Process) -> int:
        """Return how many sweeps have followed each other, this process included."""
        count = 0
        while process.parent is not None:
            process = self._processes.log.load(process.parent)
            count += 1
        return count


def _check_like(process: Process, request: SyncRequest) -> None:
    """Refuse to go on with a process that began in another way than is asked for now.

    Raises:
        ConfigurationError: It deletes nothing, or has another order.
    """
    if request.deletes_missing and not process.deletes_missing:
        raise ConfigurationError(
            f"process {process.id} is not finished and began without deleting what is missing: "
            f"go on without, or start anew"
        )
    if request.order not in {None, process.order}:
        raise ConfigurationError(
            f"process {process.id} is not finished and began with order {process.order!r}: "
            f"go on with that order, or start anew"
        )

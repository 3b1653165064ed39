"""Beginning a process, in each mode: all records, what is new, what webhooks told of, what was rejected.

Everything here appends at most one event and returns at once. Of each mode, what is unfinished is gone on
with before something new begins.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from syncfsm.core.machine import State
from syncfsm.core.notices import Waiting
from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.engine.processes import Processes
from syncfsm.errors import ActiveSync, ConfigurationError
from syncfsm.history.missing import mixed, other_route
from syncfsm.history.rejects import last_with_rejects, open_ids, rejects_of
from syncfsm.sinks.places import is_same
from syncfsm.sinks.protocol import listing

SyncMode = Literal["initial", "ongoing"]
"""What somebody may ask to be synced: everything, or what is new."""


class Modes(Processes):
    """What is begun for one source object and one sink, by one log. See `Engine`."""

    _has_webhooks = False

    def start(
        self,
        *,
        page_size: int = 50,
        order: Order | None = None,
        options: Options | None = None,
        deletes_missing: bool = False,
    ) -> Process:
        """Record the start of a new sync of all records; `run` or `step` then does it.

        Args:
            page_size: Records in a page; less than the most rows the source gives for one request.
            order: `newest` or `oldest` first, or by `id`; the one that the source prefers if `None`.
            options: The source's own with other limits, if not `None`: see `Source.options`.
            deletes_missing: Let the sink delete, once the sync is complete, what it has of this source and no
                page had. Only for a sink that has items of no other source that its items call the same.

        Raises:
            ActiveSync: One is active for the same source object.
            ConfigurationError: The page size or a limit cannot work, or what is missing cannot be told.
        """
        if deletes_missing:
            self._check_deletes_missing()
        return self._start(page_size=page_size, order=order, options=options, deletes_missing=deletes_missing)

    def _check_deletes_missing(self) -> None:
        if listing(self.sink) is None:
            raise ConfigurationError(
                f"the sink {self.sink.name} cannot delete what is missing: it needs `delete` and `known`"
            )
        other = other_route(self.log, self.source, self.sink.name)
        if other is not None:
            raise ConfigurationError(f"{mixed(other)}, or delete nothing")

    def take_up(
        self,
        *,
        mode: SyncMode = "initial",
        page_size: int = 50,
        order: Order | None = None,
        options: Options | None = None,
        deletes_missing: bool = False,
    ) -> Process:
        """Return the process to go on with: the active one, the failed one resumed, or a new one.

        Args:
            mode: `initial` for all records; `ongoing` for those that are new since the last sync that was
                completed (or changed, where the source can tell), which is an initial one if none was. An
                initial sync that is active is gone on with in either mode.
            page_size: Records in a page from here on; an active process keeps its own.
            order: See `start`; of a process that is gone on with, as it began.
            options: Other limits from here on; if `None`, those of the process, or of the source.
            deletes_missing: See `start`; of a process that is gone on with, as it began.

        Raises:
            ActiveSync: The active one is for another sink, or of a mode that is not gone on with.
            ConfigurationError: The source cannot tell what is new (`Source.heeds_since`); the order is not
                the one that the process began with, or is oldest first by a key that changes; the options
                are not those of an active process, which keeps its own; or it began without
                `deletes_missing`.
        """
        if mode == "ongoing":
            self._check_ongoing(self.order_or_preferred(order))
        process = self.to_go_on_with(mode)
        since = self.last_sync_time() if mode == "ongoing" and process is None else None
        if deletes_missing and mode == "ongoing":
            raise ConfigurationError(
                "an ongoing sync asks for what is new, and cannot tell what is missing: delete that with an "
                "initial one"
            )
        if process is None and since is not None:
            return self._start_ongoing(since, page_size=page_size, order=order, options=options)
        if process is None:
            return self.start(
                page_size=page_size, order=order, options=options, deletes_missing=deletes_missing
            )
        if deletes_missing and not process.deletes_missing:
            raise ConfigurationError(
                f"process {process.id} is not finished and began without deleting what is missing: "
                f"go on without, or start anew"
            )
        if order not in {None, process.order}:
            raise ConfigurationError(
                f"process {process.id} is not finished and began with order {process.order!r}: "
                f"go on with that order, or start anew"
            )
        return self._go_on(process, page_size, options)

    def _check_ongoing(self, order: Order) -> None:
        if not self.source.heeds_since:
            raise ConfigurationError(
                f"{self.source.name} cannot be asked for what is new: every sync of it is one of all "
                "records, in the mode initial"
            )
        if self.source.changed_by and order == "oldest":
            raise ConfigurationError(
                "records that change move ahead of a sync that goes from the oldest change to the newest, "
                "which might never end: choose order newest, or id"
            )

    def to_go_on_with(self, mode: SyncMode = "initial") -> Process | None:
        """Return the unfinished process that `take_up` goes on with; `None` if it begins a new one.

        A failed ongoing sync is left where a new one brings all that it would: where it went by another key
        than the source's now, or another sync was completed since it began.
        """
        if mode == "initial":
            return self.unfinished()
        active = self.active()
        if active is not None and active.mode == "initial" and self.is_ours(active):
            return active
        process = self.unfinished("ongoing")
        if process is not None and (process.is_active or self._is_needed(process)):
            return process
        return self.unfinished() if self.last_sync_time() is None else None

    def _is_needed(self, failed: Process) -> bool:
        """Whether no new ongoing sync would bring all that a failed one would."""
        watermark = self.last_sync_time()
        assert watermark is not None, "an ongoing sync began at a watermark"
        assert failed.since is not None, "likewise"
        is_last = watermark - timedelta(seconds=failed.options.overlap_s) <= failed.since
        return is_last and failed.changed_by == self.source.changed_by

    def _start_ongoing(self, watermark: datetime, *, options: Options | None, **wanted: Any) -> Process:
        """Record the start of a sync of what is new since the watermark, or a little longer."""
        options = options or self.source.options
        since = watermark - timedelta(seconds=options.overlap_s)
        return self._start(
            mode="ongoing", since=since, changed_by=self.source.changed_by, options=options, **wanted
        )

    def start_sweep(self, process: Process) -> Process | None:
        """Record the start of one more ongoing sync, where a completed one may have missed something.

        It may have where it went by a key that changes, and found anything new: a record that changes
        meanwhile moves to where the sync has been already. `None` where it cannot have, where `sweeps_max` of
        them have followed each other, whoever ran them, or where another sync of the source object is active,
        which is as good or is followed by one.
        """
        watermark = self.last_sync_time()
        is_done = process.state is State.COMPLETED and process.mode == "ongoing"
        if not (is_done and process.changed_by and process.progress.found_anything and watermark):
            return None
        if self._sweeps(process) >= process.options.sweeps_max:
            return None
        wanted = {"page_size": process.page_size, "order": process.order, "parent": process.id}
        try:
            return self._start_ongoing(watermark, options=process.options, **wanted)
        except ActiveSync:
            return None

    def _sweeps(self, process: Process) -> int:
        """Return how many sweeps have followed each other, this process included."""
        count = 0
        while process.parent is not None:
            process = self.log.load(process.parent)
            count += 1
        return count

    def take_up_webhooks(
        self, *, page_size: int = 50, options: Options | None = None, until: datetime | None = None
    ) -> Process | None:
        """Return the process that sees to what waits in the inbox, or `None` if nothing does; `run` does it.

        It is the active one; or a new one that takes what waits; or where nothing new does, one that has
        failed, resumed, the one that failed longest ago: so none that always fails is in the way of others.
        Of two workers, or two crashes, none can take anything from the other: it is taken in the transaction
        in which the process begins.

        Args:
            page_size: Records in a page.
            options: Rules and limits; if `None`, those of the process, or of the source. An active process
                keeps its own.
            until: What came later waits on.

        Raises:
            ActiveSync: Another sync of the source object is active. What waits, waits on.
            ConfigurationError: The page size or a limit cannot work, or the webhooks go to another sink.
        """
        self._check_only_sink()
        active = self.active()
        if active is not None and active.mode == "webhook" and self.is_ours(active):
            return self._go_on(active, page_size, None)
        ours = (self.source.name, self.source.object)
        waiting = self.log.waiting(*ours, until=until, now=self.clock.now())
        failed = self._failed_webhooks(waiting)
        if failed is not None:
            return self._go_on(failed, page_size, options)
        if not waiting.record_ids:
            return None
        return self._start(
            mode="webhook",
            page_size=page_size,
            order="id",
            options=options,
            record_ids=waiting.record_ids,
            notices=waiting.notices,
        )

    def _failed_webhooks(self, waiting: Waiting) -> Process | None:
        """Return the process to resume, if what waits is what one failed at, or if nothing waits."""
        if waiting.failed is None:
            return None if waiting.record_ids else self.unfinished("webhook")
        failed = self.log.load(waiting.failed)
        return failed if failed.is_resumable else None

    def _check_only_sink(self) -> None:
        """Refuse a second sink: a notice is seen to once, and each would get what the other left."""
        if self._has_webhooks:
            return
        sink = self.log.webhook_sink(self.source.name, self.source.object)
        if sink is not None and not is_same(sink, self.sink.name):
            raise ConfigurationError(
                f"the webhooks of {self.source.name} {self.source.object} in this log go to {sink}: give "
                f"{self.sink.name} a log of its own, and webhooks of its own"
            )
        self._has_webhooks = sink is not None

    def retry_rejects(
        self, process_id: str | None = None, *, page_size: int = 50, options: Options | None = None
    ) -> Process | None:
        """Return a process that sends rejected records again, or `None` if there are none; `run` does it.

        It is the unfinished retry of the same sync, resumed if it has failed, or a new one. It asks for the
        records that have an id and were not delivered since.

        Args:
            process_id: Whose rejects; of the last sync that is over or has failed and has some if `None`.
            page_size: Records in a page.
            options: Rules and limits from here on; if `None`, those of the process, or of the source.

        Raises:
            ActiveSync: A sync of the same source object is active.
            ProcessNotFound: There is no such process.
            ConfigurationError: The page size or a limit cannot work, or the process is not this engine's.
        """
        parent = self._load(process_id) if process_id else last_with_rejects(self.log, self.is_ours)
        if parent is None:
            return None
        unfinished = self.unfinished_retry(parent)
        if unfinished is not None:
            return self._go_on(unfinished, page_size, options)
        record_ids = open_ids(rejects_of(self.log, parent))
        if not record_ids:
            return None
        return self._start(
            mode="rejects",
            page_size=page_size,
            order="id",
            options=options,
            parent=parent.id,
            record_ids=record_ids,
        )

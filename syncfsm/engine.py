"""The engine: the one loop.

    while action := next_action(process):              # pure
        outcome = await perform(action)                 # the only I/O
        events  = decide(process, outcome)              # pure
        after   = fold(process, events)                 # pure; illegal events stop here, unwritten
        log.append(events, expected_version=process.version)
        process = after                                 # nothing unwritten is ever believed

`run` loops and waits; `step` does what is due until a page is delivered, and returns: a queue worker calls
it once for each message. Both are the same code. Crash anywhere: load the process and go on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from syncfsm import decide as d
from syncfsm import events as e
from syncfsm import lifecycle
from syncfsm.clock import Clock, SystemClock
from syncfsm.errors import ConfigurationError, VersionConflict
from syncfsm.log.protocol import EventLog
from syncfsm.machine import State
from syncfsm.perform import Performer
from syncfsm.process import Process
from syncfsm.rejects import last_with_rejects, open_ids, rejects_of
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.protocol import Source, Transform

T = TypeVar("T")


class Engine(Generic[T]):
    """Syncs one source object into one sink, by one log.

    Args:
        log: Where the events go. The engine does not close it.
        source: Where the records come from.
        sink: Where the items go.
        transform: Makes the items of a page out of its records.
        clock: Time; the machine's if `None`.
        rng: Chance, for process ids and for jitter; from the operating system if `None`.
        hooks: Called after each event.
        meta: Written beside each event, for the embedding program's own use. No secrets.
    """

    def __init__(
        self,
        log: EventLog,
        source: Source,
        sink: Sink[T],
        transform: Transform[T],
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        hooks: Sequence[lifecycle.Hook] = (),
        meta: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self.source = source
        self.sink = sink
        self.clock = clock or SystemClock()
        self._rng = rng or random.SystemRandom()
        self._hooks = hooks
        self._meta = dict(meta or {})
        self._performer = Performer(source, sink, transform, clock=self.clock, rng=self._rng)

    async def __aenter__(self) -> Self:
        """Return the engine itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source and the sink."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the source and the sink; the log belongs to the caller."""
        await self.source.aclose()
        await self.sink.aclose()

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    def active(self) -> Process | None:
        """Return the active process of the source object, if there is one."""
        return self.log.active(self.source.name, self.source.object)

    def unfinished(self, mode: e.Mode = "initial") -> Process | None:
        """Return the process to go on with, active or failed and resumable.

        Args:
            mode: `initial` for a sync (see `take_up`), `rejects` for a retry (see `retry_rejects`).
        """
        process = self.log.latest(self.source.name, self.source.object, self.sink.name, mode=mode)
        return process if process and (process.is_active or process.is_resumable) else None

    def unfinished_retry(self, parent: Process) -> Process | None:
        """Return the unfinished retry of a process's rejects, or the process itself if it is one."""
        retry = self.unfinished("rejects")
        return retry if retry and parent.id in {retry.id, retry.parent} else None

    def last_sync_time(self) -> datetime | None:
        """Return the watermark of the last sync completed into this sink: what it has seen, it has."""
        return self.log.last_sync_time(self.source.name, self.source.object, self.sink.name)

    def is_ours(self, process: Process) -> bool:
        """Whether a process is one of this source object and sink."""
        ours = (self.source.name, self.source.object, self.sink.name)
        return (process.source, process.object, process.sink) == ours

    # ── beginning, going on, ending ──────────────────────────────────────────────────────────

    def start(
        self, *, page_size: int = 50, order: e.Order = "newest", options: e.Options | None = None
    ) -> Process:
        """Record the start of a new sync; `run` or `step` then does it.

        Args:
            page_size: Records in a page; less than the most rows the source gives for one request.
            order: `newest` or `oldest` first, or by `id`.
            options: Rules and limits; the source's own if `None`.

        Raises:
            ActiveSync: One is active for the same source object.
            ConfigurationError: The page size or a limit cannot work.
        """
        return self._start(page_size=page_size, order=order, options=options)

    def _start(self, *, options: e.Options | None, **wanted: Any) -> Process:
        started = lifecycle.started(
            source=self.source.name,
            object_=self.source.object,
            sink=self.sink.name,
            options=options or self.source.options,
            **wanted,
        )
        return self._commit(None, f"{self._rng.getrandbits(48):012x}", (started,))

    async def run(self, process_id: str) -> Process:
        """Go on with a process until it is over, waiting where it has to wait; return its last state.

        Raises:
            VersionConflict: Another worker is on the process. It goes on there.
            LogUnwritable: The log cannot be written; nothing that was recorded is lost.
            ProcessNotFound: There is no such process.
            ConfigurationError: It is a process of another source object or sink.
        """
        process = self._load(process_id)
        while (action := d.next_action(process)) is not None:
            if action.not_before is None or self._is_due(action.not_before):
                process = await self._step(process)
            else:
                await self._until(action.not_before)
                process = self._load(process_id)  # somebody may have cancelled it meanwhile
        return process

    async def step(self, process_id: str) -> Process:
        """Do what is due, until a page is delivered; never wait. Return the state after it.

        While a retry is not due yet (`process.retry.retry_at`), nothing is done. See `run` for errors.
        """
        return await self._step(self._load(process_id))

    def resume(
        self,
        process_id: str,
        *,
        page_size: int | None = None,
        options: e.Options | None = None,
        by: str = "engine",
        why: str = "",
    ) -> Process:
        """Record that a failed process goes on, with another page size or other limits if given.

        Raises:
            NotActive: It has not failed, or failed in a way that going on cannot mend.
            ActiveSync: Another one has become active meanwhile.
            ConfigurationError: The page size or a limit cannot work, or the process is not this engine's.
        """
        process = self._load(process_id)
        resumed = lifecycle.resumed(process, page_size=page_size, options=options, by=by, why=why)
        return self._commit(process, process.id, (resumed,))

    def take_up(
        self, *, page_size: int = 50, order: e.Order = "newest", options: e.Options | None = None
    ) -> Process:
        """Return the process to go on with: the active one, the failed one resumed, or a new one.

        Args:
            page_size: Records in a page from here on; an active process keeps its own.
            order: See `start`.
            options: Rules and limits from here on; if `None`, those of the process, or of the source.

        Raises:
            ActiveSync: The active one is for another sink.
            ConfigurationError: The order is not the one that the process began with, or the options are
                not those of an active process, which keeps its own.
        """
        process = self.unfinished()
        if process is None:
            return self.start(page_size=page_size, order=order, options=options)
        if process.order != order:
            raise ConfigurationError(
                f"process {process.id} is not finished and began with order {process.order!r}: "
                f"go on with that order, or start anew"
            )
        return self._go_on(process, page_size, options)

    def _go_on(self, process: Process, page_size: int, options: e.Options | None) -> Process:
        """Return an unfinished process, resumed if it has failed, with what has changed."""
        changed = options if options != process.options else None
        if not process.is_active:
            size = page_size if page_size != process.page_size else None
            return self.resume(process.id, page_size=size, options=changed, why="run again")
        if changed is not None:
            raise ConfigurationError(
                f"process {process.id} is active, and only one that has failed can go on with other limits: "
                f"go on with its own, or start anew"
            )
        return process

    async def sync(
        self, *, page_size: int = 50, order: e.Order = "newest", options: e.Options | None = None
    ) -> Process:
        """Take up the unfinished sync or start a new one, and run it. See `take_up` and `run`."""
        return await self.run(self.take_up(page_size=page_size, order=order, options=options).id)

    def retry_rejects(
        self, process_id: str | None = None, *, page_size: int = 50, options: e.Options | None = None
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
            page_size=page_size, order="id", options=options, parent=parent.id, record_ids=record_ids
        )

    def cancel(self, process_id: str, *, by: str = "engine", why: str = "") -> Process:
        """Stop an active process for good. See `lifecycle.cancel`."""
        return lifecycle.cancel(self.log, process_id, by=by, why=why, clock=self.clock, hooks=self._hooks)

    # ── the loop ─────────────────────────────────────────────────────────────────────────────

    def _load(self, process_id: str) -> Process:
        """Return a process, if it is one for this source object and sink."""
        process = self.log.load(process_id)
        if not self.is_ours(process):
            raise ConfigurationError(
                f"process {process_id} syncs {process.source} {process.object} into {process.sink}, "
                f"but this engine {self.source.name} {self.source.object} into {self.sink.name}"
            )
        return process

    async def _step(self, process: Process) -> Process:
        """Take turns until nothing is held in memory, so that a worker never fetches a page twice."""
        try:
            while (action := d.next_action(process)) is not None and self._is_due(action.not_before):
                lifecycle.check_untouched(self.log, process)
                outcome = await self._performer.perform(process, action)
                process = self._commit(process, process.id, d.decide(process, outcome))
                self._performer.hold(process, outcome)
                if process.pending is None:
                    break
        except VersionConflict:
            current = self.log.load(process.id)
            if current.state is State.CANCELLED:
                return current
            raise
        return process

    def _is_due(self, not_before: datetime | None) -> bool:
        return not_before is None or self.clock.now() >= not_before

    async def _until(self, not_before: datetime) -> None:
        """Sleep until the moment has come."""
        wait_s = (not_before - self.clock.now()).total_seconds()
        await self.clock.sleep(max(0.0, wait_s))

    def _commit(self, process: Process | None, process_id: str, events: Sequence[e.Event]) -> Process:
        return lifecycle.commit(
            self.log,
            process,
            process_id,
            events,
            at=self.clock.now(),
            meta=self._meta,
            hooks=self._hooks,
        )

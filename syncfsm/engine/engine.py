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
from typing import Generic, Self, TypeVar, Unpack

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook
from syncfsm.engine.perform import Performer
from syncfsm.engine.processes import Processes
from syncfsm.engine.requests import Leaves, SyncMode, SyncRequest, Wanted, requested
from syncfsm.engine.single_records import SingleRecords
from syncfsm.engine.syncs import Syncs
from syncfsm.engine.waits import Waits
from syncfsm.engine.width import ReadAheadMax, check_read_ahead
from syncfsm.errors import VersionConflict
from syncfsm.history.earlier import Earlier
from syncfsm.log.patience import patiently
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SystemClock
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
        capture: Keep what the source answers in the log, for `rerun`: personal data. Events stay the same.
        read_ahead: The most requests for pages under way at once, while `run` runs; `step` asks for one page
            only. `auto` is as many as the source's rate and latency ask for, where it says that it stands
            being asked again before it has answered, and else one. With `capture` it is 1, since what comes
            is kept with the event that it led to.

    Attributes:
        processes: What there is for this source object and sink, and how more of it is recorded.

    Raises:
        ConfigurationError: The source cannot be captured, or `read_ahead` cannot work.
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
        hooks: Sequence[Hook] = (),
        meta: Mapping[str, str] | None = None,
        capture: bool = False,
        read_ahead: ReadAheadMax = "auto",
    ) -> None:
        check_read_ahead(read_ahead)
        self.log = log
        self.source = source
        self.sink = sink
        self.transform = transform
        self.clock = clock = clock or SystemClock()
        rng = rng or random.SystemRandom()
        self.processes = Processes(
            log, source, sink, clock=self.clock, rng=rng, hooks=hooks, meta=meta or {}, capture=capture
        )
        self._waits = Waits(self.clock)
        self._syncs = Syncs(self.processes)
        self._single_records = SingleRecords(self.processes)
        self._earlier = earlier = Earlier(log, source, hooks)
        marks, ahead = self.processes.marks, None if capture else read_ahead
        self._performer = Performer(
            source, sink, transform, clock=clock, rng=rng, earlier=earlier, marks=marks, read_ahead=ahead
        )

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
        await self._performer.drop()
        await self.source.aclose()
        await self.sink.aclose()

    async def run(self, process_id: str, *, leaves: Leaves | None = None) -> Process:
        """Go on with a process until it is over, waiting where it has to wait; return its last state.

        With `leaves`, it may be left before it is over, between two pages. See `Leaves`.

        Raises:
            VersionConflict: Another worker is on the process. It goes on there.
            LogUnwritable: The log cannot be written; nothing that was recorded is lost.
            ProcessNotFound: There is no such process.
            ConfigurationError: It is a process of another source object or sink.
        """
        process = self.processes.load(process_id)
        try:
            while d.next_action(process) is not None:
                if leaves is not None and leaves(self._waits.left_s(process)):
                    break
                if self._is_due(process):
                    process = await self._step(process, reads_ahead=True)
                else:
                    await self._performer.pause()  # nothing is asked for before its time
                    await self._waits.sleep(process)
                    process = self.processes.load(process_id)  # somebody may have cancelled it meanwhile
        finally:
            await self._performer.drop()
        return process

    async def step(self, process_id: str) -> Process:
        """Do what is due, until a page is delivered; never wait. Return the state after it.

        While a retry is not due yet (`process.retry.retry_at`), nothing is done. See `run` for errors.
        """
        return await self._step(self.processes.load(process_id))

    async def sync(self, request: SyncRequest | None = None, **wanted: Unpack[Wanted]) -> Process:
        """Take up the unfinished sync or start a new one, and run it. See `take_up`, `run`, `sweep`."""
        process = await patiently(self.log, self.clock, self.take_up, request, **wanted)
        return await self.sweep(await self.run(process.id))

    async def sweep(self, process: Process) -> Process:
        """Run ongoing syncs behind one that may have missed something, until one finds nothing new.

        Only those by a key that changes may. Return the last state of the last, or the process itself.
        """
        while (following := await patiently(self.log, self.clock, self.start_sweep, process)) is not None:
            process = await self.run(following.id)
        return process

    async def _step(self, process: Process, *, reads_ahead: bool = False) -> Process:
        """Take turns until nothing is held in memory, so that a worker never fetches a page twice.

        An action follows an append, or a load, without waiting: only a hook can have moved the process on in
        between. Who did while it was performed is seen by what gives to the sink, and by the append.
        """
        try:
            while (action := d.next_action(process)) is not None and self._is_due(process):
                self._earlier.check_hooks(process)
                outcome = await self._performer.perform(process, action, reads_ahead=reads_ahead)
                write, events = self.processes.commit, d.decide(process, outcome)
                process = await patiently(self.log, self.clock, write, process, process.id, events)
                self._waits.begin(process)
                self._performer.hold(process, outcome)
                if process.pending is None:
                    break
        except VersionConflict:
            await self._performer.make_good(process)
            current = self.log.load(process.id)
            if current.state is State.CANCELLED:
                return current
            raise
        return process

    @property
    def raised(self) -> Exception | None:
        """The last error that what is plugged in raised, for a debugger: the log has not its words."""
        return self._performer.raised

    def _is_due(self, process: Process) -> bool:
        return self._waits.left_s(process) <= 0

    def start(self, request: SyncRequest | None = None, **wanted: Unpack[Wanted]) -> Process:
        """Record the start of a new sync of all records; `run` or `step` then does it.

        Args:
            request: What is wanted: see `SyncRequest`.
            wanted: The same by name: `page_size=100`.

        Raises:
            ActiveSync: One is active for the same source object.
            ConfigurationError: The page size or a limit cannot work, or what is missing cannot be told.
        """
        return self._syncs.start(requested(request, wanted))

    def take_up(self, request: SyncRequest | None = None, **wanted: Unpack[Wanted]) -> Process:
        """Return the process to go on with: the active one, the failed one resumed, or a new one.

        An initial sync that is active is gone on with in either mode; one that is not to ask for longer than
        `wait_s_max` (`process.failure.retry_at`) stays failed. What is wanted is as for `start`.

        Raises:
            ActiveSync: The active one is for another sink, or of a mode that is not gone on with.
            ConfigurationError: The source cannot tell what is new (`Source.heeds_since`); the order is not
                the one that the process began with, or is oldest first by a key that changes; the options
                are not those of an active process; or it began without `deletes_missing`.
        """
        return self._syncs.take_up(requested(request, wanted))

    def to_go_on_with(self, mode: SyncMode = "initial") -> Process | None:
        """Return the unfinished process that `take_up` goes on with; `None` if it begins a new one."""
        return self._syncs.to_go_on_with(mode)

    def start_sweep(self, process: Process) -> Process | None:
        """Record the start of one more ongoing sync, where a completed one may have missed something.

        It may have where it went by a key that changes, and found anything new: what changes meanwhile moves
        to where it has been already. `None` where it cannot have, after `sweeps_max` of them, or where
        another sync is active, which is as good.
        """
        return self._syncs.start_sweep(process)

    def take_up_webhooks(
        self, *, page_size: int | None = None, options: Options | None = None, until: datetime | None = None
    ) -> Process | None:
        """Return the process that sees to what waits in the inbox, or `None` if nothing does; `run` does it.

        It is the active one; or a new one that takes what waits; or where nothing new does, the one that
        failed longest ago, resumed: so none that always fails is in the way of others. Of two workers none
        can take anything from the other: it is taken in the transaction in which the process begins.

        Args:
            page_size: Records in a page; what the sink takes best, or 50, if `None`.
            options: Rules and limits; if `None`, those of the process, or of the source. An active process
                keeps its own.
            until: What came later waits on.

        Raises:
            ActiveSync: Another sync of the source object is active.
            ConfigurationError: The page size or a limit cannot work, or the webhooks go to another sink.
        """
        return self._single_records.take_up_webhooks(page_size=page_size, options=options, until=until)

    def retry_rejects(
        self, process_id: str | None = None, *, page_size: int | None = None, options: Options | None = None
    ) -> Process | None:
        """Return a process that sends rejected records again, or `None` if there are none; `run` does it.

        It is the unfinished retry of the same sync, resumed if it has failed, or a new one, which asks for
        the records that have an id and were not delivered since.

        Args:
            process_id: Whose rejects; of the last sync that is over or has failed and has some if `None`.
            page_size: Records in a page; what the sink takes best, or 50, if `None`.
            options: Rules and limits from here on; if `None`, those of the process, or of the source.

        Raises:
            ActiveSync: A sync of the same source object is active.
            ProcessNotFound: There is no such process.
            ConfigurationError: The page size or a limit cannot work, or the process is not this engine's.
        """
        return self._single_records.retry_rejects(process_id, page_size=page_size, options=options)

    def resume(
        self,
        process_id: str,
        *,
        page_size: int | None = None,
        options: Options | None = None,
        by: str = "engine",
        why: str = "",
        asks_now: bool = False,
    ) -> Process:
        """Record that a failed process goes on, with another page size or other limits if given.

        If it failed since it was told to wait, `run` does that first, unless it `asks_now`.

        Raises:
            NotActive: It has not failed, or failed in a way that going on cannot mend.
            ActiveSync: Another one has become active meanwhile.
            ConfigurationError: The page size or a limit cannot work, or it is not this engine's.
        """
        self._performer.forget()
        return self.processes.resume(
            process_id, page_size=page_size, options=options, by=by, why=why, asks_now=asks_now
        )

    def cancel(self, process_id: str, *, by: str = "engine", why: str = "") -> Process:
        """Stop an active process for good. See `syncfsm.cancel`."""
        return self.processes.cancel(process_id, by=by, why=why)

    def active(self) -> Process | None:
        """Return the active process of the source object, if there is one."""
        return self.processes.active()

    def unfinished(self, mode: e.Mode = "initial") -> Process | None:
        """Return the process to go on with, active or failed and resumable; of `rejects`, `webhook`, too."""
        return self.processes.unfinished(mode)

    def last_sync_time(self) -> datetime | None:
        """Return the watermark at which an ongoing sync takes up: what was there by then, the sink has."""
        return self.processes.last_sync_time()

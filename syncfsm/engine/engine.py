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
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from syncfsm.core import decide as d
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.engine import lifecycle
from syncfsm.engine.modes import Modes, SyncMode
from syncfsm.engine.perform import Performer
from syncfsm.engine.readahead import check_read_ahead
from syncfsm.errors import VersionConflict
from syncfsm.history.missing import ids_seen_since
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.protocol import Source, Transform

T = TypeVar("T")


class Engine(Modes, Generic[T]):
    """Syncs one source object into one sink, by one log. Beginning and ending: see `Modes`, `Processes`.

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
            only. More than 1 is for sources that stand being asked again before they have answered. With
            `capture` it is 1, since what comes is kept with the event that it led to.

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
        hooks: Sequence[lifecycle.Hook] = (),
        meta: Mapping[str, str] | None = None,
        capture: bool = False,
        read_ahead: int = 1,
    ) -> None:
        check_read_ahead(read_ahead)
        super().__init__(log, source, sink, clock=clock, rng=rng, hooks=hooks, meta=meta, capture=capture)
        self._performer = Performer(
            source,
            sink,
            transform,
            clock=self.clock,
            rng=self._rng,
            seen=partial(ids_seen_since, log, source),
            before=partial(lifecycle.found_before, log),
            is_filled=partial(lifecycle.is_filled, log),
            check_untouched=partial(lifecycle.check_untouched, log),
            read_ahead=1 if capture else read_ahead,
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

    async def run(self, process_id: str) -> Process:
        """Go on with a process until it is over, waiting where it has to wait; return its last state.

        Raises:
            VersionConflict: Another worker is on the process. It goes on there.
            LogUnwritable: The log cannot be written; nothing that was recorded is lost.
            ProcessNotFound: There is no such process.
            ConfigurationError: It is a process of another source object or sink.
        """
        process = self._load(process_id)
        try:
            while (action := d.next_action(process)) is not None:
                if action.not_before is None or self._is_due(action.not_before):
                    process = await self._step(process, reads_ahead=True)
                else:
                    await self._performer.pause()  # nothing is asked for before its time
                    await self._until(action.not_before)
                    process = self._load(process_id)  # somebody may have cancelled it meanwhile
        finally:
            await self._performer.drop()
        return process

    async def step(self, process_id: str) -> Process:
        """Do what is due, until a page is delivered; never wait. Return the state after it.

        While a retry is not due yet (`process.retry.retry_at`), nothing is done. See `run` for errors.
        """
        return await self._step(self._load(process_id))

    async def sync(
        self,
        *,
        mode: SyncMode = "initial",
        page_size: int = 50,
        order: Order | None = None,
        options: Options | None = None,
        deletes_missing: bool = False,
    ) -> Process:
        """Take up the unfinished sync or start a new one, and run it. See `take_up`, `run` and `sweep`."""
        process = self.take_up(
            mode=mode, page_size=page_size, order=order, options=options, deletes_missing=deletes_missing
        )
        return await self.sweep(await self.run(process.id))

    async def sweep(self, process: Process) -> Process:
        """Run ongoing syncs behind one that may have missed something, until one finds nothing new.

        Only those by a key that changes may. The rest is for the next ongoing sync to bring. Return the last
        state of the last one, or the process itself. See `start_sweep`.
        """
        while (following := self.start_sweep(process)) is not None:
            process = await self.run(following.id)
        return process

    async def _step(self, process: Process, *, reads_ahead: bool = False) -> Process:
        """Take turns until nothing is held in memory, so that a worker never fetches a page twice."""
        try:
            while (action := d.next_action(process)) is not None and self._is_due(action.not_before):
                lifecycle.check_untouched(self.log, process)
                outcome = await self._performer.perform(process, action, reads_ahead=reads_ahead)
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

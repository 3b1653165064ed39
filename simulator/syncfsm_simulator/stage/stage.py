"""The stage of one run: world, network, clocks and faults around the real engine, from a scenario.

The engine dies and is started again as often as the seed says; only the log and the sink outlive it. Any
sink and any transform can be put on the stage: the simulator's own, or those of somebody who embeds syncfsm.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Generic, Literal, TypeVar, cast

import httpx
from msgspec.structs import replace

from syncfsm.core.events import Mode
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook, cancel
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncMode, SyncRequest
from syncfsm.errors import NotActive, VersionConflict
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Transform
from syncfsm_simulator.stage.backup import Backup, give_way, has_lost_sink, is_emptied
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.come_again import ComeAgain, lose_patience
from syncfsm_simulator.stage.effects.pages import AskedBy
from syncfsm_simulator.stage.engines import Engines
from syncfsm_simulator.stage.faults import Faults, Strike, no_faults
from syncfsm_simulator.stage.faulty_ports import FaultyClock, FaultyLog, move_world
from syncfsm_simulator.stage.faulty_sink import faulty_sink
from syncfsm_simulator.stage.foreseen import unforeseen
from syncfsm_simulator.stage.network import FaultyTransport
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.stage.set_up import SOURCE, attio_source, fake_attio, faulty_transform
from syncfsm_simulator.stage.told import Told
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World

T = TypeVar("T")

ROUNDS = 6
"""How often webhooks tell of what happens while what they told of before is seen to."""

SETTLED_S = 2.0

AFTERWARDS_S_MAX = 300.0
"""How long faults and changes last where something follows: a world that grows is slow to read thrice."""


class Stage(Engines, Generic[T]):
    """Everything around the engine, in virtual time. Use within `run_virtual`.

    Args:
        scenario: What to put on the stage; a swarm must have been made concrete.
        log: Where the events go.
        sink: Where the items go; faults strike around it.
        transform: Makes the transform of a source.
        hooks: Called after each event.

    Attributes:
        changes: Whom the moving world touched.
        faults: What has struck.
        backup: Copies of the sink.
        source_name: What the source is called, and the object that is synced: another API has others.
    """

    source_name = SOURCE
    object = "people"

    def __init__(
        self,
        scenario: Scenario,
        log: EventLog,
        sink: Sink[T],
        transform: Callable[[AttioSource], Transform[T]],
        hooks: Sequence[Hook] = (),
    ) -> None:
        super().__init__(scenario)
        self.world = World(
            scenario.seed,
            people=scenario.people,
            tied=scenario.tied,
            updated_at=scenario.updated_at,
            now=EPOCH,
        )
        self.faults = Faults(scenario.seed, scenario.faults, scenario.changes, scenario.strikes)
        self.changes = Changes(self.world, self.clock, peek=self._peek, page_size=scenario.page_size)
        self.engine_clock = FaultyClock(self.clock, self.faults)
        self.faulty_sink = faulty_sink(sink, self.faults, self)
        faulty_s_max = AFTERWARDS_S_MAX if scenario.afterwards else scenario.faulty_s
        self._calmed_at = EPOCH + timedelta(seconds=min(scenario.faulty_s, faulty_s_max))
        self._log = log
        self._sink = sink
        self._sink_name = sink.name  # as the log calls it
        self.backup = Backup(sink)
        self._transform = transform
        self._hooks = hooks
        self._mode: SyncMode | Literal["webhook"] = "initial"
        self._deletes_missing = False
        self._come_again = ComeAgain(self.clock)
        self._told = Told(self.world, log, self.clock, source=self.source_name)
        self._earlier = frozenset(log.ids())
        self._rng = random.Random(f"{scenario.seed}:engine:{len(self._earlier)}")
        self._fake = httpx.ASGITransport(fake_attio(self.world, self.clock, scenario))
        self.transport = self._network(self.faults)

    async def again(self, mode: SyncMode, *, deletes_missing: bool = False) -> Process:
        """Sync once more, in this mode, after a sync that is over; faults and changes go on as they were."""
        self._mode, self._deletes_missing = mode, deletes_missing
        self._earlier = frozenset(self._log.ids())
        return await self.until_over()

    async def afterwards(self, process: Process) -> Process:
        """Let what the scenario says follow a sync that is complete; return the last process."""
        for what in self.scenario.afterwards:
            if process.state is not State.COMPLETED or self.surprise is not None:
                return process
            process = await (
                self.again("initial", deletes_missing=True) if what == "missing" else self._webhooks(process)
            )
        return process

    async def _webhooks(self, process: Process) -> Process:
        """Let processes see to what webhooks tell of, for a few rounds, and then to what still waits."""
        self._mode, self._deletes_missing = "webhook", False
        for _ in range(ROUNDS):
            self.changes.is_told = self._told.is_heard = True
            move_world(self.changes, self.faults)
            self.changes.is_told = self._told.is_heard = False
            process = await self._one_that_waits() or process
        while self.surprise is None and (following := await self._one_that_waits()) is not None:
            process = following
        return process

    async def _one_that_waits(self) -> Process | None:
        await self.clock.sleep(SETTLED_S)
        self._earlier = frozenset(self._log.ids())
        if not self._log.waiting(self.source_name, self.object).record_ids:
            return None
        return await self.until_over()

    def _asked_by(self) -> AskedBy:
        if self._mode == "webhook":
            return "webhooks"
        return "deletion" if self._deletes_missing else "sync"

    @property
    def unnamed(self) -> set[str]:
        """The ids of people whose row came without its id."""
        return self.transport.unnamed

    @property
    def untold(self) -> set[tuple[str, str]]:
        """The ids of people whose row came without an attribute, each with that."""
        return self.transport.untold

    @property
    def refused(self) -> set[str]:
        """The ids of people whom the sink refused and did not take later, or who came unreadable."""
        return self.faulty_sink.refused | self.transport.undecoded

    def touched(self) -> Changes:
        """Return whom the moving world has touched."""
        return self.changes

    def counts(self) -> Counter[str]:
        """Return how often each kind of fault has struck."""
        return self.faults.counts()

    def strikes(self) -> tuple[Strike, ...]:
        """Return everything that has struck, in order."""
        return tuple(self.faults.struck)

    async def _run(self) -> Process:
        self.engine_clock.slept.clear()
        engine = self._engine(self.transport, self.faulty_sink, self.faults)
        try:
            process = await self._asked(engine)
            self.surprise = unforeseen(process, engine.raised)
            return process
        finally:
            await engine.source.aclose()

    async def _asked(self, engine: Engine[T]) -> Process:
        """Let an engine do what the stage is for: a sync, or what webhooks told of."""
        self._sink_name = engine.processes.sink_name
        give_way(self._log, self._active(), self._sink_name, self.engine_clock)
        left = self._left()
        if self._mode != "webhook":
            return await self._synced(engine, self._mode, left)
        if left is not None and has_lost_sink(left):
            synced = await self._synced(engine, "initial", self._latest("initial"))
            if synced.state is not State.COMPLETED:
                return left
        lose_patience(engine, left, self.engine_clock.now())
        begun = engine.take_up_webhooks(page_size=self.scenario.page_size)
        return await engine.run(begun.id) if begun else self._seen_to()

    async def _synced(self, engine: Engine[T], mode: SyncMode, left: Process | None) -> Process:
        """Let an engine sync, anew where it says that nothing is left of what was brought."""
        lose_patience(engine, left, self.engine_clock.now())
        request = SyncRequest(
            mode=mode,
            page_size=self.scenario.page_size,
            order=self.scenario.order,
            deletes_missing=self._deletes_missing,
        )
        if self._active() is None and left is not None and is_emptied(left):
            return await engine.run(engine.start(replace(request, mode="initial")).id)
        return await engine.sync(request)

    def _seen_to(self) -> Process:
        """Return the process that has seen to what waited, where an engine finds that nothing does."""
        left = self._left()
        assert left is not None, "it waited before, and so a process has taken it"
        return left

    def _is_over(self, process: Process) -> bool:
        if self.surprise is not None or process.state is State.COMPLETED:
            return True
        return process.state is State.FAILED and not process.is_resumable

    def _left(self) -> Process | None:
        latest = self._latest(self._mode)
        return latest if latest and latest.id not in self._earlier else None

    def _latest(self, mode: Mode) -> Process | None:
        return self._log.latest(self.source_name, self.object, self._sink_name, mode=mode)

    def _active(self) -> Process | None:
        return self._log.active(self.source_name, self.object)

    def _before_next(self) -> None:
        self._calm_in_time()

    # ── what happens beside the engine ───────────────────────────────────────────────────────

    def _before_request(self, *, is_rivals: bool) -> None:
        self._before_schema(is_rivals=is_rivals)
        move_world(self.changes, self.faults)

    def _before_schema(self, *, is_rivals: bool) -> None:
        """Take note of a request before which the world stands still, as the seeds have it."""
        not_before = None if is_rivals else self._come_again.not_before(self.starts)
        self.timeline.append(self.engine_clock.asked(self.starts, not_before))
        self._calm_in_time()

    def _calm_in_time(self) -> None:
        if self.calm_since is None and self.clock.now() >= self._calmed_at:
            self.calm_since = self._calmed_at
            self.faults.calm()

    def _peek(self) -> str | None:
        process = self._active()
        return process.paging.peek if process else None

    async def another_step(self) -> None:
        """Let another worker take a step of the active process, with nothing going wrong for it."""
        process = self._active()
        if process is None or self._mode == "webhook":  # whose many requests would go on through a wait
            return
        network = self._network(no_faults(), is_rivals=True)
        engine = self._engine(network, self._sink, no_faults())
        with suppress(VersionConflict):  # as it should be: one of the two goes on
            await engine.step(process.id)
        await engine.source.aclose()

    async def cancel(self) -> None:
        """Let somebody cancel the active process."""
        process = self._active()
        with suppress(NotActive):
            if process is not None:
                cancel(self._recorded(no_faults()), process.id, by="simulation", clock=self.engine_clock)

    def jump(self, by_s: float) -> None:
        """Set the engine's clock ahead, or back."""
        self.engine_clock.jump(by_s)

    # ── the parts of an engine ───────────────────────────────────────────────────────────────

    def _engine(self, transport: httpx.AsyncBaseTransport, sink: Sink[T], faults: Faults) -> Engine[T]:
        source = attio_source(self.scenario, self.engine_clock, transport)
        return Engine(
            self._recorded(faults),
            source,
            sink,
            faulty_transform(self._transform(source), faults),
            clock=self.engine_clock,
            rng=self._rng,
            hooks=self._hooks,
            read_ahead=self.scenario.read_ahead,
        )

    def _network(self, faults: Faults, *, is_rivals: bool = False) -> FaultyTransport:
        network = FaultyTransport(
            self._fake,
            faults,
            self.clock,
            latency_ms=self.scenario.latency_ms,
            before_request=partial(self._before_request, is_rivals=is_rivals),
            before_schema=partial(self._before_schema, is_rivals=is_rivals),
            beside=self,
            asked_by=self._asked_by,
        )
        if not is_rivals:
            network.on_told = lambda wait_s: self._come_again.hear(wait_s, self.starts)
        return network

    def _recorded(self, faults: Faults) -> EventLog:
        """Return the log as an engine sees it; it hands on all but the append."""
        return cast("EventLog", FaultyLog(self._log, faults, self.timeline.append))

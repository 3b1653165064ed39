"""The stage of one run: world, network, clocks and faults around the real engine, from a scenario.

The engine dies and is started again as often as the seed says; only the log and the sink outlive it. Any
sink and any transform can be put on the stage: the simulator's own, or those of somebody who embeds syncfsm.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar, cast

import httpx
from msgspec.structs import replace

from syncfsm.core.failure import FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook, cancel
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncMode, SyncRequest
from syncfsm.errors import NotActive, VersionConflict
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Transform
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.backup import Backup
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.engines import Engines
from syncfsm_simulator.stage.faults import Faults, Strike, no_faults
from syncfsm_simulator.stage.faulty_ports import FaultyClock, FaultyLog, move_world
from syncfsm_simulator.stage.faulty_sink import faulty_sink
from syncfsm_simulator.stage.network import Asked, FaultyTransport
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.clock import EPOCH, VirtualClock
from syncfsm_simulator.world.world import World

T = TypeVar("T")

BASE_URL = "http://attio.simulated"
SOURCE = f"attio:{BASE_URL}"
KEY = "planted-key-that-must-not-show"


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
        self._calmed_at = EPOCH + timedelta(seconds=scenario.faulty_s)
        self._log = log
        self._sink = sink
        self._backup = Backup(sink)
        self._transform = transform
        self._hooks = hooks
        self._mode: SyncMode = "initial"
        self._deletes_missing = False
        self._earlier = frozenset(log.ids())
        self._rng = random.Random(f"{scenario.seed}:engine:{len(self._earlier)}")
        self._fake = httpx.ASGITransport(_fake(self.world, self.clock, scenario))
        self.transport = self._network(self.faults)

    async def again(self, mode: SyncMode, *, deletes_missing: bool = False) -> Process:
        """Sync once more, in this mode, after a sync that is over; faults and changes go on as they were."""
        self._mode, self._deletes_missing = mode, deletes_missing
        self._earlier = frozenset(self._log.ids())
        return await self.until_over()

    @property
    def unnamed(self) -> set[str]:
        """The ids of people whose row came without its id."""
        return self.transport.unnamed

    @property
    def refused(self) -> set[str]:
        """The ids of people whom the sink refused and did not take later."""
        return self.faulty_sink.refused

    @property
    def clock_lost_s(self) -> float:
        """How far the engine's clock was set back, in all."""
        return self.engine_clock.jumped_back_s

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
        engine = self._engine(self.transport, self.faulty_sink, self.faults)
        request = SyncRequest(
            mode=self._mode,
            page_size=self.scenario.page_size,
            order=self.scenario.order,
            deletes_missing=self._deletes_missing,
        )
        try:
            if self._has_lost_sink():
                return await engine.run(engine.start(replace(request, mode="initial")).id)
            return await engine.sync(request)
        finally:
            await engine.source.aclose()

    def _has_lost_sink(self) -> bool:
        """Whether a sync failed since nothing is left in the sink: somebody reads that, and starts anew."""
        left = self._left()
        failure = left.failure if left else None
        is_idle = self._log.active(self.source_name, self.object) is None
        return is_idle and failure is not None and failure.reason == FailureKind.EMPTIED

    def _is_over(self, process: Process) -> bool:
        if self.surprise is not None or process.state is State.COMPLETED:
            return True
        return process.state is State.FAILED and not process.is_resumable

    def _left(self) -> Process | None:
        latest = self._log.latest(self.source_name, self.object, self._sink.name, mode=self._mode)
        return latest if latest and latest.id not in self._earlier else None

    def _before_next(self) -> None:
        self._calm_in_time()

    # ── what happens beside the engine ───────────────────────────────────────────────────────

    def _before_request(self) -> None:
        self.timeline.append(Asked(at=self.engine_clock.now(), true_at=self.clock.now()))
        self._calm_in_time()
        move_world(self.changes, self.faults)

    def _calm_in_time(self) -> None:
        if self.calm_since is None and self.clock.now() >= self._calmed_at:
            self.calm_since = self._calmed_at
            self.faults.calm()

    def _peek(self) -> str | None:
        process = self._log.active(self.source_name, self.object)
        return process.paging.peek if process else None

    async def another_step(self) -> None:
        """Let another worker take a step of the active process, with nothing going wrong for it."""
        process = self._log.active(self.source_name, self.object)
        if process is None:
            return
        engine = self._engine(self._network(no_faults()), self._sink, no_faults())
        try:
            await engine.step(process.id)
        except VersionConflict:
            return  # as it should be: one of the two goes on
        finally:
            await engine.source.aclose()

    async def cancel(self) -> None:
        """Let somebody cancel the active process."""
        process = self._log.active(self.source_name, self.object)
        if process is None:
            return
        try:
            cancel(self._recorded(no_faults()), process.id, by="simulation", clock=self.engine_clock)
        except NotActive:
            return

    def jump(self, by_s: float) -> None:
        """Set the engine's clock ahead, or back."""
        self.engine_clock.jump(by_s)

    def back_up_sink(self) -> None:
        """Let somebody make a copy of the sink."""
        self._backup.make()

    def put_back_sink(self) -> bool:
        """Let somebody put back the last copy of the sink; return whether there is one."""
        return self._backup.put_back()

    async def lose_sink(self) -> bool:
        """Lose the sink, and all that it has; return whether that can be."""
        return await self._backup.lose()

    # ── the parts of an engine ───────────────────────────────────────────────────────────────

    def _engine(self, transport: httpx.AsyncBaseTransport, sink: Sink[T], faults: Faults) -> Engine[T]:
        source = AttioSource(
            KEY,
            base_url=BASE_URL,
            clock=self.engine_clock,
            transport=transport,
            reads_per_s=max(1, self.scenario.reads_per_s * 9 // 10),  # as Attio's 100 are taken for 90
            options=Options(confirm_end=self.scenario.confirm_end),
            changed_by="updated_at" if self.scenario.updated_at else None,
        )
        return Engine(
            self._recorded(faults),
            source,
            sink,
            self._transform(source),
            clock=self.engine_clock,
            rng=self._rng,
            hooks=self._hooks,
            read_ahead=self.scenario.read_ahead,
        )

    def _network(self, faults: Faults) -> FaultyTransport:
        return FaultyTransport(
            self._fake,
            faults,
            self.clock,
            latency_ms=self.scenario.latency_ms,
            before_request=self._before_request,
            beside=self,
        )

    def _recorded(self, faults: Faults) -> EventLog:
        """Return the log as an engine sees it; it hands on all but the append."""
        return cast("EventLog", FaultyLog(self._log, faults, self.timeline.append))


def _fake(world: World, clock: VirtualClock, scenario: Scenario) -> FakeAttio:
    return FakeAttio(
        world,
        clock,
        reads_per_s=scenario.reads_per_s,
        limit_policy=scenario.limit_policy,
        limit_max=scenario.limit_max,
        honours_sorts=scenario.sorts == "honoured",
        ties=scenario.ties,
        score_window_max=scenario.score_window_max or None,
        score_others_per_s=scenario.score_others_per_s,
    )

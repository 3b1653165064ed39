"""The stage of one run: world, network, clocks and faults around the real engine, from a scenario.

The engine dies and is started again as often as the seed says; only the log and the sink outlive it. Any
sink and any transform can be put on the stage: the simulator's own, or those of somebody who embeds syncfsm.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar, cast

import httpx

from syncfsm.core.backoff import later
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.core.starts import put_off_s
from syncfsm.engine.commit import Hook, cancel
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncMode
from syncfsm.errors import NotActive, VersionConflict
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Transform
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.engines import Engines
from syncfsm_simulator.stage.faults import Faults, Strike, no_faults
from syncfsm_simulator.stage.faulty_ports import FaultyClock, FaultyLog, move_world
from syncfsm_simulator.stage.faulty_sink import faulty_sink
from syncfsm_simulator.stage.network import Asked, FaultyTransport, Told
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.clock import EPOCH, VirtualClock
from syncfsm_simulator.world.world import World

T = TypeVar("T")

BASE_URL = "http://attio.simulated"
SOURCE = f"attio:{BASE_URL}"
PATIENCE_S = 1800.0
"""How long somebody waits for a source that asks for it, before taking that for a mistake."""

IMPATIENT = "nobody waits so long"
"""Why a sync goes on then."""

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
        self._transform = transform
        self._hooks = hooks
        self._told: Told | None = None
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
            self._lose_patience(engine)
            return await engine.sync(
                mode=self._mode,
                page_size=self.scenario.page_size,
                order=self.scenario.order,
                deletes_missing=self._deletes_missing,
            )
        finally:
            await engine.source.aclose()

    def _hear(self, wait_s: float) -> None:
        """Take note that a server is not to be asked for so long by the engine that is there."""
        now = self.clock.now()
        self._told = Told(now, later(now, wait_s), self.starts)

    def _not_before(self) -> datetime | None:
        """Return when a request may be made; what goes out in the instant in which that is said, may."""
        told = self._told
        is_known = told is not None and told.engine == self.starts and self.clock.now() > told.at
        return told.until if told is not None and is_known else None

    def _lose_patience(self, engine: Engine[T]) -> None:
        """Let a sync go on at once that was told to wait for longer than anybody does."""
        left = self._left()
        if left is not None and put_off_s(left, self.engine_clock.now()) > PATIENCE_S:
            engine.resume(left.id, by="simulation", why=IMPATIENT, asks_now=True)

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

    def _before_request(self, *, is_rivals: bool) -> None:
        clock = self.engine_clock
        asked = Asked(
            at=clock.now(),
            true_at=self.clock.now(),
            engine=self.starts,
            jumps=clock.jumps,
            slept=tuple(clock.slept),
            not_before=None if is_rivals else self._not_before(),
        )
        clock.slept.clear()
        self.timeline.append(asked)
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
        network = self._network(no_faults(), is_rivals=True)
        engine = self._engine(network, self._sink, no_faults())
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

    def _network(self, faults: Faults, *, is_rivals: bool = False) -> FaultyTransport:
        network = FaultyTransport(
            self._fake,
            faults,
            self.clock,
            latency_ms=self.scenario.latency_ms,
            before_request=partial(self._before_request, is_rivals=is_rivals),
            beside=self,
        )
        if not is_rivals:
            network.on_told = self._hear
        return network

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

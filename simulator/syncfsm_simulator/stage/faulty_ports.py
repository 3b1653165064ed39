"""The engine's other ports: its log, its sink and its clock, and the world before each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded, Reject
from syncfsm.core.failure import Failure
from syncfsm.core.process import Process
from syncfsm.log import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink, UpsertResult
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.effects.logs import APPEND
from syncfsm_simulator.stage.effects.moves import WORLD, Move
from syncfsm_simulator.stage.effects.sinks import UPSERT, Upserting
from syncfsm_simulator.stage.effects.sleeps import SLEEP, Sleeping
from syncfsm_simulator.stage.faults import Faults
from syncfsm_simulator.stage.port import Beside

T = TypeVar("T")

REFUSED = "refused by the simulated sink"


def move_world(changes: Changes, faults: Faults) -> None:
    """Move the world as the seed says, before a request."""
    visit = faults.visit(WORLD)
    for strike, fault in zip(visit.strikes, visit.faults, strict=True):
        fault.does(Move(changes, strike.times, visit.rng))


class FaultyLog:
    """An event log whose disk may be full or locked, and whose writer may die around an append.

    It tells of every event that got in, also of one whose writer died right after.
    """

    def __init__(self, inner: EventLog, faults: Faults, on_recorded: Callable[[Recorded], None]) -> None:
        self._inner = inner
        self._faults = faults
        self._on_recorded = on_recorded

    def __getattr__(self, name: str) -> object:
        """Leave everything but the append to the real log."""
        return getattr(self._inner, name)

    def append(
        self,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange] = (),
        notices: Sequence[int] = (),
    ) -> None:
        """Append, unless something goes wrong."""

        def write() -> None:
            self._inner.append(
                events, expected_version=expected_version, after=after, exchanges=exchanges, notices=notices
            )
            for recorded in events:
                self._on_recorded(recorded)

        self._faults.visit(APPEND).perform(write)


class FaultySink(Generic[T]):
    """A sink that refuses, locks, times out, or sees its caller die.

    Attributes:
        refused: The ids of people whom it refused, and did not take later.
    """

    def __init__(self, inner: Sink[T], faults: Faults, beside: Beside) -> None:
        self.name = inner.name
        self.refused: set[str] = set()
        self._inner = inner
        self._faults = faults
        self._beside = beside

    def __getattr__(self, name: str) -> object:
        """Leave what only some sinks can do, deleting and listing, to the real sink."""
        return getattr(self._inner, name)

    async def check(self) -> dict[str, str] | Failure:
        """Check the real sink."""
        return await self._inner.check()

    async def upsert(self, items: Sequence[T]) -> UpsertResult | Failure:
        """Take the items, unless something goes wrong."""
        visit = self._faults.visit(UPSERT)
        take = partial(self._take, items)
        return await visit.perform(Upserting(items=items, rng=visit.rng, beside=self._beside, take=take))

    async def _take(self, items: Sequence[T], refused: Sequence[T]) -> UpsertResult | Failure:
        """Let the real sink take the items but for those that are refused."""
        result = await self._inner.upsert([item for item in items if item not in refused])
        self.refused -= {_id_of(item) for item in items}
        self.refused |= {_id_of(item) for item in refused}
        return _with_rejects(result, refused)

    async def finish(self) -> Failure | None:
        """Finish the real sink."""
        return await self._inner.finish()

    async def aclose(self) -> None:
        """Leave the real sink open: it outlives the engine."""


def _id_of(item: object) -> str:
    """Return an item's external id, whether it is an object or a mapping."""
    external_id = (
        item.get("external_id", "") if isinstance(item, Mapping) else getattr(item, "external_id", "")
    )
    return str(external_id)


def _with_rejects(result: UpsertResult | Failure, refused: Sequence[object]) -> UpsertResult | Failure:
    if isinstance(result, Failure):
        return result
    rejects = tuple(Reject(record_id=_id_of(item), reason=REFUSED) for item in refused)
    return UpsertResult(
        created=result.created,
        updated=result.updated,
        unchanged=result.unchanged,
        rejects=(*result.rejects, *rejects),
    )


class FaultyClock:
    """The engine's own clock: it may be wrong, and the engine may die while it sleeps.

    Attributes:
        ahead: How far it is ahead of true time.
        jumped_back_s: All its jumps back together, seconds.
    """

    def __init__(self, true: Clock, faults: Faults) -> None:
        self.ahead = timedelta(0)
        self.jumped_back_s = 0.0
        self._true = true
        self._faults = faults

    def now(self) -> datetime:
        """Return what the clock shows."""
        return self._true.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Sleep; the machine's timers do not jump with its clock."""
        visit = self._faults.visit(SLEEP)
        await visit.perform(Sleeping(seconds=seconds, rng=visit.rng, sleep=self._true.sleep))

    def jump(self, by_s: float) -> None:
        """Set the clock ahead, or back."""
        self.jumped_back_s += max(0.0, -by_s)
        self.ahead += timedelta(seconds=by_s)

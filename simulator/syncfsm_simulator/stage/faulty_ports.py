"""The engine's other edges: its log, its sink and its clock, each with a door where things go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.errors import LogUnwritable
from syncfsm.log import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink, UpsertResult
from syncfsm_simulator.stage.faults import Faults, Visit
from syncfsm_simulator.stage.network import Crash

T = TypeVar("T")

REFUSED = "refused by the simulated sink"


class SimulatedUnwritable(LogUnwritable):
    """The log could not be written, but only for the simulation; a real full disk ends the run."""


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
        kind = self._faults.visit("append").kind
        if kind == "crash_before_append":
            raise Crash
        if kind in {"disk_full", "log_locked"}:
            raise SimulatedUnwritable(f"simulated: {kind}")
        self._inner.append(
            events, expected_version=expected_version, after=after, exchanges=exchanges, notices=notices
        )
        for recorded in events:
            self._on_recorded(recorded)
        if kind == "crash_after_append":
            raise Crash


class FaultySink(Generic[T]):
    """A sink that refuses, locks, times out, or sees its caller die.

    Attributes:
        refused: The ids of people whom it refused, and did not take later.
    """

    def __init__(self, inner: Sink[T], faults: Faults, duplicate: Callable[[], Awaitable[None]]) -> None:
        self.name = inner.name
        self.refused: set[str] = set()
        self._inner = inner
        self._faults = faults
        self._duplicate = duplicate

    def __getattr__(self, name: str) -> object:
        """Leave what only some sinks can do, deleting and listing, to the real sink."""
        return getattr(self._inner, name)

    async def check(self) -> dict[str, str] | Failure:
        """Check the real sink."""
        return await self._inner.check()

    async def upsert(self, items: Sequence[T]) -> UpsertResult | Failure:
        """Take the items, unless something goes wrong."""
        visit = self._faults.visit("upsert")
        match visit.kind:
            case "crash_before_upsert":
                raise Crash
            case "sink_locked":
                return Failure(kind=FailureKind.LOCKED, message="the simulated sink is locked.")
            case "duplicated_step":
                await self._duplicate()
        refused = self._drawn(items, visit)
        result = await self._inner.upsert([item for item in items if item not in refused])
        self.refused -= {_id_of(item) for item in items}
        self.refused |= {_id_of(item) for item in refused}
        if visit.kind == "crash_after_upsert":
            raise Crash
        if visit.kind == "sink_timeout_after_write":
            return Failure(kind=FailureKind.TIMEOUT, message="the simulated sink did not answer in time.")
        return _with_rejects(result, refused)

    async def finish(self) -> Failure | None:
        """Finish the real sink."""
        return await self._inner.finish()

    async def aclose(self) -> None:
        """Leave the real sink open: it outlives the engine."""

    def _drawn(self, items: Sequence[T], visit: Visit) -> Sequence[T]:
        if visit.kind == "sink_refuses_all":
            return items
        return [visit.rng.choice(items)] if visit.kind == "sink_refuses_one" and items else []


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
        visit = self._faults.visit("sleep")
        if visit.kind == "crash_asleep":
            await self._true.sleep(seconds * visit.rng.random())
            raise Crash
        await self._true.sleep(seconds)

    async def jump(self, visit: Visit) -> None:
        """Set the clock ahead or back, by up to ten minutes."""
        by_s = visit.rng.uniform(1, 600)
        if visit.kind == "clock_back":
            self.jumped_back_s += by_s
            by_s = -by_s
        self.ahead += timedelta(seconds=by_s)

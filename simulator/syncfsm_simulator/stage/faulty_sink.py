"""The engine's sink, with ports where something goes wrong; it can do what the sink behind it can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from syncfsm.core.blanking import Blanking
from syncfsm.core.failure import Failure
from syncfsm.core.marks import Mark
from syncfsm.core.options import Options
from syncfsm.sinks.protocol import Sink, UpsertResult, capabilities
from syncfsm_simulator.stage.effects.sinks import DELETE, LISTING, UPSERT, Upserting, with_refused
from syncfsm_simulator.stage.faults import Faults
from syncfsm_simulator.stage.port import Beside

T = TypeVar("T")

Upsert = Callable[[Sequence[T]], Awaitable[UpsertResult | Failure]]


class FaultySink(Generic[T]):
    """A sink that refuses, is locked, answers too late, or sees its caller die.

    Attributes:
        refused: The ids of people whom it refused, and did not take later.
    """

    def __init__(self, inner: Sink[T], faults: Faults, beside: Beside) -> None:
        self.name = inner.name
        self.refused: set[str] = set()
        self._inner = inner
        self._able: Any = inner  # to do what only some sinks can
        self._faults = faults
        self._beside = beside

    async def check(self) -> dict[str, str] | Failure:
        """Check the real sink."""
        return await self._inner.check()

    async def upsert(self, items: Sequence[T]) -> UpsertResult | Failure:
        """Take the items, unless something goes wrong."""
        return await self._give(items, self._inner.upsert)

    async def _give(self, items: Sequence[T], upsert: Upsert[T]) -> UpsertResult | Failure:
        visit = self._faults.visit(UPSERT)
        take = partial(self._take, items, upsert)
        call = Upserting(items=items, rng=visit.rng, beside=self._beside, take=take)
        return await visit.perform(call)

    async def _take(
        self, items: Sequence[T], upsert: Upsert[T], refused: Sequence[T]
    ) -> UpsertResult | Failure:
        """Let the real sink take the items but for those that are refused."""
        result = await upsert([item for item in items if item not in refused])
        self.refused -= {_id_of(item) for item in items}
        self.refused |= {_id_of(item) for item in refused}
        return with_refused(result, [_id_of(item) for item in refused])

    async def finish(self) -> Failure | None:
        """Finish the real sink."""
        return await self._inner.finish()

    async def aclose(self) -> None:
        """Leave the real sink open: it outlives the engine."""


class _Inspectable(FaultySink[T]):
    async def inspect(self) -> dict[str, str] | Failure:
        """Look at the real sink."""
        found: dict[str, str] | Failure = await self._able.inspect()
        return found


class _Emptiable(FaultySink[T]):
    async def is_empty(self) -> bool:
        """Ask the real sink."""
        return bool(await self._able.is_empty())


class _Deleting(FaultySink[T]):
    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Delete, unless something goes wrong."""
        return await self._faults.visit(DELETE).perform(partial(self._able.delete, source, record_ids))


class _Enumerable(FaultySink[T]):
    async def known(self, source: str) -> frozenset[str] | Failure:
        """Tell what the real sink has, unless something goes wrong."""
        return await self._faults.visit(LISTING).perform(partial(self._able.known, source))


class _Foretelling(FaultySink[T]):
    async def would_blank(self, items: Sequence[T]) -> Blanking | Failure:
        """Ask the real sink."""
        found: Blanking | Failure = await self._able.would_blank(items)
        return found


class _Limited(FaultySink[T]):
    def heed(self, options: Options) -> None:
        """Tell the real sink."""
        self._able.heed(options)


class _Marked(FaultySink[T]):
    def sink_id(self) -> str | None:
        """Ask the real sink."""
        sink_id: str | None = self._able.sink_id()
        return sink_id

    def marks(self) -> tuple[Mark, ...]:
        """Ask the real sink."""
        marks: tuple[Mark, ...] = self._able.marks()
        return marks

    async def upsert_marked(self, items: Sequence[T], mark: Mark) -> UpsertResult | Failure:
        """Take the items and the mark, unless something goes wrong."""
        return await self._give(items, lambda taken: self._able.upsert_marked(taken, mark))

    async def set_mark(self, mark: Mark) -> Failure | None:
        """Set the mark of the real sink."""
        failure: Failure | None = await self._able.set_mark(mark)
        return failure


_ABILITIES: dict[str, type[FaultySink[Any]]] = {
    "inspectable": _Inspectable,
    "emptiable": _Emptiable,
    "deleting": _Deleting,
    "enumerable": _Enumerable,
    "foretelling": _Foretelling,
    "limited": _Limited,
    "marked": _Marked,
}
"""What only some sinks can do, as `Capabilities` call it."""


def faulty_sink(inner: Sink[T], faults: Faults, beside: Beside) -> FaultySink[T]:
    """Return a sink with faults that can do what the real one can, and does not claim to do more."""
    can = capabilities(inner)
    abilities = tuple(able for name, able in _ABILITIES.items() if getattr(can, name) is not None)
    able: type[FaultySink[T]] = type("FaultySink", (*abilities, FaultySink), {})
    return able(inner, faults, beside)


def _id_of(item: object) -> str:
    """Return an item's external id, whether it is an object or a mapping."""
    external_id = (
        item.get("external_id", "") if isinstance(item, Mapping) else getattr(item, "external_id", "")
    )
    return str(external_id)

"""Ports, where something can go wrong, and what a fault is: the words of the table of faults.

Whoever stands at a port (network.py, faulty_ports.py) puts what is to be done there into one value, the call,
and hands it to what strikes, or to what is usual where nothing does. So a fault is data: it names its port
and holds what it does to a call, and nobody else has to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Never, Protocol, TypeVar

import msgspec

from syncfsm_simulator.stage.backup import Backup

C = TypeVar("C")
R = TypeVar("R")


class Crash(BaseException):
    """The engine's process died here. Only the log and the sink remain."""


def crash(_: object) -> Never:
    """Let the engine die before anything is done: what any port may do with a call."""
    raise Crash


class Beside(Protocol):
    """What else is on the stage, and may act while the engine waits."""

    async def another_step(self) -> None:
        """Let another worker take a step of the active process."""
        ...

    async def cancel(self) -> None:
        """Let somebody cancel the active process."""
        ...

    def jump(self, by_s: float) -> None:
        """Set the engine's clock ahead, or back."""
        ...

    @property
    def backup(self) -> Backup:
        """Copies of the sink, which somebody may put back."""
        ...


class Alone:
    """Nobody else on the stage: a fault that needs somebody is a mistake of whoever lets it strike there."""

    async def another_step(self) -> None:
        """Refuse."""
        raise AssertionError("no other worker is on this stage")

    async def cancel(self) -> None:
        """Refuse."""
        raise AssertionError("nobody on this stage cancels a sync")

    def jump(self, by_s: float) -> None:
        """Refuse."""
        raise AssertionError(f"no clock on this stage jumps, nor by {by_s} s")

    @property
    def backup(self) -> Backup:
        """Refuse."""
        raise AssertionError("nobody on this stage makes copies of a sink")


class Port(msgspec.Struct, Generic[C, R], frozen=True):
    """A place where something can go wrong.

    Attributes:
        name: What it is called; a part of what decides what strikes there.
        usual: What is done with a call where nothing strikes.
        takes_many: Whether several faults may strike at one visit, each so many times.
    """

    name: str
    usual: Callable[[C], R]
    takes_many: bool = False


class Fault(msgspec.Struct, frozen=True):
    """One kind of fault.

    Attributes:
        kind: What it is called in scenarios.
        group: Which rate of a scenario it has a share in.
        port: Where it strikes.
        one_in: Its share, for good: it strikes at one in so many of the visits that the group's rate says.
        does: What it does with a call of its port.
    """

    kind: str
    group: str
    port: Port[Any, Any]
    one_in: int
    does: Callable[[Any], Any]


def fault(kind: str, group: str, port: Port[C, R], one_in: int, does: Callable[[C], R]) -> Fault:
    """Return a kind of fault whose effect fits its port: a type checker sees to that."""
    return Fault(kind, group, port, one_in, does)


class FaultTable(msgspec.Struct, frozen=True):
    """Every kind of fault.

    Attributes:
        together: Kinds that are drawn with one number for each visit. There will be no more of them, since
            another would change what the seeds of today do.
        apart: Kinds that are each drawn with a number of their own, and strike where nothing before them in
            the table does. A new kind goes to the end, and leaves what all others do as it is.
    """

    together: tuple[Fault, ...]
    apart: tuple[Fault, ...] = ()

    def __iter__(self) -> Iterator[Fault]:
        """Yield every kind."""
        return iter((*self.together, *self.apart))

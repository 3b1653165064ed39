"""What is installed by name: sources and sinks, our own and those of other packages, by one door.

A package offers a source or a sink by an entry point of the group `syncfsm.sources` or `syncfsm.sinks`
(https://packaging.python.org/specifications/entry-points/); our own are the same values, listed here so that
they need no installation and no other package can take their names. A package that cannot be loaded is a
problem with a name, for whoever asks for what it offers and for nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Literal, TypeVar

from syncfsm.errors import ConfigurationError
from syncfsm.events import Value

T = TypeVar("T")

Kind = Literal["source", "sink"]

OWN: dict[Kind, dict[str, str]] = {
    "source": {
        "attio": "syncfsm.sources.own:ATTIO",
        "axiscare": "syncfsm.sources.own:AXISCARE",
    },
    "sink": {
        "sqlite": "syncfsm.sinks.own:SQLITE",
        "jsonl": "syncfsm.sinks.own:JSONL",
        "quo": "syncfsm.sinks.own:QUO",
    },
}
"""Our own, as entry points say it: name → `module:attribute`."""


class Plugin(Value, Generic[T], frozen=True):
    """Something that is installed: what it offers, or why that cannot be used.

    Attributes:
        name: What it is asked for by.
        package: Which package brings it, with its version.
        factory: What it offers; `None` if that cannot be used.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    package: str
    factory: T | None
    problem: str = ""


class Registry(Generic[T]):
    """The sources, or the sinks, by name.

    Args:
        kind: Which of the two.
        needed: The attributes that what is offered must have.
        is_fit: Tells whether it has them.
    """

    def __init__(self, kind: Kind, is_fit: Callable[[Any], bool], needed: str) -> None:
        self._kind: Kind = kind
        self._is_fit = is_fit
        self._needed = needed

    def find(self, name: str) -> T:
        """Return what is offered by a name.

        Raises:
            ConfigurationError: Nothing is, or it cannot be used; the message says which package brings it.
        """
        plugin = self._own(name) or next((found for found in self.installed() if found.name == name), None)
        if plugin is None:
            raise ConfigurationError(
                f"no {self._kind} is known as {name!r}: choose from {', '.join(self.names())}, "
                "or install the package that brings it; `syncfsm sources` lists what there is"
            )
        if plugin.factory is None:
            raise ConfigurationError(f"the {self._kind} {name!r} of {plugin.package} {plugin.problem}")
        return plugin.factory

    def names(self) -> list[str]:
        """Return the names of all, without loading any but our own."""
        own = OWN[self._kind]
        return [*own, *sorted({point.name for point in self._points()} - own.keys())]

    def installed(self) -> list[Plugin[T]]:
        """Return everything that is installed, our own first; what cannot be loaded with its problem."""
        own = [plugin for name in OWN[self._kind] if (plugin := self._own(name))]
        points = sorted(self._points(), key=lambda point: (point.name, _package(point)))
        names = [point.name for point in points]
        return own + [self._other(point, is_alone=names.count(point.name) == 1) for point in points]

    def _points(self) -> tuple[EntryPoint, ...]:
        return tuple(entry_points(group=f"syncfsm.{self._kind}s"))

    def _own(self, name: str) -> Plugin[T] | None:
        value = OWN[self._kind].get(name)
        if value is None:
            return None
        factory: T = EntryPoint(name, value, f"syncfsm.{self._kind}s").load()
        return Plugin(name=name, package="syncfsm", factory=factory)

    def _other(self, point: EntryPoint, *, is_alone: bool) -> Plugin[T]:
        """Return what another package brings; whatever goes wrong in it is its problem and no more."""
        package = _package(point)
        if point.name in OWN[self._kind]:
            return _broken(point, f"cannot be used, since syncfsm has one of that name; {_MEND}")
        if not is_alone:
            return _broken(point, f"cannot be used, since another package brings one of that name; {_MEND}")
        try:
            factory = point.load()
        except Exception as error:  # noqa: BLE001 - what another package raises can be anything
            return _broken(point, f"cannot be loaded: {type(error).__name__}: {error}; {_MEND}")
        if not self._is_fit(factory):
            return _broken(point, f"cannot be used: {point.value} has not all of {self._needed}; {_MEND}")
        return Plugin(name=point.name, package=package, factory=factory)


_MEND = "mend or uninstall that package"


def _broken(point: EntryPoint, problem: str) -> Plugin[Any]:
    return Plugin(name=point.name, package=_package(point), factory=None, problem=problem)


def _package(point: EntryPoint) -> str:
    """Return the package that brings an entry point, and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"

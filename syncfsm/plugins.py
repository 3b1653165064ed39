"""What is installed by name: sources and sinks, our own and those of other packages, by one door.

A package offers a source or a sink by an entry point of the group `syncfsm.sources` or `syncfsm.sinks`
(https://packaging.python.org/specifications/entry-points/); our own are the same values, listed here so that
they need no installation and no other package can take their names. A package that cannot be loaded is a
problem with a name, for whoever asks for what it offers and for nobody else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Literal, TypeVar

from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError, SyncfsmError
from syncfsm.outside.safe_words import raised_where

T = TypeVar("T")
R = TypeVar("R")

Kind = Literal["source", "sink"]

OWN: dict[Kind, dict[str, str]] = {
    "source": {
        "attio": "syncfsm.sources.own:ATTIO",
        "axiscare": "syncfsm.sources.own:AXISCARE",
    },
    "sink": {
        "sqlite": "syncfsm.sinks.own:SQLITE",
        "jsonl": "syncfsm.sinks.own:JSONL",
        "postgresql": "syncfsm.sinks.own:POSTGRES",
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
        unfit: Says why something that is offered cannot be one of them; nothing if it can.
    """

    def __init__(self, kind: Kind, unfit: Callable[[Any], str]) -> None:
        self._kind: Kind = kind
        self._unfit = unfit

    def find(self, name: str) -> T:
        """Return what is offered by a name.

        Raises:
            ConfigurationError: Nothing is, or it cannot be used; the message says which package brings it.
        """
        return self._find(name)[0]

    def use(self, name: str, how: Callable[[T], R]) -> R:
        """Return what comes of using what is offered by a name, such as opening it.

        Raises:
            ConfigurationError: As with `find`; or another package's code failed, and the message says where.
                What its error says is left out, since a key may be in it.
        """
        factory, package = self._find(name)
        try:
            return how(factory)
        except SyncfsmError:
            raise
        except Exception as error:
            if name in OWN[self._kind]:
                raise
            raise ConfigurationError(
                f"the {self._kind} {name!r} of {package} cannot be used: {raised_where(error)}; {_MEND}"
            ) from error

    def _find(self, name: str) -> tuple[T, str]:
        plugin = self._own(name) or next(iter(self._others(name)), None)
        if plugin is None:
            raise ConfigurationError(
                f"no {self._kind} is known as {name!r}: choose from {', '.join(self.names())}, "
                "or install the package that brings it; `syncfsm sources` lists what there is"
            )
        if plugin.factory is None:
            raise ConfigurationError(f"the {self._kind} {name!r} of {plugin.package} {plugin.problem}")
        return plugin.factory, plugin.package

    def names(self) -> list[str]:
        """Return the names of all, without loading any but our own."""
        own = OWN[self._kind]
        return [*own, *sorted({point.name for point in self._points()} - own.keys())]

    def installed(self) -> list[Plugin[T]]:
        """Return everything that is installed, our own first; what cannot be loaded with its problem."""
        own = [plugin for name in OWN[self._kind] if (plugin := self._own(name))]
        return own + self._others()

    def _others(self, name: str | None = None) -> list[Plugin[T]]:
        """Return what other packages bring, or what they bring by a name; the rest is not loaded then."""
        points = sorted(self._points(), key=lambda point: (point.name, _package(point)))
        names = [point.name for point in points]
        wanted = [point for point in points if name in {None, point.name}]
        return [self._other(point, is_alone=names.count(point.name) == 1) for point in wanted]

    def _points(self) -> tuple[EntryPoint, ...]:
        return _installed(f"syncfsm.{self._kind}s", tuple(sys.path))

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
            unfit = self._unfit(factory) or _misnamed(factory, point)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what another package raises can be anything
            return _broken(point, f"cannot be loaded: {raised_where(error)}; {_MEND}")
        if unfit:
            return _broken(point, f"cannot be used: {point.value} {unfit}; {_MEND}")
        return Plugin(name=point.name, package=package, factory=factory)


@cache
def _installed(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return what is installed; it is looked up once, since it takes a while and each engine asks."""
    return tuple(entry_points(group=group))


_MEND = "mend or uninstall that package"


def _broken(point: EntryPoint, problem: str) -> Plugin[Any]:
    return Plugin(name=point.name, package=_package(point), factory=None, problem=problem)


def _misnamed(factory: Any, point: EntryPoint) -> str:
    return "" if factory.name == point.name else f"has another name than its entry point, {point.name!r}"


def unfit_words(factory: Any, protocol: type, needed: Sequence[str]) -> str:
    """Return why something that is offered does not have what it takes; nothing if it does.

    Args:
        factory: What is offered.
        protocol: What it is to be.
        needed: The attributes of that.
    """
    if isinstance(factory, type):
        return f"is a class; offer a value: {factory.__name__}()"
    if not isinstance(factory, protocol):
        return f"has not all of {', '.join(needed)}"
    if not isinstance(getattr(factory, "key_variable", ""), str):
        return "has a key_variable that is no text; where there is no key, it is ''"
    return ""


def _package(point: EntryPoint) -> str:
    """Return the package that brings an entry point, and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"

"""Looking once at what is asked several times at the same moment: each look is a question to a server."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
L = TypeVar("L", bound="Looks")


class Looks:
    """Whoever looks: within `at_once`, at each thing once; else anew each time."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, Any] | None = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let each thing be looked at once; nothing is waited for within it, so nothing else happens."""
        if self._seen is not None:
            yield
            return
        self._seen = {}
        try:
            yield
        finally:
            self._seen = None

    def _look(self, at: Hashable, look: Callable[[], R]) -> R:
        """Return what is seen, or was seen before at the same moment."""
        if self._seen is None:
            return look()
        if at not in self._seen:
            self._seen[at] = look()
        found: R = self._seen[at]
        return found


def at_once(method: Callable[Concatenate[L, P], R]) -> Callable[Concatenate[L, P], R]:
    """Let a method look at each thing once."""

    @wraps(method)
    def looked_at_once(looks: L, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with looks.at_once():
            return method(looks, *args, **kwargs)

    return looked_at_once

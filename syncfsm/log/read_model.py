"""What a backend answers of its processes without folding any: a filter, an order and a limit, nothing more.

What the answers mean is said once for all backends, in `log/routes.py` and `core/routes.py`.
"""

from __future__ import annotations

from typing import Literal, Protocol

from syncfsm.core.machine import State
from syncfsm.core.routes import Brief, Side
from syncfsm.core.state import Route
from syncfsm.core.value import Value

Sorting = Literal["first_begun", "last_moved"]
"""By the place of the first event, or by the time of the last event and, of the same time, by the id."""


class Query(Value, frozen=True):
    """Which processes are asked for: those for which all holds that is given.

    Attributes:
        source, object, sink: Null for any.
        states: One of these; empty for any.
        position_min: The least place of the first event.
        sorting: In which order.
        count_max: The most of them; null for all.
    """

    source: str | None = None
    object: str | None = None
    sink: str | None = None
    states: tuple[State, ...] = ()
    position_min: int = 0
    sorting: Sorting = "first_begun"
    count_max: int | None = None


class ReadModel(Protocol):
    """What changes with the events, in the same transaction."""

    def select(self, query: Query) -> list[Brief]:
        """Return the processes asked for.

        Raises:
            LogError: They cannot be read.
        """
        ...

    def sides(self, source: str, object_: str | None = None, sink: str | None = None) -> list[Side]:
        """Return the sides of a source: of one object or of all, of one sink or of all.

        Raises:
            LogError: They cannot be read.
        """
        ...

    def routes(self, source: str | None) -> list[Route]:
        """Return what was ever brought where, each once: of a source, or of all.

        Raises:
            LogError: It cannot be read.
        """
        ...

"""Is a log sound? What verification and export ask, also of what is left of a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from syncfsm.core.process import Process
from syncfsm.log.protocol.stored import Scanned, StoredPruning, Tally


class Auditable(Protocol):
    """What verification and export need of a log, or of what is left of one. Nothing here writes."""

    @property
    def has_gaps(self) -> bool:
        """Whether a position without an event may be one that no event ever had, as after an append undone.

        Then a lost event is told by the versions of its process and by the tally, and not by its place.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Let everything read within it see the log as it is at its beginning."""
        ...

    def scan(self) -> Iterator[Scanned]:
        """Yield every place of the log, by position, also those that cannot be read. Raises nothing."""
        ...

    def prunings(self) -> list[StoredPruning]:
        """Return all that was pruned, in order.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def position_given(self) -> int | None:
        """Return the last position that was given out, null if that is not known.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def tally(self) -> Tally | None:
        """Return what the log says of its events beside them, null if it says nothing.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def doubts(self) -> list[str]:
        """Return what is wrong beside the events: how it is built, the inbox, the captures.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def side_doubts(self) -> list[str]:
        """Return where the read model of sides does not agree with that of processes. See `core.routes.Side`.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def damages(self) -> list[str]:
        """Return what the store itself says is wrong with it, apart from its events. Raises nothing."""
        ...

    def notices_waiting(self) -> int | None:
        """Return how many notices of webhooks wait in the inbox, for whatever source; null if unknown.

        Raises:
            LogError: They cannot be read.
        """
        ...

    def projection(self) -> dict[str, int]:
        """Return the version of each process by the read model, which must agree with the events.

        Raises:
            LogError: It cannot be read.
        """
        ...

    def model_doubt(self, process: Process, *, position: int, fetching_position: int | None) -> str | None:
        """Return what the read model says of a process but its events do not, null if they agree.

        Args:
            process: The state by the events.
            position: The place of the first of them.
            fetching_position: The place of its `FetchingBegan`; null if there is none.

        Raises:
            LogError: It cannot be read.
        """
        ...

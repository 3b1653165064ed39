"""What came from outside, as far as it is kept; unlike events, it may be deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from syncfsm.core.capture import Captured, Exchange, Forgotten


class Captures(Protocol):
    """Gives back what `EventStore.append` kept with the events, and deletes it."""

    def captures(self, process_id: str) -> list[Captured]:
        """Return what is kept of a process of what came from outside, in the order in which it came."""
        ...

    def exchange(self, capture_id: int) -> Exchange:
        """Return a captured exchange with its body.

        Raises:
            ProcessNotFound: It was forgotten meanwhile.
        """
        ...

    def capture_counts(self) -> dict[str, int]:
        """Return how many exchanges are kept of each process that has any."""
        ...

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """Delete the captures of one process, or of all, that came before a moment; never an event.

        Raises:
            LogUnwritable: The file cannot be written now, or another program holds what is to go.
        """
        ...

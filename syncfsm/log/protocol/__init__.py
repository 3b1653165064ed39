"""What every event log promises, whatever holds it.

An append is all or nothing and names the version it expects; nobody can change or delete what was
appended. The read model (what `Routes` tells, and `load`) changes in the same transaction. Any backend must
pass the contract suite in tests/contracts/event_log.py. It comes in parts, by who uses them: ask for the one
that you need.
"""

from __future__ import annotations

from typing import Protocol, Self

from syncfsm.log.protocol.auditable import Auditable
from syncfsm.log.protocol.captures import Captures
from syncfsm.log.protocol.event_store import EventStore
from syncfsm.log.protocol.inbox import Inbox
from syncfsm.log.protocol.prunable import Prunable
from syncfsm.log.protocol.restorable import Restorable
from syncfsm.log.protocol.routes import Routes
from syncfsm.log.protocol.stored import Scanned, StoredEvent, Tally

__all__ = [
    "Auditable",
    "Captures",
    "EventLog",
    "EventStore",
    "Inbox",
    "Prunable",
    "Restorable",
    "Routes",
    "Scanned",
    "StoredEvent",
    "Tally",
]


class EventLog(EventStore, Routes, Inbox, Captures, Auditable, Restorable, Prunable, Protocol):
    """An append-only log of the events of many processes."""

    path: str
    """What the log is called, to people and in commands: its file, or its URL without any password."""

    def __enter__(self) -> Self:
        """Return the log itself."""
        ...

    def __exit__(self, *exc_info: object) -> None:
        """Close the log."""
        ...

    def close(self) -> None:
        """Release the file or connection. Closing twice is harmless."""
        ...

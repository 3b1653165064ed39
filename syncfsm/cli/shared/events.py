"""Events on stdout: one line each for people, one object each for machines."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from syncfsm.core.describe import event_words
from syncfsm.core.events import Recorded


def event_line(recorded: Recorded, *, with_process: bool = False) -> str:
    """Return an event as one line: its version, its time (UTC), its type and what it says."""
    at = f"{recorded.at:%H:%M:%S.%f}"[:-3]
    line = f"{recorded.version:>6}  {at}  {recorded.type:<15} {event_words(recorded.event)}"
    return f"{recorded.stream}  {line}" if with_process else line


def event_object(recorded: Recorded) -> dict[str, Any]:
    """Return an event whole, ready for JSON."""
    return {"type": recorded.type, **to_builtins(recorded)}

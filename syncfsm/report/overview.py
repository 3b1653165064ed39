"""All processes of a log, one row each, and which of them a page has room for in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncfsm.core.process import Process
from syncfsm.core.summary import summary
from syncfsm.core.value import Value

ROWS_MAX = 10_000
"""The most processes that an overview lists: the last to begin."""

EVENTS_MAX = 50_000
"""The most events that an overview carries, of all its processes together; some 8 MB."""

NAMES = (
    *("process", "state", "mode", "parent", "version", "source", "object", "sink", "started_at"),
    *("updated_at", "pages", "fetched", "delivered", "rejected", "retries", "waited_s", "failure"),
)
"""The fields of `summary` that a row has, in this order."""


class Overview(Value, frozen=True):
    """The processes of a log, the last to begin first.

    Attributes:
        count: How many processes the log has; more than there are rows where these would be too many.
        names: The fields of a row.
        rows: The values of each process, in the order of `names`.
    """

    count: int
    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def overview(processes: Sequence[Process], count: int) -> Overview:
    """Return the rows of the processes, which come newest first, in a log of `count`."""
    return Overview(count=count, names=NAMES, rows=tuple(map(_row, processes)))


def _row(process: Process) -> tuple[Any, ...]:
    fields = summary(process)
    return tuple(fields[name] for name in NAMES)


def with_room(processes: Sequence[Process], events_max: int = EVENTS_MAX) -> list[str]:
    """Return the ids of the processes to show in full: newest first, as long as there is room."""
    found = []
    for process in processes:
        if process.version <= events_max:
            events_max -= process.version
            found.append(process.id)
    return found

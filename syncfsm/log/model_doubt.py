"""Does the read model say of a process what its events say? Judged alike for every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncfsm.core.process import Process
from syncfsm.log.codec import SNAPSHOT_SCHEMA, from_snapshot
from syncfsm.log.columns import MODEL, model_values

_STORED = f"{MODEL}, position, fetching_position"

JUDGED = f"{_STORED}, snapshot, snapshot_schema"
"""The columns of a process that are judged."""


def model_doubt(
    found: tuple[Any, ...] | None,
    process: Process,
    *,
    position: int,
    fetching_position: int | None,
    load: Callable[[str], Process],
) -> str | None:
    """Return what the read model says of a process but its events do not. See `Auditable.model_doubt`.

    Args:
        found: The columns `JUDGED`, as they are stored; null if nothing is.
        process: The state by the events.
        position: The place of the first of them.
        fetching_position: The place of its `FetchingBegan`; null if there is none.
        load: Returns the state as the log gives it out.
    """
    if found is None:
        return "the read model does not find this process by its id"
    *stored, snapshot, schema = found
    due = (*model_values(process), position, fetching_position)
    wrong = [name for name, one, two in zip(_STORED.split(", "), stored, due, strict=True) if one != two]
    if wrong:
        return f"the read model does not agree with the events in {', '.join(wrong)}"
    if snapshot is not None and schema == SNAPSHOT_SCHEMA and from_snapshot(snapshot, schema) is None:
        return "the snapshot in the read model cannot be read"
    return (
        None
        if load(process.id) == process
        else "the snapshot in the read model does not agree with the events"
    )

"""Why an append is refused, in the words of every log."""

from __future__ import annotations

from syncfsm.core.events import Mode
from syncfsm.core.process import Process
from syncfsm.core.pruning import Pruning
from syncfsm.core.routes import Brief
from syncfsm.errors import ActiveSync, CorruptLog, LogUnwritable, ProcessNotFound, VersionConflict

_KINDS: dict[Mode, str] = {
    "initial": "a sync",
    "ongoing": "an ongoing sync",
    "webhook": "a sync of what webhooks told of",
    "rejects": "a retry of the rejects",
}


class NewerLog(CorruptLog):
    """The log was written by a newer syncfsm."""


def conflict(stream: str, *, version: int, expected_version: int) -> VersionConflict:
    """Return the refusal of events for a version that the process does not have."""
    return VersionConflict(
        f"process {stream} is at version {version}, not at {expected_version} "
        "as expected: another worker is on it. Nothing was written."
    )


def second_active(after: Process, other: Process | Brief | None) -> ActiveSync:
    """Return the refusal of a second active process; `other` is the first, null if it is over meanwhile."""
    name = other.id if other else None
    what = _KINDS[other.mode] if other else "a sync"
    return ActiveSync(
        f"{what} of {after.source} {after.object} is active already: process {name}. "
        "Go on with it, or cancel it, before another begins.",
        name,
    )


def not_found(process_id: str, path: str, pruning: Pruning | None) -> ProcessNotFound:
    """Return the refusal of a process that is not in the log, or not any more."""
    if pruning is None:
        return ProcessNotFound(f"no process {process_id} in {path}")
    where = f", which were exported to {pruning.deeds.archive} first" if pruning.deeds.archive else ""
    return ProcessNotFound(
        f"process {process_id} was pruned from {path} on {pruning.at:%Y-%m-%d at %H:%M} by "
        f"{pruning.deeds.by}, with all its events{where}"
    )


def unwritable(path: str, advice: str, *, is_locked: bool = False) -> LogUnwritable:
    """Return the refusal of a log that cannot be written now; `advice` says why, and what to do."""
    return LogUnwritable(
        f"the log {path} cannot be written: {advice}, then run again; nothing that was recorded is lost",
        is_locked=is_locked,
    )

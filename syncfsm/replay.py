"""Reading a log back: the state at any version, what led to it, and what it would do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm.decide import Action, next_action
from syncfsm.errors import ProcessNotFound
from syncfsm.events import Recorded, Value
from syncfsm.process import Process, apply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncfsm.log.protocol import EventLog


class Moment(Value, frozen=True):
    """One step of a process.

    Attributes:
        before: The state before the event; null for the first.
        recorded: The event.
        after: The state it left.
        next_action: What the process would do next; null if nothing is left to do.
    """

    before: Process | None
    recorded: Recorded
    after: Process
    next_action: Action | None


def moments(log: EventLog, process_id: str, *, until: int | None = None) -> Iterator[Moment]:
    """Yield every step of a process, first to last, up to and including version `until`.

    Raises:
        CorruptLog: An event cannot be decoded.
        InvalidTransition: An event is not legal where it stands.
    """
    process: Process | None = None
    for recorded in log.read(process_id, until=until):
        before, process = process, apply(process, recorded)
        yield Moment(before=before, recorded=recorded, after=process, next_action=next_action(process))


def at(log: EventLog, process_id: str, version: int | None = None) -> Moment:
    """Return the step that left a process at `version`, the last one if `None`.

    Raises:
        ProcessNotFound: There is no such process, or it has no such version.
        CorruptLog, InvalidTransition: See `moments`.
    """
    last: Moment | None = None
    for moment in moments(log, process_id, until=version):
        last = moment
    if last is None:
        raise ProcessNotFound(f"there is no process {process_id} in this log, or no version {version} of it")
    if version is not None and last.after.version != version:
        raise ProcessNotFound(f"process {process_id} has versions 1 to {last.after.version}, not {version}")
    return last


def find(log: EventLog, prefix: str | None) -> str:
    """Return the id that begins with `prefix`; the last process to begin if it is `None`.

    Raises:
        ProcessNotFound: None does, or more than one.
    """
    return choose(log.ids(), prefix)


def choose(ids: Sequence[str], prefix: str | None) -> str:
    """Return the one of the ids that begins with `prefix`, as `find` does.

    Raises:
        ProcessNotFound: None does, or more than one.
    """
    if not ids:
        raise ProcessNotFound("the log has no processes yet: `syncfsm sync --log` adds one")
    if prefix is None:
        return ids[-1]
    found = [process_id for process_id in ids if process_id.startswith(prefix)]
    if len(found) == 1 or prefix in found:
        return prefix if prefix in found else found[0]
    if not found:
        raise ProcessNotFound(f"no process begins with {prefix!r}; the latest are: {', '.join(ids[-20:])}")
    raise ProcessNotFound(f"{len(found)} processes begin with {prefix!r}: {', '.join(found[-20:])}")

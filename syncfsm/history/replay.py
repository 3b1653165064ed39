"""Reading a log back: the state at any version, what led to it, and what it would do next."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from syncfsm.core import events as e
from syncfsm.core.decide import Action, next_action
from syncfsm.core.events import EVENT_TYPES, Recorded
from syncfsm.core.machine import State
from syncfsm.core.process import Process, apply
from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError, ProcessNotFound
from syncfsm.log.refusals import not_found

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncfsm.log.protocol import EventLog, EventStore


_IS_TROUBLE = e.by_event(
    dict.fromkeys(
        (
            e.RetryScheduled,
            e.PagesShifted,
            e.RecordRejected,
            e.SyncFailed,
            e.SyncResumed,
            e.SyncCancelled,
        ),
        True,
    ),
    e.SyncStarted,
    e.FetchingBegan,
    e.NothingNewFound,
    e.PageFetched,
    e.MissingFound,
    e.PageDelivered,
    e.SyncCompleted,
    otherwise=False,
)
"""Which events tell of trouble, or of what somebody did about it."""

NAMED_MAX = 5
"""So many ids are named where a name fits none or several; `syncfsm log ls` shows them all."""


class Moment(Value, frozen=True):
    """One step of a process.

    Attributes:
        before: The state before the event; null for the first.
        recorded: The event.
        after: The state it left.
    """

    before: Process | None
    recorded: Recorded
    after: Process

    @property
    def action(self) -> Action | None:
        """What was due when the event came; null for the first, and for what somebody did from outside."""
        return next_action(self.before) if self.before else None

    @property
    def next_action(self) -> Action | None:
        """What the process would do next; null if nothing is left to do."""
        return next_action(self.after)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the process began."""
        return (self.recorded.at - self.after.started_at).total_seconds()

    @property
    def since_s(self) -> float:
        """Seconds since the event before."""
        return (self.recorded.at - self.before.updated_at).total_seconds() if self.before else 0.0


def moments(
    log: EventStore, process_id: str, *, since: Process | None = None, until: int | None = None
) -> Iterator[Moment]:
    """Yield every step of a process, first to last.

    Args:
        log: Where it is.
        process_id: Which process.
        since: The state to begin with; the events after its version follow. All events if `None`.
        until: The last version to yield; to the end if `None`.

    Raises:
        CorruptLog: An event cannot be decoded.
        InvalidTransition: An event is not legal where it stands.
    """
    process = since
    for recorded in log.read(process_id, after=since.version if since else 0, until=until):
        before, process = process, apply(process, recorded)
        yield Moment(before=before, recorded=recorded, after=process)


def at(log: EventStore, process_id: str, version: int | None = None) -> Moment:
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


def first(log: EventStore, process_id: str, what: str) -> Moment:
    """Return the first step that led to a state, or whose event is of a type: `FAILED`, `PagesShifted`.

    Raises:
        ConfigurationError: There is no such state or type of event.
        ProcessNotFound: The process never came to it.
        CorruptLog, InvalidTransition: See `moments`.
    """
    states = [state.value for state in State if state is not State.NONE]
    what = next((name for name in (*states, *EVENT_TYPES) if name.lower() == what.lower()), what)
    if what not in {*states, *EVENT_TYPES}:
        raise ConfigurationError(
            f"there is no state or event {what!r}: choose from {', '.join([*states, *EVENT_TYPES])}"
        )
    last: Moment | None = None
    for last in moments(log, process_id):
        if what in {last.after.state.value, last.recorded.type}:
            return last
    where = f"it is {last.after.state} at version {last.after.version}" if last else "it has no events"
    raise ProcessNotFound(f"process {process_id} never came to {what}: {where}")


class Timeline:
    """The steps of one process, to go forward and back in. It holds a state for every so many events.

    Args:
        log: Where the process is.
        process_id: Which one.

    Attributes:
        last: Its last version when this was made.
    """

    STRIDE = 256

    def __init__(self, log: EventStore, process_id: str) -> None:
        self.last = log.version(process_id)
        self._log = log
        self._process_id = process_id
        self._marks: list[Process | None] = [None]

    def at(self, version: int) -> Moment:
        """Return the step that led to a version, from 1 to `last`."""
        stretch = (version - 1) // self.STRIDE
        while len(self._marks) <= stretch:
            self._marks.append(self._step(self._marks[-1], len(self._marks) * self.STRIDE).after)
        return self._step(self._marks[stretch], version)

    def _step(self, since: Process | None, version: int) -> Moment:
        return list(moments(self._log, self._process_id, since=since, until=version))[-1]

    @cached_property
    def troubles(self) -> list[int]:
        """The versions whose events tell of trouble, ascending."""
        recorded = self._log.read(self._process_id, until=self.last)
        return [record.version for record in recorded if _IS_TROUBLE[type(record.event)]]


def find(log: EventLog, prefix: str | None) -> str:
    """Return the id that begins with `prefix`; the last process to begin if it is `None`.

    Raises:
        ProcessNotFound: None does, or more than one; or it was pruned, and then it says when.
    """
    if not prefix:
        return choose(log.ids(last=1), prefix)
    found = log.ids(begin_with=prefix)
    pruning = None if found else log.pruning_of(prefix)
    if pruning is not None:
        raise not_found(prefix, log.path, pruning)
    return choose(found or log.ids(), prefix)


def choose(ids: Sequence[str], prefix: str | None) -> str:
    """Return the one of the ids that begins with `prefix`, as `find` does.

    Raises:
        ProcessNotFound: None does, or more than one.
    """
    if not ids:
        raise ProcessNotFound("the log has no processes yet: `syncfsm sync --log` adds one")
    if prefix is None:
        return ids[-1]
    if not prefix:
        raise ProcessNotFound("the process is named by an empty text: give its id, or the beginning of it")
    found = [process_id for process_id in ids if process_id.startswith(prefix)]
    if len(found) == 1 or prefix in found:
        return prefix if prefix in found else found[0]
    if not found:
        raise ProcessNotFound(f"no process begins with {prefix!r}; the latest are: {_latest(ids)}")
    raise ProcessNotFound(f"{len(found)} processes begin with {prefix!r}: {_latest(found)}")


def _latest(ids: Sequence[str]) -> str:
    """Return the last of some ids, and how many more there are."""
    more = len(ids) - NAMED_MAX
    return ", ".join(ids[-NAMED_MAX:]) + (f" and {more:,} more" if more > 0 else "")

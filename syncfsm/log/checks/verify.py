"""Is a log what was written to it? Every digest, version, position and transition is checked.

The events are audited (`audit.py`), the read model is compared with what they lead to, and the store is
asked what it thinks of itself. Nothing is raised for what is wrong with a log: it is found, and the rest is
read on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

from syncfsm.core.describe import plural
from syncfsm.core.process import Process
from syncfsm.core.pruning import Ranges
from syncfsm.errors import LogError, SyncfsmError
from syncfsm.log.checks.audit import Audit, Stream
from syncfsm.log.checks.findings import Draft, Finding, versions
from syncfsm.log.protocol import Auditable, EventLog, Scanned, Tally
from syncfsm.log.pruning.rows import unchained

__all__ = ["Finding", "audit_of", "conclude", "verify", "verify_tail"]

T = TypeVar("T")


def verify(log: Auditable, *, on_place: Callable[[Scanned], None] | None = None) -> tuple[int, list[Finding]]:
    """Return how many events were read and what is wrong, in the order of the log.

    Args:
        log: The log, or what is left of one.
        on_place: Called with each place of the log, for progress.
    """
    with log.reading():
        audit = audit_of(log)
        for place in log.scan():
            audit.take(place)
            if on_place is not None:
                on_place(place)
        conclude(log, audit)
    return audit.count, audit.findings()


def audit_of(log: Auditable) -> Audit:
    """Return the audit of a log, which knows what was pruned, as far as that can be read."""
    try:
        prunings = log.prunings()
    except LogError as error:
        audit = Audit(has_gaps=log.has_gaps)
        _note(audit, f"what was pruned cannot be read: {error}")
        return audit
    audit = Audit(has_gaps=log.has_gaps, pruned=Ranges(stored.pruning for stored in prunings))
    audit.pruned_events = sum(stored.pruning.deeds.events for stored in prunings)
    for problem in unchained(prunings):
        _note(audit, problem)
    return audit


def verify_tail(
    log: EventLog, events: int, *, on_place: Callable[[Scanned], None] | None = None
) -> tuple[int, list[Finding]]:
    """Verify the processes that the last events are of, each from its beginning, and nothing else.

    What is found is what `verify` would say of them, at a cost that does not grow with the log.

    Args:
        log: The log.
        events: How many events, from the last one back.
        on_place: As for `verify`.

    Raises:
        LogError: The last events cannot be read: `verify` says why.
    """
    audit = Audit(has_gaps=True)
    with log.reading():
        last = log.last_events(events)
        for row in chain.from_iterable(map(log.stored_events, dict.fromkeys(one.stream for one in last))):
            place = Scanned(position=row.position, row=row)
            audit.take(place)
            if on_place is not None:
                on_place(place)
        for stream in audit.streams.values():
            if stream.is_sound and stream.process is not None:
                _compare(log, audit, stream, stream.version)
    return audit.count, audit.findings()


def conclude(log: Auditable, audit: Audit) -> None:
    """Add to an audit that has seen all events what the rest of the log says: the read model, the store."""
    last = _asked(audit, log.position_given)
    if last is None:
        _note(audit, "how many events there were cannot be told any more", loses_events=True)
    elif last > audit.position and not log.has_gaps:
        audit.miss(last)
    projection = _asked(audit, log.projection)
    if projection is not None:
        _find_lost_ends(audit, projection)
        for stream in audit.streams.values():
            if stream.is_sound:
                _compare(log, audit, stream, projection.get(stream.name))
    _compare_tally(audit, _asked(audit, log.tally, "its own count of events"))
    if last is not None and last < audit.position:
        given = plural(last, "position")
        _note(audit, f"it says that {given} were given out, and the last event is at {audit.position}")
    for doubt in _asked(audit, log.doubts, "how it is built") or ():
        _note(audit, doubt)
    _tell_damages(audit, log.damages())
    if not audit.findings():  # else it may disagree with what is told already
        for doubt in _asked(audit, log.side_doubts) or ():
            _note(audit, doubt)


def _asked(audit: Audit, question: Callable[[], T], what: str = "the read model") -> T | None:
    """Return the answer, or note that there is none."""
    try:
        return question()
    except LogError as error:
        _note(audit, f"{what} cannot be read: {error}")
        return None


def _find_lost_ends(audit: Audit, projection: dict[str, int]) -> None:
    """Note the events at the end of a process that only the read model still knows of."""
    for process_id in sorted(projection):
        stream, version = audit.stream(process_id), projection[process_id]
        if version <= stream.version:
            continue
        first, beyond = stream.version + 1, audit.position + 1
        stream.is_sound, stream.known_version = False, version
        if not audit.holes.give(process_id, first, version, after=stream.position, before=beyond):
            problem = f"the read model knows {versions(first, version)}, of which there is no event"
            _note(audit, problem, process_id, first, loses_events=True)


def _compare_tally(audit: Audit, tally: Tally | None) -> None:
    """Note that there were other events than there are, where nothing else has told so."""
    if tally is None or audit.findings():
        return
    count = audit.count + audit.pruned_events
    if (tally.events, tally.position, tally.digest) != (count, audit.position, audit.digest):
        pruned = f", {audit.pruned_events} more were pruned" if audit.pruned_events else ""
        problem = (
            f"it has counted {plural(tally.events, 'event')}, the last at position {tally.position}, and has "
            f"{audit.count}, the last at {audit.position}{pruned}: others were taken away, or put there"
        )
        _note(audit, problem, loses_events=tally.events > count)


def _compare(log: Auditable, audit: Audit, stream: Stream, projected: int | None) -> None:
    """Note where the read model says otherwise than the events of a sound process."""
    if projected is None:
        problem: str | None = "the read model does not know this process"
    elif projected != stream.version or stream.process is None:
        problem = f"the read model is at version {projected}, the events at {stream.version}"
    elif stream.is_mended:
        problem = None  # what was changed in the events has been told
    else:
        problem = _model_doubt(log, stream, stream.process)
    if problem:
        _note(audit, problem, stream.name, stream.version)


def _model_doubt(log: Auditable, stream: Stream, process: Process) -> str | None:
    try:
        return log.model_doubt(process, position=stream.began_at, fetching_position=stream.fetching_at)
    except SyncfsmError as error:
        return f"the read model of this process cannot be read: {error}"


def _tell_damages(audit: Audit, damages: Sequence[str]) -> None:
    """Note what the store says of itself; after other findings in one line, since it says them once more."""
    if damages and audit.findings():
        more = f" (and {len(damages) - 1} more of the kind)" if len(damages) > 1 else ""
        damages = [f"{damages[0]}{more}"]
    for damage in damages:
        _note(audit, damage)


def _note(
    audit: Audit,
    problem: str,
    process: str | None = None,
    version: int | None = None,
    *,
    loses_events: bool = False,
) -> None:
    audit.note(
        Draft(
            position=None,
            process=process,
            version=version,
            type=None,
            problem=problem,
            loses_events=loses_events,
        )
    )

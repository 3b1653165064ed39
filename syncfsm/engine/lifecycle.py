"""Beginning a process, ending it, going on with it; and the only way an event gets into a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from syncfsm.core import events as e
from syncfsm.core.capture import Recorder
from syncfsm.core.limits import check_limits, check_rules
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.windows import NUMBERED_LIMIT_MIN
from syncfsm.core.process import Process, fold
from syncfsm.errors import ConfigurationError, NotActive, VersionConflict
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock, SystemClock

CONFLICTS_MAX = 10
"""Appends that a cancellation may lose to a busy worker before it gives up."""


class Hook(Protocol):
    """Called after each event is in the log, in order. What it raises stops the run, not the process.

    What must never stop a run derives from `telemetry.Observer`, or is wrapped in `telemetry.Guarded`; all
    that syncfsm brings along is so.
    """

    def __call__(self, process: Process, recorded: e.Recorded) -> None:
        """Take note of `recorded`; `process` is the state after its whole append."""
        ...


def commit(
    log: EventLog,
    process: Process | None,
    process_id: str,
    events: Sequence[e.Event],
    *,
    at: datetime,
    meta: Mapping[str, str] | None = None,
    hooks: Sequence[Hook] = (),
    recorder: Recorder | None = None,
    notices: Sequence[int] = (),
) -> Process:
    """Fold, append, adopt. Return the state after the events.

    What `recorder` has goes with them, and `notices` of the inbox count as taken by the process from then on.

    Raises:
        InvalidTransition: An event is not legal. Nothing was written.
        VersionConflict: Another worker appended first. Nothing was written.
        ActiveSync: A second sync of the same source object would be active. Nothing was written.
        LogUnwritable: The log cannot be written now.
    """
    version = process.version if process else 0
    recorded = [
        e.Recorded(stream=process_id, version=version + index, at=at, event=event, meta=dict(meta or {}))
        for index, event in enumerate(events, start=1)
    ]
    after = fold(process, recorded)
    assert after is not None, "an event leads to a state"
    exchanges = recorder.pending() if recorder else ()
    log.append(recorded, expected_version=version, after=after, exchanges=exchanges, notices=notices)
    if recorder:
        recorder.clear()
    for record in recorded:
        for hook in hooks:
            hook(after, record)
    return after


def check_untouched(log: EventLog, process: Process) -> None:
    """Let nothing be asked for and nothing delivered where somebody cancelled the process, or is on it.

    Raises:
        VersionConflict: The process has moved on in the log.
    """
    version = log.version(process.id)
    if version != process.version:
        raise VersionConflict(
            f"process {process.id} is at version {version}, not at {process.version} as expected: "
            "another worker is on it. Nothing was done."
        )


def found_before(log: EventLog, process: Process) -> Mapping[str, str]:
    """Return what a check found when a process, or the last one like it, began to fetch; it must hold."""
    return process.found or log.last_found(process.source, process.sink) or {}


def is_filled(log: EventLog, process: Process) -> bool:
    """Whether a process goes on from what the log says is in its sink: its own, or others' before it."""
    progress = process.progress
    # Of single records, those count as unchanged too that were to be deleted and were not there.
    same = 0 if process.record_ids else progress.unchanged
    if progress.created + progress.updated + same > progress.deleted:
        return True
    return (
        process.mode != "initial"
        and log.items_left_by_syncs(process.source, process.object, process.sink) > 0
    )


def started(
    *,
    source: str,
    object_: str,
    sink: str,
    page_size: int,
    order: Order,
    options: Options,
    mode: e.Mode = "initial",
    parent: str | None = None,
    record_ids: tuple[str, ...] = (),
    since: datetime | None = None,
    changed_by: str | None = None,
    deletes_missing: bool = False,
) -> e.SyncStarted:
    """Return the event that starts a sync; see `SyncStarted` for what it carries.

    Raises:
        ConfigurationError: The page size or a limit cannot work.
    """
    assert bool(record_ids) is (mode in {"webhook", "rejects"}), "only these ask for single records"
    assert (since is not None) is (mode == "ongoing"), "an ongoing sync begins somewhere, others do not"
    assert not deletes_missing or mode == "initial", "only who asks for all records can say who is missing"
    _check(page_size, options)
    return e.SyncStarted(
        source=source,
        object=object_,
        sink=sink,
        mode=mode,
        page_size=page_size,
        order=order,
        options=options,
        parent=parent,
        record_ids=record_ids,
        since=since,
        changed_by=changed_by,
        deletes_missing=deletes_missing,
    )


def resumed(
    process: Process, *, page_size: int | None, options: Options | None, by: str, why: str
) -> e.SyncResumed:
    """Return the event that lets a failed process go on, with another page size or limits if given.

    Raises:
        NotActive: It has not failed, or failed in a way that going on cannot mend.
        ConfigurationError: The page size or a limit cannot work, or the options have other rules.
    """
    if not process.is_resumable:
        raise NotActive(f"process {process.id} is {process.state} and cannot be resumed: start a new one")
    if options is not None:
        check_rules(options, process.options, "process")
    _check(process.page_size if page_size is None else page_size, options or process.options)
    to: e.ResumeTo = "FETCHING" if process.found is not None else "INITIALIZING"
    return e.SyncResumed(by=by, why=why, to=to, page_size=page_size, options=options)


def cancel(
    log: EventLog,
    process_id: str,
    *,
    by: str,
    why: str = "",
    clock: Clock | None = None,
    hooks: Sequence[Hook] = (),
) -> Process:
    """Stop an active process for good; a worker that is on it stops before its next page.

    A process that is cancelled already stays so.

    Raises:
        NotActive: It is over, or failed: there is nothing to stop.
        VersionConflict: A busy worker appended first each time. Try again.
    """
    clock = clock or SystemClock()
    for tries_left in reversed(range(CONFLICTS_MAX)):
        process = log.load(process_id)
        if process.state is State.CANCELLED:
            return process
        if not process.is_active:
            raise NotActive(f"process {process_id} is {process.state}: there is nothing to cancel")
        try:
            event = e.SyncCancelled(by=by, why=why)
            return commit(log, process, process_id, (event,), at=clock.now(), hooks=hooks)
        except VersionConflict:
            if not tries_left:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _check(page_size: int, options: Options) -> None:
    check_limits(options)
    _check_pagination(options)
    is_peeked = options.termination == "peek" and options.pagination != "cursor"
    most = options.limit_max - is_peeked
    least = 2 if options.termination == "short_page" else 1
    if not least <= page_size <= most:
        raise ConfigurationError(
            f"page size {page_size} cannot work: choose {least} to {most} (the source gives at most "
            f"{options.limit_max} rows for one request{', and one is the peek' if is_peeked else ''})"
        )


def _check_pagination(options: Options) -> None:
    if options.pagination != "offset" and options.termination == "short_page":
        raise ConfigurationError(
            f"termination='short_page' goes with offsets, not with {options.pagination}s"
        )
    if options.pagination == "page" and options.limit_max < NUMBERED_LIMIT_MIN:
        raise ConfigurationError(
            f"limit_max={options.limit_max} cannot work: pages with numbers are asked for in sizes up to "
            f"{NUMBERED_LIMIT_MIN} or more, or rows that move could be lost"
        )

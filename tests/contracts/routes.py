"""What any log must tell of routes: what follows from all events of all processes, folded anew."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from syncfsm.core import events as e
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process, fold
from syncfsm.engine.commit import commit
from syncfsm.log import EventLog
from tests.pure import EPOCH

OBJECTS, SINKS, KEYS = ("people", "companies"), ("list", "other"), (None, "updated_at")
MODES: tuple[e.Mode, ...] = ("initial", "ongoing", "webhook", "rejects")
FAILED = e.SyncFailed(action="fetch", reason="down", error="", resumable=True, cursor=None)
RESUMED = e.SyncResumed(by="test", why="", to="INITIALIZING")
CANCELLED = e.SyncCancelled(by="test", why="")
COUNTS = ("created", "updated", "unchanged", "deleted", "missing")


def a_page(count: int, as_of: datetime = EPOCH) -> e.PageFetched:
    """Return the only page of a sync."""
    return e.PageFetched(
        cursor=None,
        offset=0,
        limit=count + 1,
        count=count,
        record_ids=tuple(f"r{number}" for number in range(count)),
        malformed=(),
        frontier=None,
        peek=None,
        has_more=False,
        next_cursor=None,
        margin=0,
        shift=0,
        as_of=as_of,
        ids_digest="",
        elapsed_ms=0,
    )


def started(mode: e.Mode, object_: str, sink: str, key: str | None) -> e.SyncStarted:
    return e.SyncStarted(
        source="attio",
        object=object_,
        sink=sink,
        mode=mode,
        page_size=50,
        order="newest",
        options=Options(),
        record_ids=("r1", "r2") if mode in {"webhook", "rejects"} else (),
        since=EPOCH if mode == "ongoing" else None,
        changed_by=key,
    )


def delivered(counts: dict[str, int], as_of: datetime) -> tuple[e.Event, ...]:
    counts = {name: count for name, count in counts.items() if name != "missing"}
    page = a_page(sum(counts.values()), as_of)
    return (page, e.PageDelivered(cursor=None, rejected=0, elapsed_ms=0, **counts))


def completed(process: Process, counts: dict[str, int]) -> e.SyncCompleted:
    totals = process.progress.totals
    return e.SyncCompleted(totals=totals, watermark=process.watermark, digest="", missing=counts["missing"])


def written(log: EventLog, syncs: list[Any], *, prefix: str = "p") -> None:
    """Write processes one after the other; those that are late begin in their turn, and fetch in the end.

    Of each: how it begins (mode, object, sink, by which key, and at which second), how it ends, what it
    counts and the second of its page.
    """
    late = []
    for number, (beginning, end, counts, seconds) in enumerate(syncs):
        *route, began_s = beginning
        process_id, at = f"{prefix}{number}", EPOCH + timedelta(seconds=seconds)
        began = EPOCH + timedelta(seconds=began_s)
        process = commit(log, None, process_id, (started(*route),), at=began)
        if end in {"failed at once", "late"}:
            process = commit(log, process, process_id, (FAILED,), at=at)
            late += [(process, counts)] if end == "late" else []
        else:
            finish(log, process, end, counts, at)
    for process, counts in late:
        at = process.updated_at + timedelta(seconds=50)
        finish(log, commit(log, process, process.id, (RESUMED,), at=at), "completed", counts, at)


def finish(log: EventLog, process: Process, end: str, counts: dict[str, int], at: datetime) -> None:
    found = e.FetchingBegan(found={"workspace": process.id})
    process = commit(log, process, process.id, (found, *delivered(counts, at)), at=at)
    last = {"completed": completed(process, counts), "cancelled": CANCELLED}.get(end, FAILED)
    commit(log, process, process.id, (last,), at=at)


class Folded:
    """A process, by all of its events."""

    def __init__(self, log: EventLog, process_id: str) -> None:
        self.events = list(log.read(process_id))
        process = fold(None, self.events)
        assert process is not None
        self.process = process
        self.totals = next((r.event for r in self.events if isinstance(r.event, e.SyncCompleted)), None)

    @property
    def left(self) -> int:
        assert self.totals is not None
        totals, missing = self.totals.totals, self.totals.missing
        there = totals.updated + totals.unchanged if self.process.mode == "initial" else -missing
        return totals.created - totals.deleted + there


def counted(processes: list[Folded]) -> list[Folded]:
    """Return the completed ones from the last initial one on."""
    found: list[Folded] = []
    for folded in reversed(processes):
        if folded.process.state is State.COMPLETED:
            found.append(folded)
            if folded.process.mode == "initial":
                return found
    return []


def due(processes: list[Folded], changed_by: str | None) -> datetime | None:
    marks = [
        folded.process.watermark
        for folded in counted(processes)
        if folded.process.mode == "initial"
        or (folded.process.mode == "ongoing" and folded.process.changed_by == changed_by)
    ]
    return max((mark for mark in marks if mark), default=None)


def moved_agrees(log: EventLog, route: tuple[str, str, str], ours: list[Folded]) -> None:
    """Ask who began, or went on after a failure, behind each place where one of them has an event."""
    for position in {recorded.position or 0 for folded in ours for recorded in folded.events}:
        behind = {
            folded.process.id
            for folded in ours
            for recorded in folded.events
            if (recorded.position or 0) > position
            and isinstance(recorded.event, e.SyncStarted | e.SyncResumed)
        }
        assert {process.id for process in log.moved_since(*route, position=position)} == behind


def agrees(log: EventLog) -> None:
    """Ask a log about every route, and compare."""
    everything = [Folded(log, process_id) for process_id in log.ids()]
    there = {(folded.process.object, folded.process.sink) for folded in everything}
    assert {(route.object, route.sink) for route in log.routes()} == there
    assert {(route.object, route.sink) for route in log.routes("attio")} == there
    assert log.routes("nobody") == []
    for object_ in OBJECTS:
        webhooks = [
            f.process.sink for f in everything if f.process.mode == "webhook" and f.process.object == object_
        ]
        assert log.webhook_sink("attio", object_) == (webhooks[0] if webhooks else None)
        for sink in SINKS:
            ours = [f for f in everything if (f.process.object, f.process.sink) == (object_, sink)]
            _agrees_on(log, ("attio", object_, sink), ours)
            syncs = [f.process.id for f in ours if f.process.mode in {"initial", "ongoing"}]
            last = log.last_begun("attio", object_, sink)
            assert (last.id if last else None) == (syncs[-1] if syncs else None)
            moved_agrees(log, ("attio", object_, sink), ours)
    for sink in SINKS:
        found = [
            recorded
            for folded in everything
            if folded.process.sink == sink
            for recorded in folded.events
            if isinstance(recorded.event, e.FetchingBegan)
        ]
        last = max(found, key=lambda recorded: recorded.position or 0, default=None)
        assert log.last_found("attio", sink) == (last and getattr(last.event, "found"))  # noqa: B009


def _agrees_on(log: EventLog, route: tuple[str, str, str], ours: list[Folded]) -> None:
    for key in KEYS:
        assert log.last_sync_time(*route, changed_by=key) == due(ours, key)
    left = sum(folded.left for folded in counted(ours))
    assert log.items_left_by_syncs(*route) == left
    for mode in MODES:
        latest = [folded.process for folded in ours if folded.process.mode == mode]
        assert log.latest(*route, mode=mode) == (latest[-1] if latest else None)
    done = [folded.process for folded in ours if folded.process.state is State.COMPLETED]
    syncs = [process for process in done if process.mode in {"initial", "ongoing"}]
    last = log.last_completed(*route)
    assert (last and last.updated_at) == max((process.updated_at for process in syncs), default=None)
    assert last is None or last in syncs

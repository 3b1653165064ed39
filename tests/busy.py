"""Logs with much in them, for tests of what reads logs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.commit import commit
from syncfsm.log import EventLog, open_log
from tests.pure import EPOCH, Answer, PureSync, people, slice_of

PAGE_BYTES = 4096

BUSY = Failure(kind=FailureKind.RATE_LIMITED, message="it asks for patience.", status=429)


def a_busy_log(path: Path) -> Path:
    """Make a checkpointed log: three interleaved processes, then four more.

    Of one, a page has so many ids that its event takes several pages of the file. Some are complete, one has
    failed and goes on, one is cancelled, one deletes what is missing, one
    found nothing new; rows moved, answers failed, records
    were rejected.
    """
    with open_log(path) as log:
        interleave(log, {"5f0c": _sync(230, 20), "a771": _sync(900, 300, id_chars=36), "c3d9": _sync(95, 7)})
        _failed_and_resumed(log)
        _cancelled(log)
        interleave(log, {"d11e": _that_deletes()})
        _nothing_new(log)
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in (
        "journal_mode = DELETE",
        f"page_size = {PAGE_BYTES}",
    ):  # small pages, so that there are many
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("VACUUM")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def interleave(log: EventLog, streams: dict[str, Sequence[e.Recorded]]) -> None:
    """Append the events of several processes in turn; each syncs a source of its own."""
    states: dict[str, Process | None] = dict.fromkeys(streams)
    for turn in zip_longest(*streams.values()):
        for name, recorded in zip(streams, turn, strict=True):
            if recorded is not None:
                event = recorded.event
                if isinstance(event, e.SyncStarted):
                    event = replace(event, source=f"model:{name}")
                states[name] = commit(
                    log, states[name], name, (event,), at=recorded.at, meta={"worker": f"w-{name}"}
                )


def _sync(count: int, page_size: int, *, id_chars: int = 6) -> Sequence[e.Recorded]:
    rows = [
        replace(row, id=row.id.rjust(id_chars, "x"), problem="" if index % 50 else "no name")
        for index, row in enumerate(people(count))
    ]
    asked: list[PageRequest] = []

    def answer(request: PageRequest) -> Answer:
        asked.append(request)
        if len(asked) == 2:
            return BUSY
        if len(asked) == 4:
            del rows[:page_size]  # they went away: the next page is not anchored
        return rows[request.offset : request.offset + request.limit]

    sync = PureSync(answer, page_size=page_size)
    sync.run()
    return sync.recorded


def _nothing_new(log: EventLog) -> None:
    started = e.SyncStarted(
        source="model:e42a",
        object="people",
        sink="list",
        mode="ongoing",
        page_size=50,
        order="newest",
        options=Options(),
        since=EPOCH,
    )
    process = commit(log, None, "e42a", (started,), at=EPOCH)
    commit(log, process, "e42a", (e.NothingNewFound(as_of=EPOCH, elapsed_ms=7),), at=EPOCH)


def _that_deletes() -> Sequence[e.Recorded]:
    listed = slice_of(people(30))
    sync = PureSync(
        lambda request: [] if request.record_ids else listed(request), page_size=20, missing=("s1", "s2")
    )
    sync.run()
    return sync.recorded


def _failed_and_resumed(log: EventLog) -> None:
    started = _started("model:e1")
    failed = e.SyncFailed(
        action="check", reason="unauthorized", error="the key is wrong.", resumable=True, cursor=None
    )
    resumed = e.SyncResumed(by="ops", why="a new key", to="INITIALIZING", options=Options(attempts_max=3))
    began = e.FetchingBegan(found={"workspace": "northwind", "sink": "list"})
    commit(log, None, "e1f2", (started, failed, resumed, began), at=EPOCH)


def _cancelled(log: EventLog) -> None:
    event = e.SyncCancelled(by="cli", why="no longer wanted")
    commit(log, None, "0b44", (_started("model:0b"), event), at=EPOCH)


def _started(source: str) -> e.SyncStarted:
    return e.SyncStarted(
        source=source,
        object="people",
        sink="list",
        mode="initial",
        page_size=50,
        order="newest",
        options=Options(),
    )

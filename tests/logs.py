"""Logs for the tests of what reads logs: large ones, hostile ones, made in a moment and without any I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from syncfsm.core import events as e
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process, fold
from syncfsm.log import EventLog
from tests.pure import EPOCH, Answer, PureSync, people, slice_of

HOSTILE = (
    "</script><script>window.hacked = 1</script><!--<script>"
    '<img src="https://evil.example/x.png" onerror="window.hacked = 2">'
    "' \" ` ${window.hacked = 3} & &lt; \\ \u2028 \u2029 \u202eeno driew\u202c \u200f\u0000"
)
"""What nobody means well types into a CRM; the words after U+202E are written from right to left."""


def write(log: EventLog, events: Sequence[e.Event], process_id: str = "p1", *, gap_ms: int = 250) -> Process:
    """Write the events of a process, one after the other."""
    return store(
        log,
        [
            e.Recorded(
                stream=process_id,
                version=version,
                at=EPOCH + timedelta(milliseconds=gap_ms * version),
                event=event,
                meta={HOSTILE: HOSTILE} if process_id == HOSTILE else {},
            )
            for version, event in enumerate(events, start=1)
        ],
    )


def store(log: EventLog, recorded: Sequence[e.Recorded]) -> Process:
    """Write the whole of a process in one append."""
    after = fold(None, recorded)
    assert after is not None
    log.append(recorded, expected_version=0, after=after)
    return after


def write_long(log: EventLog, events_min: int) -> Process:
    """Write a sync of at least so many events, of which one page in ten needs a second request."""
    rows = people(events_min)
    answer_from_rows = slice_of(rows)

    def answer(request: PageRequest) -> Answer:
        if len(sync.requests) % 11 == 0:
            return Failure(kind=FailureKind.RATE_LIMITED, message="slow down.", retry_after_s=1.0)
        return answer_from_rows(request)

    sync = PureSync(answer, page_size=2, options=Options(limit_max=10**6, waiting_s_max=10**6))
    sync.run(actions_max=2 * events_min)
    return store(log, sync.recorded)


def started(**changes: object) -> e.SyncStarted:
    """The first event of a sync."""
    fields = {
        "source": "model",
        "object": "people",
        "sink": "list",
        "mode": "initial",
        "page_size": 2,
        "order": "newest",
        "options": Options(),
    }
    return e.SyncStarted(**{**fields, **changes})  # type: ignore[arg-type]


def hostile_events() -> list[e.Event]:
    """A sync in which every text that comes from outside is hostile, and which fails."""
    page = e.PageFetched(
        cursor=None,
        offset=0,
        limit=3,
        count=2,
        record_ids=(HOSTILE, "r2"),
        malformed=(),
        frontier=None,
        peek=HOSTILE,
        has_more=True,
        next_cursor=2,
        margin=0,
        shift=0,
        as_of=EPOCH,
        ids_digest="00",
        elapsed_ms=12,
    )
    retry = e.RetryScheduled(
        action="deliver",
        cause=HOSTILE,
        error=HOSTILE,
        attempt=1,
        wait_s=0.1,
        retry_at=EPOCH + timedelta(seconds=1.5),
        cursor=None,
    )
    return [
        started(source=HOSTILE, object=HOSTILE, sink=HOSTILE, parent=HOSTILE),
        e.FetchingBegan(found={HOSTILE: HOSTILE}),
        page,
        retry,
        e.RecordRejected(record_id=HOSTILE, reason=HOSTILE, cursor=None),
        e.PageDelivered(cursor=None, created=1, updated=0, unchanged=0, rejected=1, elapsed_ms=3),
        e.PagesShifted(cursor=2, offset=2, expected=HOSTILE, found=HOSTILE, step_back=2, elapsed_ms=9),
        e.SyncFailed(action="fetch", reason=HOSTILE, error=HOSTILE, resumable=False, cursor=2),
    ]

"""What the events of a process say that became of records: delivered, or found gone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from syncfsm.core import events as e
from syncfsm.core.paging.by_id import GONE

UNDELETABLE = "the source has it no more, and the sink cannot delete"
"""Why a record that is gone is rejected where the sink has no `delete`."""

_GONE = frozenset({GONE, UNDELETABLE})
"""Reasons of rejects that no retry can mend."""


def deliveries(stream: Iterable[e.Recorded]) -> Iterator[tuple[str, e.Recorded | None]]:
    """Yield each record that a stream delivered, with its PageDelivered; with null, each that was gone."""
    fetched: tuple[str, ...] = ()
    refused: set[str] = set()
    for recorded in stream:
        match recorded.event:
            case e.PageFetched(record_ids=record_ids):
                fetched, refused = record_ids, set()
            case e.RecordRejected(record_id=record_id, reason=reason):
                refused.add(record_id)
                if reason in _GONE:
                    yield record_id, None
            case e.PageDelivered():
                yield from ((record_id, recorded) for record_id in fetched if record_id not in refused)
            case (
                e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
                | e.MissingFound() | e.RetryScheduled() | e.PagesShifted()
                | e.SyncCompleted() | e.SyncFailed() | e.SyncCancelled() | e.SyncResumed()
            ):  # fmt: skip
                pass
            case _:
                assert_never(recorded.event)

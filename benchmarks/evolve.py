"""How the peers' state of a sync evolves: the fields of a `Process`, set in place, without its checks.

The events given are any with the fields of the syncfsm event of the same name, so that both peers share it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def begin(sync: Any, event: Any) -> None:
    """Set what a sync begins with."""
    sync.source, sync.object, sync.sink, sync.mode = event.source, event.object, event.sink, event.mode
    sync.page_size, sync.order, sync.options = event.page_size, event.order, event.options
    sync.state, sync.found, sync.pending, sync.retry, sync.watermark = "INITIALIZING", None, None, None, None
    sync.offset, sync.frontier, sync.peek, sync.margin, sync.has_more = 0, None, None, 0, True
    sync.pages = sync.fetched = sync.created = sync.updated = sync.unchanged = sync.rejected = 0
    sync.retries, sync.waited_s, sync.last_cursor, sync.ids_digest = 0, 0.0, None, ""


def fetching_began(sync: Any, event: Any) -> None:
    """Source and sink are in order."""
    sync.state, sync.found, sync.retry = "FETCHING", event.found, None


def page_fetched(sync: Any, event: Any) -> None:
    """Keep the page until it is delivered."""
    sync.pending = event
    sync.watermark = sync.watermark or event.as_of


def page_delivered(sync: Any, event: Any) -> None:
    """Go on to the next page, and count."""
    page = sync.pending
    sync.pending = sync.retry = None
    sync.offset = sync.offset if page.next_cursor is None else page.next_cursor
    sync.frontier, sync.peek, sync.margin, sync.has_more = (
        page.frontier,
        page.peek,
        page.margin,
        page.has_more,
    )
    sync.pages += 1
    sync.fetched += len(page.record_ids) + len(page.malformed)
    sync.created += event.created
    sync.updated += event.updated
    sync.unchanged += event.unchanged
    sync.rejected += event.rejected
    sync.last_cursor, sync.ids_digest = page.cursor, page.ids_digest


def retry_scheduled(sync: Any, event: Any) -> None:
    """Remember when to try again."""
    sync.retry = (event.action, event.cause, event.error, event.attempt, event.retry_at)
    sync.retries += 1
    sync.waited_s += event.wait_s


def sync_completed(sync: Any, event: Any) -> None:  # noqa: ARG001 - the totals are counted already
    """The sync is over."""
    sync.state = "COMPLETED"


def nothing(sync: Any, event: Any) -> None:
    """A rejected record is counted with its page."""


EVOLVE: dict[str, Callable[[Any, Any], None]] = {
    "SyncStarted": begin,
    "FetchingBegan": fetching_began,
    "PageFetched": page_fetched,
    "PageDelivered": page_delivered,
    "RecordRejected": nothing,
    "RetryScheduled": retry_scheduled,
    "SyncCompleted": sync_completed,
}

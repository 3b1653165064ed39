"""The page between its fetch and its delivery, held in memory."""

from __future__ import annotations

from collections.abc import Sequence

from syncfsm.core import events as e
from syncfsm.core.blanking import Blanking
from syncfsm.core.paging.pages import Row
from syncfsm.core.paging.place import Reject
from syncfsm.core.value import Value
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.protocol import Record


class Upserted(Value, frozen=True):
    """What became of the records of a page; its deletions may be still to do."""

    rejects: tuple[Reject, ...]
    result: UpsertResult
    left_out: dict[str, int]


class HeldPage:
    """A page that was fetched, with its records, until it is delivered.

    Args:
        page: The page, as it is pending.
        rows: The rows that came for it. Of rows with one id the first was taken, so it is the one to keep.

    Attributes:
        records: The records to deliver, in order.
        blanking: What of it the sink said that it would empty, before anything was written.
        is_given: Whether the sink was given any of it, whatever came of that.
        upserted: What the sink has taken of it; where the deletion fails, the next try need only delete.
    """

    def __init__(self, page: e.PageFetched, rows: Sequence[Row]) -> None:
        by_id = {row.id: row for row in reversed(rows) if isinstance(row, Record) and not row.problem}
        self.page = page
        self.records = tuple(by_id[id_] for id_ in page.record_ids)
        self.blanking: Blanking | None = None
        self.is_given = False
        self.upserted: Upserted | None = None

"""What went wrong in a process: the failures, grouped; what ended it, and where that began."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import assert_never

from syncfsm.core import events as e
from syncfsm.core.decide import DeliverPage, FetchPage
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.history.replay import Moment

REJECTS_SHOWN_MAX = 3
"""Ids that are named for each reason; `syncfsm log rejects` names all."""


class TroubleAt(Value, frozen=True):
    """Where in the process something went wrong.

    Attributes:
        version: Of the event.
        at: When.
        action: What was being done.
        page: The number of the page, from 1; null while checking or finishing.
        offset: Where that page begins, in rows; null likewise.
        first_record: The first record of the page, if it had been fetched.
        error: What went wrong, in words.
        cause: The kind of failure, or the limit that was hit.
        what: Which part of the action it was, if it was one.
    """

    version: int
    at: datetime
    action: str
    page: int | None
    offset: int | None
    first_record: str | None
    error: str
    cause: str
    what: str = ""


class Ending(Value, frozen=True):
    """The failure that ended a process: the last event, and the first of the failures that led to it.

    Attributes:
        place: Where it gave up.
        began: The first failure of the row that led to it; the same place if there was no other.
        failures: How many failures in a row.
        is_resumable: Whether going on later can help.
    """

    place: TroubleAt
    began: TroubleAt
    failures: int
    is_resumable: bool


class RejectGroup(Value, frozen=True):
    """Records that were rejected for one reason: how many, and the first of them."""

    reason: str
    count: int
    record_ids: tuple[str, ...]


class Troubles:
    """Collects what goes wrong, step by step.

    Attributes:
        first: The very first failure.
        causes: How many retries, by the kind of failure.
        ending: What ended the process, if it has failed.
        refetched: Pages that had to be fetched again, since a worker had died or stopped holding one.
        resumes: How often a failed process went on.
    """

    def __init__(self) -> None:
        self.first: TroubleAt | None = None
        self.causes: Counter[str] = Counter()
        self.ending: Ending | None = None
        self.refetched = 0
        self.resumes = 0
        self._row: list[TroubleAt] = []
        self._rejects: dict[str, list[str]] = {}

    @property
    def rejects(self) -> tuple[RejectGroup, ...]:
        """The records that were rejected, by reason, the most frequent first."""
        groups = sorted(self._rejects.items(), key=lambda group: -len(group[1]))
        return tuple(
            RejectGroup(reason=reason, count=len(ids), record_ids=tuple(ids[:REJECTS_SHOWN_MAX]))
            for reason, ids in groups
        )

    def add(self, moment: Moment) -> None:
        """Take note of what an event tells."""
        match moment.recorded.event:
            case e.RetryScheduled(cause=cause, error=error, action=action, what=what):
                self.causes[cause] += 1
                self._failed(_place(moment, action, error, cause, what))
            case e.SyncFailed(reason=reason, error=error, action=action, what=what) as event:
                place = self._failed(_place(moment, action, error, reason, what))
                self.ending = Ending(
                    place=place,
                    began=self._row[0],
                    failures=len(self._row),
                    is_resumable=event.resumable,
                )
            case e.RecordRejected(record_id=record_id, reason=reason):
                self._rejects.setdefault(reason, []).append(record_id)
            case e.SyncResumed():
                self.resumes += 1
                self.ending, self._row = None, []
            case e.PageDelivered() | e.FetchingBegan():
                self._row = []
            case e.PageFetched():
                self.refetched += isinstance(moment.action, DeliverPage)
            case (
                e.SyncStarted()
                | e.NothingNewFound()
                | e.MissingFound()
                | e.PagesShifted()
                | e.SyncCompleted()
                | e.SyncCancelled()
            ):
                pass
            case _:
                assert_never(moment.recorded.event)

    def _failed(self, place: TroubleAt) -> TroubleAt:
        self.first = self.first or place
        self._row.append(place)
        return place


def _place(moment: Moment, action: str, error: str, cause: str, what: str) -> TroubleAt:
    before = moment.before
    assert before is not None, "the first event is no failure"
    page, offset = _page(moment, before)
    ids = before.pending.record_ids if before.pending else ()
    return TroubleAt(
        version=moment.recorded.version,
        at=moment.recorded.at,
        action=action,
        page=page,
        offset=offset,
        first_record=ids[0] if ids else None,
        error=error,
        cause=cause,
        what=what,
    )


def _page(moment: Moment, before: Process) -> tuple[int | None, int | None]:
    """Return the number of the page that something went wrong with, and where it begins."""
    match moment.recorded.event:
        case e.SyncFailed(
            reason="reject_ratio_max", cursor=cursor
        ):  # comes right after the page was delivered
            return before.progress.pages, cursor or 0
    if isinstance(moment.action, FetchPage | DeliverPage):
        return before.progress.pages + 1, before.paging.offset
    return None, None

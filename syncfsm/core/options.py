"""The rules and limits of a sync: how pages are asked for, and when to give up."""

from __future__ import annotations

from typing import Literal, Protocol, cast

from syncfsm.core.value import Value

Order = Literal["newest", "oldest", "id"]
"""The order that pages are asked for in: by when a record was created, or by its id."""

Termination = Literal["peek", "short_page"]
Pagination = Literal["offset", "page", "cursor"]
"""How pages are asked for: see `Options`."""


class Options(Value, frozen=True):
    """The rules and limits of one sync; written into its first event, so that a replay has them.

    Attributes:
        pagination: How pages are asked for: by the `offset` of the first row, by the number of a `page` and
            its size, or by the `cursor` that came with the page before.
        termination: `peek` asks for one more row than the page to see whether there is more;
            `short_page` takes a page with fewer rows than asked for as the end.
        confirm_end: Ask for the row after a short page before believing that it was the last.
            For sources that may cap `limit` without saying so.
        limit_max: The most rows the source gives for one request.
        attempts_max: Failures in a row, without a page delivered between them, that end the sync.
        backoff_s_base: The first wait after a failure; it doubles with each further one.
        wait_s_max: The longest single wait. A `Retry-After` beyond it ends the sync, resumable: nobody is
            asked before.
        waiting_s_max: All waits of a sync together; past it, the sync fails, resumable.
        step_backs_max: Steps back for one page before the sync fails.
        stalled_rows_max: Rows that come without a new one among them before the sync fails.
        stalled_pages_max: Pages in a row that a cursor leads to, without a new record, before the sync fails.
        reject_ratio_max: The error budget: the share of the people fetched that may be rejected.
        reject_min: Rejects that are always allowed, whatever their share.
        overlap_s: How far before the watermark an ongoing sync begins: a record may say that it was created
            earlier than it could be seen.
        sweeps_max: Ongoing syncs in a row, where they go by a key that changes; each brings what the one
            before it may have missed.
        missing_ratio_max: The share of a sink's contacts that one sync may delete since no page had them, or
            since webhooks told that they are gone.
        deletions_min: Deletions that webhooks may always lead to, whatever their share.
        asks_max: How often records that webhooks told of are asked for, until they come.
        singly_max: Of those that did not come with a page, so many are each asked for by itself.
        blanked_ratio_max: The share of the contacts with a value in a field that one sync may empty of it.
        blanked_min: Contacts that may always lose a field, whatever their share.
        request_s_max: The longest that one request may take, from connecting to the last byte of the answer.
    """

    pagination: Pagination = "offset"
    termination: Termination = "peek"
    confirm_end: bool = False
    limit_max: int = 500
    attempts_max: int = 8
    backoff_s_base: float = 0.5
    wait_s_max: float = 300.0
    waiting_s_max: float = 3600.0
    step_backs_max: int = 32
    stalled_rows_max: int = 100_000
    stalled_pages_max: int = 1000
    reject_ratio_max: float = 0.01
    reject_min: int = 10
    overlap_s: float = 300.0
    sweeps_max: int = 10
    missing_ratio_max: float = 0.5
    blanked_ratio_max: float = 0.5
    blanked_min: int = 10
    deletions_min: int = 10
    asks_max: int = 8
    singly_max: int = 20
    request_s_max: float = 120.0


class Limited(Protocol):
    """A source or a sink that heeds the limits of the sync at hand."""

    def heed(self, options: Options) -> None:
        """Go by these limits from now on, such as `request_s_max`."""
        ...


def heed(side: object, options: Options) -> None:
    """Tell a source or a sink the limits of the sync at hand, if its class can be told."""
    if callable(getattr(type(side), "heed", None)):
        cast("Limited", side).heed(options)

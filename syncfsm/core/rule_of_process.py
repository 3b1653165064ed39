"""The page rule of a process: what it is told of it, and what reading ahead goes by."""

from __future__ import annotations

from syncfsm.core.advance import advanced
from syncfsm.core.paging.lookahead import Lookahead
from syncfsm.core.paging.pages import PageRule, Told
from syncfsm.core.process import Process


def rule_of(process: Process) -> PageRule:
    """Return the page rule of a process, from its options."""
    options = process.options
    plain = options.termination == "short_page"
    return PageRule(
        page_size=process.page_size,
        order=process.order,
        limit_max=process.page_size if plain else options.limit_max,
        confirm_end=options.confirm_end,
        record_ids=process.asking,
        deletes_gone=process.mode == "webhook" or process.missing is not None,
        told=_told(process) if process.mode == "webhook" else None,
        singly_max=options.singly_max if process.mode == "webhook" else 0,
        proves_end=process.deletes_missing,
        since=process.since,
        changed_by=process.changed_by,
        pagination=options.pagination,
    )


def _told(process: Process) -> Told:
    """Return what webhooks said of the records that are asked for, and how far that has been seen to."""
    return Told(
        may_be_gone=process.may_be_gone,
        unsettled=frozenset((*process.absent, *process.asking[process.paging.offset :])),
        is_last=process.asks >= process.options.asks_max,
    )


def foresee(process: Process) -> Lookahead | None:
    """Return what reading ahead goes by, once what is pending is delivered; `None` where it cannot.

    No page can be asked for early before the first page has come, so that none is older than the watermark;
    behind the last; by cursors; of records asked for by their ids; and where ties come in no fixed order.
    """
    paging, rule = process.paging, rule_of(process)
    is_by_place = rule.pagination != "cursor" and not rule.record_ids
    if process.watermark is None or not is_by_place:
        return None
    if process.pending is not None:
        paging = advanced(paging, process.pending, is_by_cursor=False)
    is_open = paging.is_total and paging.has_more
    return Lookahead(paging=paging, rule=rule, total=process.progress.total) if is_open else None

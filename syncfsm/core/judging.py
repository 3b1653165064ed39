"""What a page that came is to a process, by the page rule. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm.core.paging.offsets import accept
from syncfsm.core.paging.pages import Taken, Verdict
from syncfsm.core.process import Process
from syncfsm.core.rule_of_process import rule_of

if TYPE_CHECKING:
    from syncfsm.core.decide import Fetched


def judged(process: Process, outcome: Fetched) -> Verdict:
    """Return what to take of a page, or why it cannot be taken."""
    return accept(
        process.paging,
        outcome.request,
        outcome.rows,
        rule_of(process),
        is_total=outcome.is_total,
        next_token=outcome.next_token,
        is_followed=outcome.is_followed,
        not_found=outcome.not_found,
    )


def is_nothing_new(process: Process, first: Fetched) -> bool:
    """Whether the first page of an ongoing sync is its last too, and has no row, by which nothing is new."""
    if first.rows:
        return False
    verdict = judged(process, first)
    return isinstance(verdict, Taken) and not verdict.has_more

"""What to do next, and what came of it: two pure functions, the heart of the loop.

`next_action` reads the state alone: after a crash, fold the log, ask again, go on. `decide` turns the
outcome of an action into events. No I/O, no clock, no randomness: an outcome carries the time at which it
came and the number that chance drew, so that the same outcome always decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from msgspec import field

from syncfsm.core import events as e
from syncfsm.core.blanking import Blanking, Overrun
from syncfsm.core.failure import Failure
from syncfsm.core.giving_up import (
    never_anchored,
    stalled,
    too_many_missing,
    too_much_blanked,
    unasked,
    unsafe,
)
from syncfsm.core.judging import judged
from syncfsm.core.machine import State
from syncfsm.core.outcomes import completed, delivered, failed, fetched, not_yet, shifted
from syncfsm.core.paging.offsets import plan
from syncfsm.core.paging.pages import PageRequest, Row, Shifted, Taken, Unasked, Unsafe
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process
from syncfsm.core.rule_of_process import rule_of
from syncfsm.core.value import Value

# ── actions: what to do, imperative ──────────────────────────────────────────────────────────


class CheckSetup(Value, frozen=True):
    """Check credentials, object and sink, so that what can't work fails within a second.

    An ongoing sync is to look at its `first` page with that: most often nothing is new, and that is all.
    """

    not_before: datetime | None
    first: PageRequest | None = None


class FetchPage(Value, frozen=True):
    """Ask the source for the next page."""

    request: PageRequest
    not_before: datetime | None


class DeliverPage(Value, frozen=True):
    """Give the page that was fetched to the sink. `refetch` gets it again where it is no longer held."""

    record_ids: tuple[str, ...]
    refetch: PageRequest
    not_before: datetime | None
    gone: tuple[str, ...] = ()


class AskAgain(Value, frozen=True):
    """Decide when to ask again for what a webhook told of and the source did not have yet."""

    not_before: datetime | None


class FindMissing(Value, frozen=True):
    """Find what the sink has and no page had, so many of it that come `after` an id: to be asked for next."""

    after: str
    limit: int
    not_before: datetime | None


class FinishSync(Value, frozen=True):
    """Let the sink delete what is missing, if it is to, and put its house in order; then all is done."""

    not_before: datetime | None
    deletes_missing: bool = False


Action = CheckSetup | FetchPage | DeliverPage | AskAgain | FindMissing | FinishSync

ACTION_NAMES: dict[type[Any], e.ActionName] = {
    CheckSetup: "check",
    FetchPage: "fetch",
    DeliverPage: "deliver",
    AskAgain: "fetch",
    FindMissing: "finish",
    FinishSync: "finish",
}

# ── outcomes: what came of it ────────────────────────────────────────────────────────────────


class Fetched(Value, frozen=True):
    """Rows came for a request; `as_of`, `is_total`, `total`, `next_token` as in `PageFetched`.

    Attributes:
        is_followed: Whether rows beyond these have come ahead of them.
        not_found: Records asked for of which the source says itself that there are none such; null where it
            said so of none since none was asked for by itself.
    """

    request: PageRequest
    rows: Sequence[Row]
    as_of: datetime
    elapsed_ms: int
    is_total: bool = True
    total: int | None = None
    next_token: str | None = None
    is_followed: bool = False
    not_found: tuple[str, ...] | None = None


class Checked(Value, frozen=True):
    """Source and sink are in order; `found` is what the checks saw, and `first` what came for the first page.

    It is null where that was not asked for. What came, or failed, is the answer once the page is due.
    """

    found: dict[str, str]
    first: Fetched | Failure | None = None


class NothingNew(Value, frozen=True):
    """Source and sink are as they were the last time, and nothing is new; the fields of `NothingNewFound`."""

    as_of: datetime
    elapsed_ms: int


class Delivered(Value, frozen=True):
    """The sink took the page, but for the rejects."""

    created: int
    updated: int
    unchanged: int
    rejects: tuple[Reject, ...]
    elapsed_ms: int
    left_out: dict[str, int] = field(default_factory=dict)
    deleted: int = 0
    blanking: Blanking = Blanking()


class Unanswered(Value, frozen=True):
    """Records that webhooks told of did not come yet. `chance` is a number in [0, 1) for the jitter."""

    at: datetime
    chance: float


class FoundMissing(Value, frozen=True):
    """What the sink has and no page had; the fields as in `MissingFound`."""

    record_ids: tuple[str, ...]
    known: int
    kept: str = ""


class Finished(Value, frozen=True):
    """The sink is in order; `missing`, `kept` and `before` as in `SyncCompleted`."""

    missing: int = 0
    kept: str = ""
    before: int = 0


class TooManyMissing(Value, frozen=True):
    """The sink has `known` contacts, and `missing` of them are gone: more than it may delete at once."""

    missing: int
    known: int


class TooMuchBlanked(Value, frozen=True):
    """The page would empty a field in more contacts than one sync may, so that nothing of it was written."""

    overrun: Overrun


class Failed(Value, frozen=True):
    """The action failed, or `what` of it. `chance` is a number in [0, 1) for the jitter."""

    action: e.ActionName
    failure: Failure
    at: datetime
    chance: float
    what: e.ActionPart = ""


Outcome = (
    Checked
    | NothingNew
    | Fetched
    | Delivered
    | Unanswered
    | FoundMissing
    | Finished
    | TooManyMissing
    | TooMuchBlanked
    | Failed
)


def next_action(process: Process) -> Action | None:
    """Return what to do next, or `None` if the process is over (or has failed, and waits for a resume)."""
    not_before = process.retry.retry_at if process.retry else None
    if process.state is State.INITIALIZING:
        first = plan(process.paging, rule_of(process)) if process.mode == "ongoing" else None
        return CheckSetup(not_before=not_before, first=first)
    if process.state is not State.FETCHING:
        return None
    if process.pending is not None:
        return DeliverPage(
            record_ids=process.pending.record_ids,
            refetch=plan(process.paging, rule_of(process)),
            not_before=not_before,
            gone=process.pending.gone,
        )
    if process.paging.has_more:
        return FetchPage(request=plan(process.paging, rule_of(process)), not_before=not_before)
    return _after_the_pages(process, not_before)


def _after_the_pages(process: Process, not_before: datetime | None) -> Action:
    """Return what to do once all pages are delivered: what is absent is seen to before the end."""
    if process.absent:
        return AskAgain(not_before=not_before)
    missing = process.missing
    if process.deletes_missing and not (missing and missing.is_over):
        after = missing.last if missing else ""
        return FindMissing(after=after, limit=process.page_size, not_before=not_before)
    return FinishSync(not_before=not_before, deletes_missing=process.deletes_missing)


def decide(process: Process, outcome: Outcome) -> tuple[e.Event, ...]:
    """Return the events that the outcome of the process's next action makes."""
    match outcome:
        case Checked():
            return (e.FetchingBegan(found=outcome.found),)
        case NothingNew():
            return (e.NothingNewFound(as_of=outcome.as_of, elapsed_ms=outcome.elapsed_ms),)
        case Fetched():
            return (_page(process, outcome),)
        case Delivered():
            return delivered(process, outcome)
        case _:
            return (_other(process, outcome),)


def _other(
    process: Process,
    outcome: Unanswered | FoundMissing | Finished | TooManyMissing | TooMuchBlanked | Failed,
) -> e.Event:
    match outcome:
        case Unanswered():
            return not_yet(process, outcome)
        case FoundMissing():
            return e.MissingFound(record_ids=outcome.record_ids, known=outcome.known, kept=outcome.kept)
        case Finished():
            return completed(process, outcome)
        case TooManyMissing() | TooMuchBlanked():
            return _too_much(process, outcome)
        case Failed():
            return failed(process, outcome)
        case _:
            assert_never(outcome)


def _too_much(process: Process, outcome: TooManyMissing | TooMuchBlanked) -> e.SyncFailed:
    if isinstance(outcome, TooManyMissing):
        return too_many_missing(process, outcome.missing, outcome.known)
    return too_much_blanked(process, outcome.overrun)


def _page(process: Process, outcome: Fetched) -> e.Event:
    verdict = judged(process, outcome)
    match verdict:
        case Taken():
            return stalled(process) or fetched(process, outcome, verdict)
        case Shifted():
            return never_anchored(process) or shifted(outcome, verdict)
        case Unsafe():
            return unsafe(process, verdict)
        case Unasked():
            return unasked(process, verdict)
        case _:
            assert_never(verdict)

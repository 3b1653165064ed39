"""Does an event answer the action that was due? A log in which one does not was written by other rules.

The machine says which events a *state* allows; this says which events the *next action* can lead to. Every
prefix of a sound log admits the event that followed it. Pure.
"""

from __future__ import annotations

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.process import Process

_FETCH = ("PageFetched", "PagesShifted", "RetryScheduled", "SyncFailed")

_ADMITTED: dict[type[d.Action] | None, tuple[str, ...]] = {
    d.CheckSetup: ("FetchingBegan", "NothingNewFound", "RetryScheduled", "SyncFailed"),
    d.FetchPage: _FETCH,
    # where the page is no longer held, it is fetched again
    d.DeliverPage: ("RecordRejected", "PageDelivered", *_FETCH),
    d.AskAgain: ("RetryScheduled", "SyncFailed"),
    # in older logs, what was missing was found and deleted at once, in the end
    d.FindMissing: ("MissingFound", "RetryScheduled", "SyncFailed", "SyncCompleted"),
    d.FinishSync: ("SyncCompleted", "RetryScheduled", "SyncFailed"),
    None: ("SyncResumed",),
}


def refusal(before: Process | None, event: e.Event) -> str | None:
    """Return why an event cannot follow a state by the rules of `next_action`, or `None` if it can."""
    if before is None:
        return None if isinstance(event, e.SyncStarted) else "nothing but SyncStarted can come first"
    name = type(event).__name__
    action = d.next_action(before)
    if isinstance(event, e.SyncCancelled) or _is_overrun(event):
        return None if before.is_active else f"{name} cannot follow {before.state}"
    if name not in _ADMITTED[type(action) if action else None]:
        due = d.ACTION_NAMES[type(action)] if action else "nothing"
        return f"{name} cannot come of what was due: {due}"
    if isinstance(event, e.NothingNewFound) and before.mode != "ongoing":
        return f"a sync of mode {before.mode} cannot end with {name}"
    return _other_page(action, event)


def _is_overrun(event: e.Event) -> bool:
    """Whether it is the failure that follows a page with too many rejects, in the same append."""
    return isinstance(event, e.SyncFailed) and event.reason == "reject_ratio_max"


def _other_page(action: d.Action | None, event: e.Event) -> str | None:
    """Return what is wrong if a page came that was not asked for, or is not for the place that is due.

    By offsets, pages may be asked for before they are due, and begin anywhere: the place that was due must
    lie in them.
    """
    if not isinstance(event, e.PageFetched | e.PagesShifted):
        return None
    assert isinstance(action, d.FetchPage | d.DeliverPage), "pages come of nothing else"
    request = action.request if isinstance(action, d.FetchPage) else action.refetch
    if (event.cursor, event.offset) == (request.cursor, request.offset):
        return None
    if event.cursor == request.cursor and not request.record_ids and request.token is None:
        is_told = isinstance(event, e.PageFetched) and (event.from_key or None) == request.from_key
        return _not_there(event, request.cursor or 0) if is_told else None
    return f"a page came from offset {event.offset}, but offset {request.offset} was due"


def _not_there(event: e.PageFetched | e.PagesShifted, place: int) -> str | None:
    """Return what is wrong if a page does not hold the place that was due, wherever that has moved to."""
    assert isinstance(event, e.PageFetched), "only these say where the place lies"
    before = place - event.shift - event.offset
    if 0 <= before <= event.count:
        return None
    return f"the place that was due lies {before} rows after the first of the {event.count} that came"

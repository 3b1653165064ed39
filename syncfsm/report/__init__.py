"""A log as a picture: one HTML file that shows what happened, at every version, without any network.

`render` is all there is to it: it reads a log and returns the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError, ProcessNotFound
from syncfsm.explain import explain, sections
from syncfsm.history.replay import find, moments
from syncfsm.log.checks.rules import ensure_chained
from syncfsm.log.protocol import EventLog
from syncfsm.report.columns import columns
from syncfsm.report.overview import ROWS_MAX, overview, with_room
from syncfsm.report.page import GENERATOR, Shown, page

__all__ = ["EVENTS_MAX", "GENERATOR", "Report", "render"]

EVENTS_MAX = 100_000
"""The most events of a process that a page can show; some 16 MB, and a few seconds to open."""


class Report(Value, frozen=True):
    """A page, and what is on it.

    Attributes:
        html: The whole file.
        processes: How many processes it lists.
        shown: The ids of those that it shows in full.
        events: How many events these have.
    """

    html: str
    processes: int
    shown: tuple[str, ...]
    events: int


def render(
    log: EventLog,
    process_id: str | None = None,
    *,
    log_name: str,
    takes: Callable[[Process], bool] = lambda _process: True,
) -> Report:
    """Return the page of a process, or of all where none is named and the log has more than one.

    Args:
        log: The log.
        process_id: The whole id.
        log_name: What to call the log in the page, and in the commands that it names.
        takes: Which processes a page of all is to have.

    Raises:
        ProcessNotFound: There is no such process, or no process at all.
        ConfigurationError: The process has more events than a page can show.
        CorruptLog, InvalidTransition: An event cannot be read, or is not legal where it stands.
    """
    if process_id is None:
        listed = _listed(log, takes)
        if len(listed) > 1:
            return _of_all(log, log_name, listed)
        process_id = listed[0].id
    shown = _shown(log, process_id, log_name)
    return _report(page(log_name, [shown]), 1, [shown])


def _listed(log: EventLog, takes: Callable[[Process], bool]) -> list[Process]:
    """Return the processes that a page is to have, newest first."""
    last = find(log, None)
    listed = list(islice(filter(takes, log.loaded(log.ids()[::-1])), ROWS_MAX))
    if not listed:
        raise ProcessNotFound(f"the log has no such process; the last that it has is {last}")
    return listed


def _of_all(log: EventLog, log_name: str, listed: Sequence[Process]) -> Report:
    shown = [_shown(log, process_id, log_name) for process_id in with_room(listed)]
    return _report(page(log_name, shown, overview(listed, len(log.ids()))), len(listed), shown)


def _shown(log: EventLog, process_id: str, log_name: str) -> Shown:
    ensure_chained(log, process_id)
    count = log.version(process_id)
    if not count:
        raise ProcessNotFound(f"there is no process {process_id} in this log")
    if count > EVENTS_MAX:
        raise ConfigurationError(
            f"process {process_id} has {count:,} events, and a report shows at most {EVENTS_MAX:,}: "
            "read it with `syncfsm log show` and `syncfsm replay`"
        )
    account = sections(explain(log, process_id, log_name))
    return Shown(columns=columns(moments(log, process_id)), account=account)


def _report(html: str, processes: int, shown: Sequence[Shown]) -> Report:
    return Report(
        html=html,
        processes=processes,
        shown=tuple(one.columns.process for one in shown),
        events=sum(len(one.columns.times_us) for one in shown),
    )

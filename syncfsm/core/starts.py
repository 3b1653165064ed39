"""The events with which a process begins or goes on, and what is refused before there is one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from syncfsm.core import events as e
from syncfsm.core.backoff import left_s
from syncfsm.core.limits import check_limits, check_rules
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.paging.windows import NUMBERED_LIMIT_MIN
from syncfsm.core.process import Process
from syncfsm.errors import ConfigurationError, NotActive

PAGE_SIZE = 50
"""Records in a page where neither side says what it takes best."""


def started(
    *,
    source: str,
    object_: str,
    sink: str,
    page_size: int,
    order: Order,
    options: Options,
    mode: e.Mode = "initial",
    parent: str | None = None,
    record_ids: tuple[str, ...] = (),
    since: datetime | None = None,
    changed_by: str | None = None,
    deletes_missing: bool = False,
    may_be_gone: tuple[ToldGone, ...] | None = None,
) -> e.SyncStarted:
    """Return the event that starts a sync; see `SyncStarted` for what it carries.

    Raises:
        ConfigurationError: The page size or a limit cannot work.
    """
    assert bool(record_ids) is (mode in {"webhook", "rejects"}), "only these ask for single records"
    assert (since is not None) is (mode == "ongoing"), "an ongoing sync begins somewhere, others do not"
    assert not deletes_missing or mode == "initial", "only who asks for all records can say who is missing"
    check_page_size(page_size, options)
    return e.SyncStarted(
        source=source,
        object=object_,
        sink=sink,
        mode=mode,
        page_size=page_size,
        order=order,
        options=options,
        parent=parent,
        record_ids=record_ids,
        since=since,
        changed_by=changed_by,
        deletes_missing=deletes_missing,
        may_be_gone=may_be_gone,
    )


def resumed(
    process: Process,
    *,
    page_size: int | None,
    options: Options | None,
    by: str,
    why: str,
    retry_at: datetime | None = None,
) -> e.SyncResumed:
    """Return the event that lets a failed process go on, with another page size or limits if given.

    It asks for nothing before `retry_at`.

    Raises:
        NotActive: It has not failed, or failed in a way that going on cannot mend.
        ConfigurationError: The page size or a limit cannot work, or the options have other rules.
    """
    if not process.is_resumable:
        raise NotActive(f"process {process.id} is {process.state} and cannot be resumed: start a new one")
    if options is not None:
        check_rules(options, process.options, "process")
    check_page_size(process.page_size if page_size is None else page_size, options or process.options)
    to: e.ResumeTo = "FETCHING" if process.found is not None else "INITIALIZING"
    return e.SyncResumed(by=by, why=why, to=to, page_size=page_size, options=options, retry_at=retry_at)


def put_off_s(process: Process, now: datetime) -> float:
    """Return how long nobody may ask on behalf of a failed process; 0 if anybody may."""
    failure = process.failure
    if failure is None or failure.retry_at is None:
        return 0.0
    return max(0.0, left_s(failure.retry_at, process.updated_at, now))


def check_page_size(page_size: int, options: Options) -> None:
    """Refuse a page size, or limits, that cannot work.

    Raises:
        ConfigurationError: One cannot; the message says what can.
    """
    check_limits(options)
    _check_pagination(options)
    is_peeked, most = _is_peeked(options), _page_size_max(options)
    least = 2 if options.termination == "short_page" else 1
    if not least <= page_size <= most:
        raise ConfigurationError(
            f"page size {page_size} cannot work: choose {least} to {most} (the source gives at most "
            f"{options.limit_max} rows for one request{', and one is the peek' if is_peeked else ''})"
        )


def best_page_size(said: Iterable[int | None], options: Options) -> int:
    """Return the records in a page where nobody asks for any number: what both sides say that they take."""
    sizes = [size for size in said if size is not None] or [PAGE_SIZE]
    return min(*sizes, _page_size_max(options))


def _page_size_max(options: Options) -> int:
    return options.limit_max - _is_peeked(options)


def _is_peeked(options: Options) -> bool:
    return options.termination == "peek" and options.pagination != "cursor"


def _check_pagination(options: Options) -> None:
    if options.pagination != "offset" and options.termination == "short_page":
        raise ConfigurationError(
            f"termination='short_page' goes with offsets, not with {options.pagination}s"
        )
    if options.pagination == "page" and options.limit_max < NUMBERED_LIMIT_MIN:
        raise ConfigurationError(
            f"limit_max={options.limit_max} cannot work: pages with numbers are asked for in sizes up to "
            f"{NUMBERED_LIMIT_MIN} or more, or rows that move could be lost"
        )

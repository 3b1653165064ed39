"""`syncfsm check`: what a sync would find and do, with nothing written anywhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import click
from msgspec import to_builtins

from syncfsm.cli.shared.beginning import beginning, beginning_options
from syncfsm.cli.shared.file_conflicts import check_sink_file
from syncfsm.cli.shared.options import sync_options
from syncfsm.cli.shared.output import FAILED, Command, print_json, say
from syncfsm.cli.shared.running import limits, make_engine, off_words, order_asked, sight_words
from syncfsm.cli.shared.settings import switched_off
from syncfsm.core.describe import duration, plural, since_words, time_words
from syncfsm.core.limits import LIMITS
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.core.value import Value
from syncfsm.engine.preflight import FirstPage, Looked, Preflight, preflight
from syncfsm.engine.width import requests_per_s
from syncfsm.errors import LogUnwritable
from syncfsm.log import open_dry_run
from syncfsm.log.dry_run import DryRunLog


class _Seen(Value, frozen=True):
    """What was looked at, and what is asked for beside it.

    Attributes:
        flight: What the preflight found.
        log: The log's file, whether it is there, and why it could not be written.
        cancels: The active process that `--fresh` would cancel.
        off: What switches the source off.
        page_size, order, options, reads_per_s: How a new sync would ask.
    """

    flight: Preflight
    log: str
    log_is_new: bool
    log_problem: str | None
    cancels: str | None
    off: str | None
    object: str
    page_size: int
    order: str
    options: Options
    reads_per_s: int | None

    @property
    def refusal(self) -> str | None:
        """Why a sync would not even begin."""
        return self.off or self.flight.refusal

    @property
    def problems(self) -> list[str]:
        """What a sync would fail on, in its words."""
        sides = (self.flight.source.problem, self.flight.sink.problem)
        found = [side.words + (_PASSING if side.is_passing else "") for side in sides if side]
        return [*found, *filter(None, [self.log_problem])]

    @property
    def could_start(self) -> bool:
        """Whether a sync could start."""
        return not self.refusal and not self.problems


_PASSING = " A sync would try again by itself."


@click.command(cls=Command)
@sync_options
@beginning_options
def check(*, log_path: str, as_json: bool, **asked: Any) -> None:
    """Say what a sync would find and do, and write nothing, anywhere.

    Takes the options of `sync`, so that its line can be tried as it is. The key, its scopes and the object
    are checked and the first page is asked for; sink and log are looked at and left as they are. Exit
    status 0 if a sync could start, 1 if not, in the words in which it would fail.

    \b
    syncfsm check --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    check_sink_file(asked["sink_url"], log_path)
    with open_dry_run(log_path) as log:
        seen = asyncio.run(_look(log, **asked))
    if as_json:
        print_json(_as_json(seen))
    else:
        _print(seen)
    sys.exit(0 if seen.could_start else FAILED)


async def _look(log: DryRunLog, **asked: Any) -> _Seen:
    async with make_engine(log, (), **asked) as engine:
        active = engine.active()
        options = limits(engine, None, asked["settings"]) or engine.source.options
        page_size = asked["page_size"] or engine.processes.best_page_size(options)
        wanted: Any = {"page_size": page_size, "order": order_asked(**asked)}
        begin = beginning(say=lambda _words: None, **asked)
        flight = await preflight(engine, begin, options=options, **wanted)
    by = switched_off(asked["source"])
    return _Seen(
        flight=flight,
        log=log.path,
        log_is_new=log.is_new,
        log_problem=_log_problem(log),
        cancels=active.id if active and asked["fresh"] else None,
        off=off_words(asked["source"], by) if by else None,
        object=engine.source.object,
        options=flight.process.options if flight.process else options,
        reads_per_s=requests_per_s(engine.source),
        **wanted,
    )


def _log_problem(log: DryRunLog) -> str | None:
    try:
        log.check_writable()
    except LogUnwritable as error:
        return str(error)
    return None


# ── for people ───────────────────────────────────────────────────────────────────────────────


def _print(seen: _Seen) -> None:
    flight = seen.flight
    say(f"{'a sync could start' if seen.could_start else 'a sync could not start'}: {_would(seen)}")
    say(f"  source  {_side(flight.source)}{_page_words(flight.first_page, seen.object)}")
    say(f"  sink    {_side(flight.sink)}")
    say(f"  log     {seen.log}{', not there yet: a sync makes it' if seen.log_is_new else ''}")
    say(f"  last    {_last_words(flight)}")
    if flight.shortfall:
        say(f"          {flight.shortfall}")
    say(f"  pages   {_pages_words(seen)}")
    say(f"  limits  {', '.join(_limits_words(seen.options))}")
    warning = sight_words(flight.process, flight.source.found)
    if warning:
        say(warning, err=True)
    for words in filter(None, [seen.refusal, *seen.problems]):
        say(f"error: {words}", err=True)


def _would(seen: _Seen) -> str:
    """Say what a sync would do, or that it would do nothing."""
    process = seen.flight.process
    if seen.off or process is None:
        return "it would be refused"
    if process.version > 1:
        where = f"at page {process.progress.pages + 1:,}, {process.page_size} records a page"
        return f"it would go on with process {process.id} {where}"
    if seen.cancels:
        return f"it would cancel process {seen.cancels}, which is active, and {_begin_words(process)}"
    return f"it would {_begin_words(process)}"


def _begin_words(process: Process) -> str:
    if process.since is None:
        return "begin anew"
    return f"begin an ongoing sync, {since_words(process.since, process.changed_by)}"


def _side(looked: Looked) -> str:
    if looked.problem is not None:
        return "not in order, see below"
    return "in order: " + ", ".join(
        value if key == "sink" else f"{key} {value}" for key, value in looked.found.items()
    )


def _page_words(page: FirstPage | None, object_: str) -> str:
    if page is None:
        return ""
    count = plural(page.rows, "record") if page.rows == 1 else f"{page.rows:,} {object_}"
    return f"; the first page shows {'at least ' if page.has_more else ''}{count}"


def _last_words(flight: Preflight) -> str:
    last = flight.last_completed
    if last is None:
        return "no sync into this sink was completed yet"
    seen = f", and has what was there at {time_words(last.watermark)}" if last.watermark else ""
    return f"process {last.process} was completed at {time_words(last.at)}{seen}"


def _pages_words(seen: _Seen) -> str:
    size = seen.flight.process.page_size if seen.flight.process else seen.page_size
    order = "by id" if seen.order == "id" else f"{seen.order} first"
    rate = f"; at most {seen.reads_per_s} requests a second" if seen.reads_per_s else ""
    return f"{plural(size, 'record')} each, {order}{rate}"


def _limits_words(options: Options) -> Iterator[str]:
    """Yield the limits, those first that were set."""
    plain = Options()
    for name in sorted(LIMITS, key=lambda name: getattr(options, name) == getattr(plain, name)):
        value = getattr(options, name)
        words = duration(value) if "_s_" in name else f"{value:,}"
        yield f"{name} {words}"


# ── for machines ─────────────────────────────────────────────────────────────────────────────


def _as_json(seen: _Seen) -> dict[str, Any]:
    flight = seen.flight
    return {
        "could_start": seen.could_start,
        "would": _verb(seen),
        "process": flight.process.id if flight.process and flight.process.version > 1 else None,
        "page": flight.process.progress.pages + 1 if flight.process else None,
        "cancels": seen.cancels,
        "refusal": seen.refusal,
        "problems": seen.problems,
        "source": to_builtins(flight.source),
        "sink": to_builtins(flight.sink),
        "first_page": to_builtins(flight.first_page),
        "log": {"path": seen.log, "is_new": seen.log_is_new},
        "last_completed": to_builtins(flight.last_completed),
        "shortfall": flight.shortfall,
        "page_size": flight.process.page_size if flight.process else seen.page_size,
        "order": seen.order,
        "requests_per_s_max": seen.reads_per_s,
        "limits": {name: getattr(seen.options, name) for name in LIMITS},
    }


def _verb(seen: _Seen) -> str:
    process: Process | None = seen.flight.process
    if seen.refusal or process is None:
        return "refuse"
    return "go on" if process.version > 1 else "begin"

"""Before a sync: what its checks would find and what it would do, with nothing written anywhere.

The source is checked and asked for its first page, the sink is looked at, and the very code that begins a
sync runs against a log that only rehearses (log/dry_run.py): so what a sync would refuse, and the words in
which it would fail, are the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Unpack

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.endpoints import emptied, moved, put_back
from syncfsm.core.failure import Failure
from syncfsm.core.process import Process, fold
from syncfsm.core.shortfall import shortfall_words
from syncfsm.core.starts import started
from syncfsm.core.value import Value
from syncfsm.engine.answers import fetched
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest, Wanted, requested
from syncfsm.errors import ActiveSync, ConfigurationError
from syncfsm.history.earlier import Earlier
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink, capabilities
from syncfsm.sources.protocol import Source, Transform, check_transform


class Problem(Value, frozen=True):
    """What would go wrong, in the words of the sync.

    Attributes:
        words: What happened and what to do.
        is_passing: Whether a sync would try again by itself.
    """

    words: str
    is_passing: bool


class Looked(Value, frozen=True):
    """What was found on one side, and what is wrong there; null if nothing is."""

    found: dict[str, str]
    problem: Problem | None = None


class FirstPage(Value, frozen=True):
    """The rows that the source gives for the first page, and whether there are more."""

    rows: int
    has_more: bool


class Completed(Value, frozen=True):
    """The last sync completed into this sink. `watermark` says what it has seen."""

    process: str
    at: datetime
    watermark: datetime | None


class Preflight(Value, frozen=True):
    """What a sync would find and do.

    Attributes:
        source: What the source's checks found: key, scopes, object, and that its first page can be read.
        sink: What there is in the sink.
        first_page: How many rows the first page shows; null if it could not be read.
        process: The process as the sync would begin it or go on with it; null if it would be refused.
        refusal: Why it would be refused.
        last_completed: The last sync that was completed into this sink, if any was.
        shortfall: Where that brought far fewer records than were there before, that it did; else empty.
    """

    source: Looked
    sink: Looked
    first_page: FirstPage | None
    process: Process | None
    refusal: str | None
    last_completed: Completed | None
    shortfall: str = ""

    @property
    def could_start(self) -> bool:
        """Whether a sync could start now, and meet no failure that it could tell beforehand."""
        return self.process is not None and self.source.problem is None and self.sink.problem is None


async def preflight(
    engine: Engine[Any],
    begin: Callable[[Engine[Any]], Process],
    request: SyncRequest | None = None,
    **wanted: Unpack[Wanted],
) -> Preflight:
    """Check everything that a sync checks before its first page, and the first page.

    Args:
        engine: With a `DryRunLog` as its log; it is not closed.
        begin: How the sync would begin, such as `Engine.take_up` with its arguments.
        request: What is wanted: see `SyncRequest`.
        wanted: The same by name.

    Raises:
        ConfigurationError: The page size or a limit cannot work.
    """
    asked, earlier = requested(request, wanted), Earlier(engine.log, engine.source)
    plain = started(
        source=engine.source.name,
        object_=engine.source.object,
        sink=engine.processes.sink_name,
        page_size=engine.processes.best_page_size(asked.options)
        if asked.page_size is None
        else asked.page_size,
        order=engine.processes.order_or_preferred(asked.order),
        options=asked.options or engine.source.options,
    )
    try:
        process, refusal = begin(engine), None
    except (ActiveSync, ConfigurationError) as error:
        process, refusal = None, str(error)
    rehearsed = _Rehearsed(engine.clock, process if process and process.version == 1 else plain)
    before = engine.log.last_found(engine.source.name, engine.processes.sink_name) or {}
    source, first_page = await rehearsed.look_at_source(engine.source, before, engine.transform)
    is_to_be_filled = process is not None and earlier.is_filled(process)
    sink = await rehearsed.look_at_sink(engine.sink, is_to_be_filled=is_to_be_filled)
    if sink.problem is None:
        sink = rehearsed.look_at_marks(engine.processes.marks, process, sink, is_to_be_filled=is_to_be_filled)
    return Preflight(
        source=source,
        sink=sink,
        first_page=first_page,
        process=process,
        refusal=refusal,
        last_completed=_last_completed(engine),
        shortfall=_shortfall(engine),
    )


class _Rehearsed:
    """A process as it begins, to hear from `decide` what outcomes would mean to a sync."""

    def __init__(self, clock: Clock, beginning: Process | e.SyncStarted) -> None:
        self._clock = clock
        self._process = beginning if isinstance(beginning, Process) else self._after(None, beginning)

    def _after(self, process: Process | None, event: e.Event) -> Process:
        version = process.version + 1 if process else 1
        recorded = e.Recorded(stream="preflight", version=version, at=self._clock.now(), event=event)
        after = fold(process, [recorded])
        assert after is not None, "an event leads to a state"
        return after

    async def look_at_source(
        self, source: Source, before: Mapping[str, str], transform: Transform[Any]
    ) -> tuple[Looked, FirstPage | None]:
        """Check the source, try look-ups, and ask for the first page: two requests more than the checks."""
        found = await source.check()
        if isinstance(found, Failure):
            return Looked(found={}, problem=self._problem(self._process, "check", found)), None
        failure = moved(source.name, self._process.sink, found=found, before=before)
        if failure is not None:
            return Looked(found=found, problem=self._problem(self._process, "check", failure)), None
        failure = await check_transform(transform, tries_look_ups=True)
        if failure is not None:
            return Looked(found=found, problem=self._problem(self._process, "check", failure)), None
        process = self._after(self._process, e.FetchingBegan(found=found))
        action = d.next_action(process)
        assert isinstance(action, d.FetchPage), "a sync begins with its first page"
        page = await source.fetch(action.request)
        if isinstance(page, Failure):
            return Looked(found=found, problem=self._problem(process, "fetch", page)), None
        (event,) = d.decide(process, fetched(action.request, page, elapsed_ms=0))
        if isinstance(event, e.PageFetched):
            return Looked(found=found), FirstPage(rows=event.count, has_more=event.has_more)
        assert isinstance(event, e.SyncFailed), "a first page is anchored"
        return Looked(found=found, problem=Problem(words=event.error, is_passing=False)), None

    async def look_at_sink(self, sink: Sink[Any], *, is_to_be_filled: bool) -> Looked:
        """Look at the sink, if it can be looked at without being touched."""
        able = capabilities(sink)
        if able.inspectable is None:
            return Looked(found={"sink": sink.name, "checks": "only when a sync begins"})
        found = await able.inspectable.inspect()
        if isinstance(found, Failure):
            return Looked(found={}, problem=self._problem(self._process, "check", found))
        if is_to_be_filled and able.emptiable is not None and await able.emptiable.is_empty():
            return Looked(found=found, problem=self._problem(self._process, "check", emptied(sink.name)))
        return Looked(found=found)

    def look_at_marks(
        self, marks: SinkMarks, process: Process | None, looked: Looked, *, is_to_be_filled: bool
    ) -> Looked:
        """Compare what a sink in order says of itself with the log."""
        state = marks.told()
        found = looked.found | ({"sink_state": state} if state else {})
        has_lost = process is not None and marks.has_lost(process, is_filled=is_to_be_filled)
        failure = marks.mixed_up() or (put_back(marks.name) if has_lost else None)
        return Looked(
            found=found, problem=self._problem(self._process, "check", failure) if failure else None
        )

    def _problem(self, process: Process, action: e.ActionName, failure: Failure) -> Problem:
        """Return what a sync would make of a failure."""
        outcome = d.Failed(action=action, failure=failure, at=self._clock.now(), chance=0.5)
        (event,) = d.decide(process, outcome)
        assert isinstance(event, e.SyncFailed | e.RetryScheduled), "a failure is the end, or tried again"
        return Problem(words=event.error, is_passing=isinstance(event, e.RetryScheduled))


def _last_completed(engine: Engine[Any]) -> Completed | None:
    last = engine.log.last_completed(engine.source.name, engine.source.object, engine.processes.sink_name)
    return Completed(process=last.id, at=last.updated_at, watermark=last.watermark) if last else None


def _shortfall(engine: Engine[Any]) -> str:
    last = engine.log.last_completed(engine.source.name, engine.source.object, engine.processes.sink_name)
    return shortfall_words(last) if last else ""

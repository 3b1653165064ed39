"""A captured process, run through again: the real engine, transform and sink, and no network.

What came the first time comes again, page by page, in the same order and at the same step back; so the same
contacts come out, unless the transform has changed meanwhile, which is what it is for. The transform is made
anew for each page: what it remembers of an earlier page, it may not have remembered the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from syncfsm.core import events as e
from syncfsm.core.capture import Captured
from syncfsm.core.failure import Failure
from syncfsm.core.marks import SINK_ID
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook
from syncfsm.engine.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink, capabilities
from syncfsm.sources.attio.captured import CapturedApi, Turn, is_page, turns_of
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Record, Transform, Transformed

T = TypeVar("T")

KIND = "captured"
"""What the log of a re-run calls its source, before the id of the first process."""


async def rerun(
    captured: EventLog,
    process_id: str,
    log: EventLog,
    sink: Sink[T],
    transform: Callable[[AttioSource], Transform[T]],
    *,
    options: Options | None = None,
    clock: Clock | None = None,
    hooks: Sequence[Hook] = (),
) -> Process:
    """Run a captured process through again, from its beginning; return the last state of the re-run.

    Args:
        captured: The log with the process and its captures.
        process_id: The process.
        log: Where the events of the re-run go. An unfinished re-run of the same process is cancelled.
        sink: Where the items go; closed at the end. Not the one of the process, which may hold newer items.
        transform: Makes the transform of a source.
        options: The limits of the re-run; those of the process if `None`.
        clock: Time; the machine's if `None`.
        hooks: Called after each event of the re-run.

    Raises:
        ConfigurationError: The process was not captured, or not all of it, or the sink is its own.
    """
    first = captured.load(process_id)
    marked = capabilities(sink).marked
    id_ = marked.sink_id() if marked else None
    if sink.name == first.sink or (id_ is not None and id_ == (first.found or {}).get(SINK_ID)):
        raise ConfigurationError(
            f"{sink.name} is the sink of process {first.id} and may hold newer records: name another"
        )
    api = _api(captured, first)
    source = AttioSource(KIND, first.object, api=api, options=first.options)
    source.name = f"{KIND}:{first.id}"
    async with Engine(
        log, source, sink, _Anew(source, transform), clock=clock, hooks=hooks, read_ahead=1
    ) as engine:
        active = engine.active()
        if active is not None:
            engine.cancel(active.id, by="rerun", why="run again from the beginning")
        process = engine.processes.begin_like(_started(captured, first), options or first.options)
        return await _run(engine, process, api)


async def _run(engine: Engine[T], process: Process, api: CapturedApi) -> Process:
    """Run to the end, and change the page size wherever the first process did."""
    process = await engine.run(process.id)
    while api.page_size is not None:
        page_size, api.page_size = api.page_size, None
        engine.resume(process.id, page_size=page_size, by="rerun", why="as the first process did")
        process = await engine.run(process.id)
    return process


class _Anew(Generic[T]):
    """Makes a new transform for each page."""

    def __init__(self, source: AttioSource, make: Callable[[AttioSource], Transform[T]]) -> None:
        self._source = source
        self._make = make

    async def __call__(self, records: Sequence[Record]) -> Transformed[T] | Failure:
        return await self._make(self._source)(records)


def _started(log: EventLog, process: Process) -> e.SyncStarted:
    started = next(log.read(process.id, until=1)).event
    assert isinstance(started, e.SyncStarted), "a stream begins with its start"
    return started


def _api(log: EventLog, process: Process) -> CapturedApi:
    captures = log.captures(process.id)
    versions = {capture.version for capture in captures if is_page(capture)}
    turns = turns_of(log.read(process.id), versions.__contains__)
    _check_complete(process, captures, [turn for turn in turns if not turn.page_size], versions)
    end = f"the captures end here: process {process.id} is {process.state} at version {process.version}"
    return CapturedApi(captures, log.exchange, turns, end)


def _check_complete(
    process: Process, captures: Sequence[Captured], pages: Sequence[Turn], versions: set[int]
) -> None:
    """Refuse a process of which something is missing: what came out would be some other process.

    Raises:
        ConfigurationError: Something is missing.
    """
    missing = [turn.version for turn in pages if turn.version not in versions]
    if not captures:
        raise ConfigurationError(
            f"process {process.id} has no captures, or they were forgotten: "
            "`syncfsm sync --capture` keeps what comes"
        )
    if missing:
        raise ConfigurationError(
            f"of process {process.id}, {len(missing)} of {len(pages)} pages were not captured, the first at "
            f"version {missing[0]}: capture it from its beginning to its end"
        )

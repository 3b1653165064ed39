"""The engine for scripts that have no event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar, Unpack

from syncfsm.core.process import Process
from syncfsm.engine.commit import Hook
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest, Wanted
from syncfsm.engine.width import ReadAheadMax
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.protocol import Source, Transform

T = TypeVar("T")


def sync(
    log: EventLog,
    source: Source,
    sink: Sink[T],
    transform: Transform[T],
    request: SyncRequest | None = None,
    *,
    hooks: Sequence[Hook] = (),
    read_ahead: ReadAheadMax = "auto",
    **wanted: Unpack[Wanted],
) -> Process:
    """Take up the unfinished sync or start a new one, run it to its end, and return its last state.

    Closes the source and the sink. See `Engine` for the arguments, `SyncRequest` for what can be wanted, and
    `Engine.sync` for the errors.
    """

    async def run() -> Process:
        async with Engine(log, source, sink, transform, hooks=hooks, read_ahead=read_ahead) as engine:
            return await engine.sync(request, **wanted)

    return asyncio.run(run())

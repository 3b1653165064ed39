"""The engine for scripts that have no event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.lifecycle import Hook
from syncfsm.engine.modes import SyncMode
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.protocol import Source, Transform

T = TypeVar("T")


def sync(
    log: EventLog,
    source: Source,
    sink: Sink[T],
    transform: Transform[T],
    *,
    mode: SyncMode = "initial",
    page_size: int = 50,
    order: Order | None = None,
    options: Options | None = None,
    deletes_missing: bool = False,
    hooks: Sequence[Hook] = (),
    read_ahead: int = 1,
) -> Process:
    """Take up the unfinished sync or start a new one, run it to its end, and return its last state.

    Closes the source and the sink. See `Engine` for the arguments and `Engine.sync` for the errors.
    """

    async def run() -> Process:
        async with Engine(log, source, sink, transform, hooks=hooks, read_ahead=read_ahead) as engine:
            return await engine.sync(
                mode=mode,
                page_size=page_size,
                order=order,
                options=options,
                deletes_missing=deletes_missing,
            )

    return asyncio.run(run())

"""Syncs with a failure planted in them: the real engine, client, sink and log, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from syncfsm.core.options import Options
from syncfsm.engine.engine import Engine
from syncfsm.log import open_log
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates, Faults, Strike
from syncfsm_simulator.stage.faulty_ports import FaultyLog, move_world
from syncfsm_simulator.stage.faulty_sink import faulty_sink
from syncfsm_simulator.stage.network import FaultyTransport
from syncfsm_simulator.stage.port import Alone, Crash
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

URL = "http://127.0.0.1:8787"
CHECKS = 2
"""Requests before the first page: the key, the object. Page n is then request n + 1, companies left out."""


def strikes(kind: str, at: int, failures: int = 1) -> list[Strike]:
    """Return so many strikes of a kind at visits in a row."""
    return [Strike(kind=kind, at=at + index) for index in range(failures)]


def planted(folder: Path, script: Sequence[Strike] = (), **asked: Any) -> str:
    """Run one engine, once, until the sync is over, fails or dies; return the path of its log.

    Args:
        folder: Where `sync.db` and `contacts.db` go.
        script: What goes wrong.
        **asked: `object_`, `options`, `sync` (arguments of `Engine.sync`), `pages_of_disk` (of contacts.db,
            after the checks), and settings of the fake Attio. Pages have 50 records, one request after the
            other.
    """
    path = str(folder / "sync.db")
    run_virtual(_run(path, folder / "contacts.db", script, **asked))
    return path


async def _run(
    path: str,
    contacts: Path,
    script: Sequence[Strike],
    *,
    object_: str = "people",
    options: Options | None = None,
    sync: dict[str, Any] | None = None,
    pages_of_disk: int | None = None,
    **settings: Any,
) -> None:
    clock = VirtualClock()
    faults = Faults(1, FaultRates(), ChangeRates(), script)
    world = World(1, people=1000, now=EPOCH)
    sink = SqliteSink(str(contacts), clock=clock)
    with open_log(path) as log:
        changes = Changes(world, clock, peek=lambda: _peek(log), page_size=50)
        transport = FaultyTransport(
            httpx.ASGITransport(FakeAttio(world, clock, **settings)),
            faults,
            clock,
            latency_ms=(100, 300),
            before_request=partial(move_world, changes, faults),
            beside=Alone(),
        )
        source = AttioSource(
            "key", object_, base_url=URL, clock=clock, transport=transport, options=options or Options()
        )
        faulty = faulty_sink(sink, faults, Alone())
        faulty.name = "sqlite:contacts.db"
        engine = Engine(
            FaultyLog(log, faults, lambda _: None),
            source,
            faulty,
            AttioPeople(source, companies=False),
            clock=clock,
            read_ahead=1,
        )  # type: ignore[arg-type]
        if pages_of_disk is not None:
            await sink.check()
            sink.connection().execute(f"PRAGMA max_page_count = {pages_of_disk}")
        with suppress(Crash):
            await engine.sync(**{"page_size": 50, **(sync or {})})
        await source.aclose()
    await sink.aclose()


def _peek(log: Any) -> str | None:
    process = log.active(f"attio:{URL}", "people")
    return process.paging.peek if process else None


UNREADABLE: Any = msgspec.Raw(b'[{"value": "\xff"}]')
"""Values of an attribute that make a record none that can be read: a byte in it is no text."""

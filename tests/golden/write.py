"""Writes a golden log: `python -m tests.golden.write schema-3`, once for each new schema, before its release.

A golden log holds every type of event, and processes left in every state. It is kept as the SQL that SQLite
dumps. It is what the code of its time wrote, so it is never written anew.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.engine.commit import cancel
from syncfsm.engine.engine import Engine
from syncfsm.files.sqlite import LOG_APPLICATION_ID
from syncfsm.log import EventLog, open_log
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.scenario import load_scenario
from tests.crm import Book, Desk
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items

SEED = 9
"""A seed of the hostile scenario whose small sync holds much of what goes wrong.

Another seed would be another workspace, which no sync in the same log may go on with.
"""


def main(name: str) -> None:
    """Write the log of a hostile simulation, and of processes left in every state."""
    target = Path(__file__).parent / f"{name}.sql"
    if target.exists():
        sys.exit(f"{target.name} is there already, and a golden log is never written anew")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.db"
        with open_log(path) as log:
            assert not simulate(load_scenario("hostile"), SEED, log).violations
            asyncio.run(_leave_in_every_state(log))
        with sqlite3.connect(path) as connection:
            dump = "\n".join(connection.iterdump())
    target.write_text(f"PRAGMA application_id = {LOG_APPLICATION_ID};\n{dump}\n", encoding="utf-8")


async def _leave_in_every_state(log: EventLog) -> None:
    """Leave processes initializing, fetching, failed, resumed, cancelled, and retrying their rejects."""
    _engine(log, "initializing").start(page_size=10)
    fetching = _engine(log, "fetching")
    process = fetching.start(page_size=10)
    for _ in range(3):
        process = await fetching.step(process.id)
    failed = _engine(log, "failed", Failure(kind=FailureKind.UNAUTHORIZED, message="the key is wrong."))
    process = await failed.sync(page_size=10)
    resumed = _engine(log, "resumed", Failure(kind=FailureKind.UNAUTHORIZED, message="the key is wrong."))
    await resumed.sync(page_size=10)
    await resumed.sync(page_size=7)
    cancelled = _engine(log, "cancelled")
    cancel(log, cancelled.start(page_size=10).id, by="golden", why="to have one")
    rejected = _engine(log, "rejected", refused={"r00003", "r00017"})
    await rejected.sync(page_size=10)
    retry = rejected.retry_rejects()
    assert retry is not None, "two were refused"
    await rejected.run(retry.id)
    missing = _engine(log, "missing", sink=Book())
    assert isinstance(missing.source, ListSource), "it was made so"
    await missing.sync(page_size=10)
    del missing.source.records[::20]
    await missing.sync(page_size=10, deletes_missing=True)
    await _find_nothing_new(Desk(log))


async def _find_nothing_new(desk: Desk) -> None:
    """Leave an ongoing sync that brought somebody, and one behind it that found nothing new."""
    desk.crm.create()
    await desk.engine().sync(page_size=10)
    desk.crm.create()
    for _ in range(3):  # whom one brings, the next asks for again: they lie within the overlap
        await desk.engine().sync(mode="ongoing", page_size=10)
        desk.clock.at += timedelta(hours=2)


def _engine(
    log: EventLog,
    name: str,
    failure: Failure | None = None,
    refused: set[str] | None = None,
    sink: DictSink | None = None,
) -> Engine[Item]:
    """Return an engine for 45 records of a source of that name."""
    clock = TestClock()
    source = ListSource(clock, 45)
    source.name, source.kind = name, ""  # which is what its items call it
    source.check_failures = [failure] if failure else []
    sink = sink or DictSink()
    sink.refused = refused or set()
    return Engine(log, source, sink, to_items, clock=clock, rng=random.Random(name))


if __name__ == "__main__":
    main(sys.argv[1])

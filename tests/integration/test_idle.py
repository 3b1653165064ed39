"""What an ongoing sync costs that finds nothing new: little room, and the sink keeps up with the log."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.sinks import open_sink
from syncfsm.sources.protocol import Record, Transformed
from tests.crm import Crm
from tests.fakes import TestClock

BYTES_MAX = 1024
TURNS = 300


class Office:
    """A CRM, and one engine that brings what is new in it into a file, again and again."""

    def __init__(self, log: EventLog, folder: Path) -> None:
        async def to_contacts(records: Sequence[Record]) -> Transformed[Contact]:
            items = tuple(Contact(external_id=record.id, source="crm") for record in records)
            return Transformed(items=items)

        self.clock = TestClock()
        self.crm = Crm(self.clock)
        self.crm.name = "attio:2d1e7e0e-0b5c-4a5e-9f0e-5f1d6f0b7a11"
        self.sink = open_sink(f"sqlite:{folder / 'contacts.db'}")
        rng = random.Random(1)
        self.engine = Engine(log, self.crm, self.sink, to_contacts, clock=self.clock, rng=rng)

    async def turns(self, count: int) -> Process:
        for _ in range(count):
            self.clock.at += timedelta(minutes=6)
            process = await self.engine.sync(mode="ongoing", page_size=50)
        return process


def used_bytes(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    connection.close()
    return int((pages - free) * size)


def test_a_turn_that_finds_nothing_new_takes_less_than_a_kilobyte_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "sync.db"

    async def main() -> int:
        await office.turns(3)
        before = used_bytes(path)
        await office.turns(TURNS)
        await office.engine.aclose()
        return used_bytes(path) - before

    with open_log(path) as log:
        office = Office(log, tmp_path)
        office.crm.create()
        grown = asyncio.run(main())
        assert len(log.ids()) == TURNS + 3
        assert verify(log)[1] == []
    assert grown / TURNS < BYTES_MAX


def test_the_mark_of_the_sink_keeps_up_so_that_no_turn_looks_further_back_than_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        process = await office.turns(4)
        (mark,) = office.engine.processes.marks.all
        assert (mark.process, mark.watermark) == (process.id, process.watermark)
        assert office.engine.last_sync_time() == process.watermark
        looked: list[int] = []
        moved_since = log.moved_since

        def counting(*route: str, position: int) -> list[Process]:
            found = list(moved_since(*route, position=position))
            looked.append(len(found))
            return found

        monkeypatch.setattr(log, "moved_since", counting)
        process = await office.turns(5)
        assert looked
        assert max(looked) <= 2
        office.crm.create()
        process = await office.turns(1)
        assert process.progress.created == 1
        await office.engine.aclose()

    with open_log(tmp_path / "sync.db") as log:
        office = Office(log, tmp_path)
        office.crm.create()
        asyncio.run(main())

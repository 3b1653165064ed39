"""Two accounts in one log and one sink: each has its own processes, marks and items, whatever their ids."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.errors import ActiveSync
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.log.transfer.exporting import Export
from syncfsm.log.transfer.redact import KEY_BYTES, Redaction
from syncfsm.sinks import Sink, open_sink
from syncfsm.sources.attio import AttioPeople, AttioSource
from syncfsm.sources.axiscare import AxisCareClients, AxisCareSource
from syncfsm.sources.numbered import NumberedSource
from syncfsm.sources.protocol import Record, Transformed
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.axiscare import FakeAxisCare
from syncfsm_simulator.fakes.numbered import API, FakeNumbered
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World
from tests.quo import Quo

SINKS = ("sqlite", "jsonl", "quo")


class Office:
    """A log and a sink, and accounts of AxisCare, whose clients have numbers: 1, 2, 3 in every agency."""

    def __init__(self, log: EventLog, sink: str, path: Path) -> None:
        self.log = log
        self.path = path
        self.clock = VirtualClock()
        self._sink = sink
        self._quo = Quo(self.clock)
        self.worlds: dict[str, World] = {}

    def people(self, account: str, count: int) -> None:
        """Let an account have so many people."""
        self.worlds[account] = World(7, people=count, now=EPOCH)

    def sink(self, account: str) -> Sink[Contact]:
        if self._sink == "quo":
            return self._quo.sink(source=f"axiscare@{account}" if account else "axiscare")
        return open_sink(f"{self._sink}:{self.path}")

    def engine(self, account: str) -> Engine[Contact]:
        source = AxisCareSource(
            "an-agencys-key",
            base_url="https://agency.axiscare.test",
            account=account,
            clock=self.clock,
            transport=httpx.ASGITransport(FakeAxisCare(self.worlds[account])),
        )
        sink = self.sink(account)
        return Engine(self.log, source, sink, AxisCareClients(source), clock=self.clock)

    def sync(self, *accounts: str, **asked: Any) -> list[Process]:
        """Sync accounts, all at once."""

        async def one(account: str) -> Process:
            async with self.engine(account) as engine:
                return await engine.sync(page_size=7, order="id", **asked)

        async def main() -> list[Process]:
            return await asyncio.gather(*map(one, accounts))

        return run_virtual(main())

    def start(self, account: str) -> None:
        """Record the start of a sync, as somebody does who is then killed."""

        async def main() -> None:
            self.engine(account).start()

        run_virtual(main())

    @property
    def held(self) -> list[tuple[str, str]]:
        """What the sink has: sources and ids."""
        if self._sink == "quo":
            return sorted((contact.source, contact.external_id) for contact in self._quo.stored())
        if self._sink == "jsonl":
            lines = map(msgspec.json.decode, self.path.read_bytes().splitlines())
            return sorted((line["source"], line["external_id"]) for line in lines if "external_id" in line)
        with closing(sqlite3.connect(self.path)) as connection:
            return sorted(
                connection.execute("SELECT source, external_id FROM contacts WHERE deleted_at IS NULL")
            )

    def of(self, account: str) -> set[str]:
        return {
            id_ for source, id_ in self.held if source == (f"axiscare@{account}" if account else "axiscare")
        }


@pytest.fixture(params=SINKS)
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    with open_log(tmp_path / "sync.db") as log:
        office = Office(log, request.param, tmp_path / "contacts")
        office.people("acme", 30)
        office.people("globex", 30)
        yield office


def test_two_accounts_whose_ids_are_the_same_have_their_own_contacts(office: Office) -> None:
    for account in ("acme", "globex"):
        (process,) = office.sync(account)
        assert process.state is State.COMPLETED
        assert process.source == f"axiscare@{account}:https://agency.axiscare.test"
    assert office.of("acme") == office.of("globex") != set()
    assert len(office.held) == 2 * len(office.of("acme"))


def test_what_one_account_has_no_more_is_deleted_of_that_one_alone(office: Office) -> None:
    office.sync("acme")
    office.sync("globex")
    all_of_them = office.of("globex")
    office.people("acme", 27)
    (process,) = office.sync("acme", deletes_missing=True)
    assert process.state is State.COMPLETED
    assert process.progress.missing > 0
    assert office.of("acme") < all_of_them
    assert office.of("globex") == all_of_them


def test_what_a_sync_without_an_account_brought_is_no_accounts_and_stays(office: Office) -> None:
    office.people("", 30)
    office.sync("")
    office.sync("acme")
    before = office.of("")
    office.people("acme", 27)
    office.sync("acme", deletes_missing=True)
    assert office.of("acme") < before
    assert office.of("") == before != set()


def test_two_accounts_are_active_at_once_and_one_is_not_twice(tmp_path: Path) -> None:
    with open_log(tmp_path / "sync.db") as log:
        office = Office(log, "sqlite", tmp_path / "contacts")
        for account in ("acme", "globex"):
            office.people(account, 10)
            office.start(account)
        with pytest.raises(ActiveSync):
            office.start("acme")
        done = office.sync("acme", "globex")
    assert [process.state for process in done] == [State.COMPLETED] * 2
    assert len({process.id for process in done}) == 2


def test_two_accounts_at_once_in_one_sink_lose_nothing(office: Office) -> None:
    done = office.sync("acme", "globex")
    for process in done:  # a file that one of them holds is waited for
        assert process.state is State.COMPLETED, process.failure
    assert office.of("acme") == office.of("globex") != set()


def test_records_with_numbers_for_ids_live_side_by_side(tmp_path: Path) -> None:
    async def of(account: str, log: EventLog) -> Process:
        source = NumberedSource(
            API,
            "key",
            base_url="http://numbered.test",
            account=account,
            clock=VirtualClock(),
            transport=httpx.ASGITransport(FakeNumbered(World(1, people=30, now=EPOCH))),
        )

        async def to_contacts(records: Sequence[Record]) -> Transformed[Contact]:
            made = (Contact(external_id=record.id, source=source.kind) for record in records)
            return Transformed(items=tuple(made))

        sink = open_sink(f"sqlite:{tmp_path / 'contacts.db'}")
        async with Engine(log, source, sink, to_contacts, clock=VirtualClock()) as engine:
            return await engine.sync()

    with open_log(":memory:") as log:
        for account in ("acme", "globex"):
            assert run_virtual(of(account, log)).progress.created == 30


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def attio(log: EventLog, path: Path, account: str, world: World) -> Process:
    async def main() -> Process:
        transport = httpx.ASGITransport(FakeAttio(world, VirtualClock()))  # type: ignore[arg-type]
        source = AttioSource("key", account=account, clock=VirtualClock(), transport=transport)
        sink = open_sink(f"sqlite:{path}")
        async with Engine(log, source, sink, AttioPeople(source), clock=VirtualClock()) as engine:
            return await engine.sync()

    return run_virtual(main())


def test_without_an_account_everything_is_called_what_it_was(tmp_path: Path) -> None:
    world = World(1, people=5, now=EPOCH)
    with open_log(":memory:") as log:
        assert attio(log, tmp_path / "contacts.db", "", world).source == "attio"
    with closing(sqlite3.connect(tmp_path / "contacts.db")) as connection:
        assert connection.execute("SELECT DISTINCT source FROM contacts").fetchall() == [("attio",)]


def test_a_redacted_export_keeps_accounts_apart_and_names_none(tmp_path: Path) -> None:
    world = World(1, people=5, now=EPOCH)
    with open_log(tmp_path / "sync.db") as log:
        for account in ("acme", "globex", ""):
            attio(log, tmp_path / f"{account or 'plain'}.db", account, world)
        text = "".join(map(str, Export(log, redaction=Redaction(b"k" * KEY_BYTES)).lines()))  # type: ignore[arg-type]
    assert "acme" not in text
    assert "globex" not in text
    assert text.count("attio@account-") > 0

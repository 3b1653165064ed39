"""A captured sync, run through again without a network: the same contacts, whatever went on before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from syncfsm.core.deliveries import deliveries
from syncfsm.core.failure import Failure
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.rerun import rerun
from syncfsm.errors import ConfigurationError, LogUnwritable
from syncfsm.history.rejects import rejects_of
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Record, Transformed
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.workspace import Workspace
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.effort import tries
from tests.fakes import ListSource, TestClock, to_items
from tests.planted import UNREADABLE

BASE_URL = "http://attio.test"


class Kept:
    """Contacts in memory, with every page as it came."""

    def __init__(self, name: str = "kept") -> None:
        self.name = name
        self.contacts: dict[str, Contact] = {}
        self.pages: list[tuple[Contact, ...]] = []

    async def check(self) -> dict[str, str] | Failure:
        return {"sink": self.name}

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        known = self.contacts.copy()
        self.contacts.update((item.external_id, item) for item in items)
        self.pages.append(tuple(items))
        created = sum(item.external_id not in known for item in items)
        unchanged = sum(known.get(item.external_id) == item for item in items)
        return UpsertResult(created=created, updated=len(items) - created - unchanged, unchanged=unchanged)

    async def finish(self) -> Failure | None:
        return None

    async def aclose(self) -> None:
        pass


class Bench:
    """A fake Attio, a log, and engines over them."""

    def __init__(self, log: EventLog, people: int = 160) -> None:
        self.log = log
        self.clock = TestClock()
        self.world = World(1, people=people, now=EPOCH)
        self.fake = FakeAttio(self.world, self.clock)
        self.sink = Kept()
        self.rng = random.Random(1)

    def engine(self, *, capture: bool = True) -> Engine[Contact]:
        transport = httpx.ASGITransport(self.fake)
        source = AttioSource("key", base_url=BASE_URL, clock=self.clock, transport=transport)
        return Engine(
            self.log,
            source,
            self.sink,
            AttioPeople(source),
            clock=self.clock,
            rng=self.rng,
            capture=capture,
            read_ahead=1,
        )

    def sync(self, *, capture: bool = True, page_size: int = 50) -> Process:
        return asyncio.run(self.engine(capture=capture).sync(page_size=page_size))

    def again(self, process: Process, sink: Kept, **asked: Any) -> Process:
        with open_log(":memory:") as log:
            return asyncio.run(rerun(self.log, process.id, log, sink, AttioPeople, clock=self.clock, **asked))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_log(tmp_path / "log.db") as log:
        yield Bench(log)


def rows(log: EventLog) -> list[Any]:
    return list(log.stored_events())


def test_a_rerun_brings_the_same_contacts_page_by_page_without_the_network(bench: Bench) -> None:
    process = bench.sync()
    asked, again = sum(bench.fake.requests.values()), Kept("again")
    done = bench.again(process, again)
    assert (done.state, done.progress.totals) == (State.COMPLETED, process.progress.totals)
    assert again.pages == bench.sink.pages
    assert any(contact.company for contact in again.contacts.values())
    assert sum(bench.fake.requests.values()) == asked
    assert done.watermark == process.watermark


def test_the_events_are_the_same_byte_for_byte_with_and_without_capture() -> None:
    logs = []
    for capture in (False, True):
        with open_log(":memory:") as log:
            bench = Bench(log)
            bench.sync(capture=capture)
            logs.append(rows(log))
            assert bool(log.capture_counts()) is capture
    assert logs[0] == logs[1]


@pytest.mark.parametrize("seed", range(1, tries(7, 49)))
def test_a_rerun_is_the_same_under_crashes_moving_rows_and_step_backs(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = Engine.__init__

    def capturing(engine: Engine[Any], *args: Any, **named: Any) -> None:
        init(engine, *args, **named, capture=True)

    scenario = Scenario(
        seed=seed,
        people=400,
        page_size=20,
        faults=FaultRates(crash=0.05, unavailable=0.05, network=0.05, body=0.05, sink=0.05, disk=0.03),
        changes=ChangeRates(created=1, deleted=4, updated=2, page_deleted=0.1, peek_deleted=0.1),
    )
    with Workspace(scenario) as workspace:
        first = Kept()
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "__init__", capturing)
            process = workspace.sync(first)
        assert process.state is State.COMPLETED
        again = Kept("again")
        with open_log(":memory:") as log:
            done = asyncio.run(rerun(workspace.log, process.id, log, again, AttioPeople))
        delivered = {record_id for record_id, _ in deliveries(workspace.log.read(process.id))}
        refused = {reject.record_id for reject in rejects_of(workspace.log, process)}
    assert done.state is State.COMPLETED
    # What the sink took before a crash, and the source had no more after it, the log calls undelivered.
    assert again.contacts.keys() - refused == delivered
    assert {key: again.contacts[key] for key in delivered} == {key: first.contacts[key] for key in delivered}


def test_the_runs_that_are_tried_do_step_back() -> None:
    """What the test above relies on: the same scenario, without the capture."""
    changes = ChangeRates(created=1, deleted=4, updated=2, page_deleted=0.1, peek_deleted=0.1)
    with Workspace(Scenario(seed=1, people=400, page_size=20, faults=FaultRates(), changes=changes)) as space:
        assert space.sync(Kept()).progress.shifts > 0


def test_a_company_that_was_renamed_midway_is_named_as_it_was_for_each_page(bench: Bench) -> None:
    process = bench.engine().start(page_size=20)
    while process.is_active:  # a new engine for each page, so that nobody remembers a name
        process = asyncio.run(bench.engine().step(process.id))
        for company in bench.world.entities("companies").values():
            company.set("name", [{"active_until": None, "value": f"Name {process.version}"}])
    again = Kept("again")
    bench.again(process, again)
    assert again.pages == bench.sink.pages
    assert len({contact.company for contact in again.contacts.values()}) > 4


def test_a_process_that_went_on_with_another_page_size_is_run_again_like_that(bench: Bench) -> None:
    bad = list(bench.world.entities("people").values())[:60]
    for person in bad:
        person.set("job_title", UNREADABLE)
    failed = bench.sync(page_size=40)
    assert failed.state is State.FAILED
    for person in bad:
        person.set("job_title", [])
    process = bench.sync(page_size=15)
    again = Kept("again")
    done = bench.again(process, again, options=Options(reject_ratio_max=1.0))
    assert (done.state, process.state, process.id) == (State.COMPLETED, State.COMPLETED, failed.id)
    assert again.contacts == bench.sink.contacts
    assert done.page_size == 15


def test_another_transform_gets_exactly_what_came(bench: Bench) -> None:
    class Titles:
        def __init__(self, _source: AttioSource) -> None:
            pass

        async def __call__(self, records: Sequence[Record]) -> Transformed[Contact]:
            seen.update((record.id, record.raw) for record in records)
            return Transformed(
                items=tuple(Contact(external_id=record.id, source="attio") for record in records)
            )

    seen: dict[str, bytes] = {}
    process = bench.sync()
    with open_log(":memory:") as log:
        asyncio.run(rerun(bench.log, process.id, log, Kept("again"), Titles))
    ids = bench.world.ids_of("people")
    assert seen == {
        person.record_id: person.encoded(ids) for person in bench.world.entities("people").values()
    }


def test_a_sync_that_failed_is_run_again_as_far_as_it_came(bench: Bench) -> None:
    for person in list(bench.world.entities("people").values())[::4]:
        person.set("job_title", UNREADABLE)
    process = bench.sync(page_size=30)
    done = bench.again(process, Kept("again"))
    assert (done.state, done.progress.rejected) == (State.FAILED, process.progress.rejected)
    lenient = bench.again(process, Kept("again"), options=Options(reject_ratio_max=1.0))
    assert lenient.failure is not None
    assert f"the captures end here: process {process.id} is FAILED" in lenient.failure.error
    assert lenient.progress.pages == process.progress.pages


def test_a_retry_of_rejects_is_run_again_too(bench: Bench) -> None:
    bad = list(bench.world.entities("people").values())[:3]
    for person in bad:
        person.set("job_title", UNREADABLE)
    bench.sync()
    for person in bad:
        person.set("job_title", [])
    engine = bench.engine()
    retry = engine.retry_rejects()
    assert retry is not None
    done = asyncio.run(engine.run(retry.id))
    again = Kept("again")
    assert bench.again(done, again).state is State.COMPLETED
    assert again.contacts.keys() == {person.record_id for person in bad}


def test_what_was_not_captured_from_the_beginning_is_refused_and_says_why(bench: Bench) -> None:
    process = bench.engine(capture=False).start(page_size=50)
    for capture in (False, False, False, True, True, True):
        process = asyncio.run(bench.engine(capture=capture).step(process.id))
    with pytest.raises(ConfigurationError, match=r"2 of 4 pages were not captured, the first at version 3"):
        bench.again(process, Kept("again"))
    plain = bench.sync(capture=False)
    with pytest.raises(ConfigurationError, match="has no captures"):
        bench.again(plain, Kept("again"))


def test_the_sink_of_the_process_itself_is_refused(bench: Bench) -> None:
    process = bench.sync()
    with pytest.raises(ConfigurationError, match="may hold newer records: name another"):
        bench.again(process, Kept())


def test_names_of_companies_that_were_not_looked_up_are_not_made_up(bench: Bench) -> None:
    engine = bench.engine()
    engine._performer._delivery._transform = AttioPeople(engine.source, companies=False)  # type: ignore[arg-type]
    process = asyncio.run(engine.sync())
    done = bench.again(process, Kept("again"))
    assert done.failure is not None
    assert "give --no-companies here too" in done.failure.error


def test_a_source_that_cannot_be_captured_says_so(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="the source list cannot be captured"):
        Engine(bench.log, ListSource(bench.clock, 1), bench.sink, to_items, capture=True)  # type: ignore[arg-type]


def test_no_event_is_there_without_what_led_to_it_when_the_disk_is_full(bench: Bench) -> None:
    connection = bench.log._connection  # type: ignore[attr-defined]
    process = bench.engine().start(page_size=50)
    for _ in range(2):
        process = asyncio.run(bench.engine().step(process.id))
    (used,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {used + 1}")
    engine = bench.engine()
    with pytest.raises(LogUnwritable, match="the disk is full; make room"):
        asyncio.run(engine.step(process.id))
    assert bench.log.version(process.id) == process.version
    assert max(capture.version for capture in bench.log.captures(process.id)) <= process.version
    connection.execute("PRAGMA max_page_count = 1000000")
    done = asyncio.run(engine.run(process.id))
    again = Kept("again")
    bench.again(done, again)
    assert again.contacts == bench.sink.contacts


def test_what_is_kept_is_the_raw_answer_compressed(bench: Bench) -> None:
    process = bench.sync()
    pages = [capture for capture in bench.log.captures(process.id) if '"offset"' in capture.request]
    bodies = [bench.log.exchange(capture.id).body for capture in pages]
    ids = bench.world.ids_of("people")
    rows = [bytes(row) for row in msgspec.json.decode(bodies[0], type=dict[str, list[msgspec.Raw]])["data"]]
    people = bench.world.entities("people")
    assert set(rows) <= {person.encoded(ids) for person in people.values()}
    assert len(rows) == 51
    stored = bench.log._connection.execute("SELECT sum(length(body)) FROM captures")  # type: ignore[attr-defined]
    assert stored.fetchone()[0] < sum(map(len, bodies)) / 4

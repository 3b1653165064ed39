"""The table of faults: every kind does something at its port, and none changes what another does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from syncfsm.core.failure import Failure
from syncfsm.core.paging.place import Reject
from syncfsm.sinks.protocol import Capabilities, UpsertResult, capabilities
from syncfsm_simulator.stage.backup import Backup
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.effects.logs import APPEND
from syncfsm_simulator.stage.effects.mistakes import TRANSFORM
from syncfsm_simulator.stage.effects.moves import WORLD, created
from syncfsm_simulator.stage.effects.pages import ATTRIBUTES, PAGE, row_twice
from syncfsm_simulator.stage.effects.requests import REQUEST
from syncfsm_simulator.stage.effects.sinks import LOCKED, REFUSED, UPSERT, with_refused
from syncfsm_simulator.stage.effects.sleeps import SLEEP
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates, Faults, Strike, no_faults
from syncfsm_simulator.stage.faulty_ports import FaultyClock, FaultyLog, move_world
from syncfsm_simulator.stage.faulty_sink import faulty_sink
from syncfsm_simulator.stage.network import FaultyTransport
from syncfsm_simulator.stage.port import Crash, Fault, FaultTable, crash, fault
from syncfsm_simulator.stage.scenario import concrete, load_scenario
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

Story = list[object]
"""All that can be seen of what was done at a port."""


def struck_by(kind: str) -> Faults:
    return Faults(1, FaultRates(), ChangeRates(), [Strike(kind=kind, at=0)])


class Copies(Backup):
    """Copies of a sink, which are written down too."""

    def __init__(self, story: Story) -> None:
        super().__init__(None)
        self.story = story

    def make(self) -> None:
        self.story.append("the sink is copied")

    def put_back(self) -> bool:
        self.story.append("the copy is put back")
        return True

    async def lose(self) -> bool:
        self.story.append("the sink is lost")
        return True


class Told:
    """Everything around a port, which writes down what is asked of it."""

    def __init__(self) -> None:
        self.story: Story = []
        self.backup = Copies(self.story)
        self.clock = VirtualClock()
        self.items = [{"external_id": f"p{number}"} for number in range(3)]
        self.name = "told"

    async def another_step(self) -> None:
        self.story.append("another step")

    async def cancel(self) -> None:
        self.story.append("cancelled")

    def jump(self, by_s: float) -> None:
        self.story.append(f"the clock jumps by {by_s}")

    def append(self, events: Sequence[Any], **_: Any) -> None:
        self.story.append(f"{len(events)} events are written")

    async def upsert(self, items: Sequence[Any]) -> UpsertResult | Failure:
        self.story.append(f"{len(items)} items are taken")
        return UpsertResult(created=len(items))

    def receive(self, _: Any) -> bool:
        self.story.append("a notice is put into the inbox")
        return True

    def clear_inbox(self, _: Any) -> int:
        self.story.append("the inbox is cleared")
        return 2

    def forget(self, **_: Any) -> str:
        self.story.append("captures are forgotten")
        return "forgotten"

    async def delete(self, _: str, record_ids: Sequence[str]) -> int | Failure:
        self.story.append(f"{len(record_ids)} items are deleted")
        return len(record_ids)

    async def known(self, _: str) -> frozenset[str] | Failure:
        self.story.append("it is told what is there")
        return frozenset({"p1"})

    async def served(self, _: httpx.Request) -> httpx.Response:
        self.story.append("the server works")
        values = {slug: [{"value": 1}] for slug in ATTRIBUTES}
        rows = [{"id": {"record_id": f"p{number}"}, "values": values} for number in range(5)]
        return httpx.Response(200, json={"data": rows})

    @contextmanager
    def end(self) -> Iterator[None]:
        """Write down how it ends, and when."""
        try:
            yield
        except (Crash, Exception) as error:  # noqa: BLE001 - it is what is looked for
            self.story.append(repr(error))
        self.story.append(self.clock.now())


async def asks(told: Told, faults: Faults, path: str = "people/records/query") -> None:
    transport = FaultyTransport(
        httpx.MockTransport(told.served),
        faults,
        told.clock,
        latency_ms=(10, 20),
        before_request=lambda: None,
        beside=told,
    )
    async with httpx.AsyncClient(transport=transport) as client:
        url = f"http://told/v2/objects/{path}"
        answer = await client.post(url, json={"limit": 5}, headers={"Authorization": "Bearer key"})
    told.story += [answer.status_code, sorted(answer.headers.items()), answer.content]


async def delivers(told: Told, faults: Faults) -> None:
    sink = faulty_sink(told, faults, told)
    told.story += [await sink.upsert(told.items), sorted(sink.refused)]


async def deletes(told: Told, faults: Faults) -> None:
    told.story.append(await faulty_sink(told, faults, told).delete("attio", ["p1", "p2"]))


async def lists(told: Told, faults: Faults) -> None:
    told.story.append(await faulty_sink(told, faults, told).known("attio"))


async def receives(told: Told, faults: Faults) -> None:
    told.story.append(FaultyLog(told, faults, told.story.append).receive("a notice"))


async def clears(told: Told, faults: Faults) -> None:
    log = FaultyLog(told, faults, told.story.append)
    told.story += [log.clear_inbox(EPOCH), log.forget(before=EPOCH)]


async def writes(told: Told, faults: Faults) -> None:
    log = FaultyLog(told, faults, told.story.append)
    log.append(["an event"], expected_version=0, after=None)


async def sleeps(told: Told, faults: Faults) -> None:
    await FaultyClock(told.clock, faults).sleep(10.0)


async def moves(told: Told, faults: Faults) -> None:
    world = World(1, people=20, now=EPOCH)
    peek = min(world.entities("people"))
    changes = Changes(world, told.clock, peek=lambda: peek, page_size=5)
    changes.is_told = True
    move_world(changes, faults)
    told.story += [dict(changes.counts), sorted(changes.deleted)]


async def transforms(told: Told, faults: Faults) -> None:
    told.story.append(await faults.visit(TRANSFORM).perform(partial(told.known, "attio")))


AT: dict[str, Callable[[Told, Faults], Awaitable[None]]] = {
    "request": asks,
    "page": asks,
    "look_up": partial(asks, path="companies/records/query"),
    "schema": partial(asks, path="people/attributes"),
    "upsert": delivers,
    "delete": deletes,
    "listing": lists,
    "append": writes,
    "receive": receives,
    "clear": clears,
    "sleep": sleeps,
    "world": moves,
    "transform": transforms,
}
"""What is done at each port."""


def story(port: str, faults: Faults) -> Story:
    async def play() -> Story:
        told = Told()
        with told.end():
            await AT[port](told, faults)
        return told.story

    return run_virtual(play())


@pytest.mark.parametrize("kind", tuple(FAULTS), ids=lambda kind: kind.kind)
def test_every_kind_does_something_at_its_port(kind: Fault) -> None:
    faults = struck_by(kind.kind)
    assert story(kind.port.name, faults) != story(kind.port.name, no_faults())
    assert faults.struck == [Strike(kind=kind.kind, at=0)]


# ── the ports ────────────────────────────────────────────────────────────────────────────────


class Plain:
    """A sink that can do no more than every sink must."""

    name = "plain"

    async def check(self) -> dict[str, str]:
        return {}

    async def upsert(self, items: Sequence[Any]) -> UpsertResult:
        return UpsertResult(
            unchanged=len(items) - 1,
            rejects=(Reject(record_id="p0", reason="its own"),),
            left_out={"a number that is none": 2},
        )

    async def finish(self) -> None:
        return None

    async def aclose(self) -> None:
        return None


MARKED = ("sink_id", "marks", "upsert_marked", "set_mark")
OPTIONAL = ("inspect", "is_empty", "delete", "known", "would_blank", "heed", *MARKED)


@pytest.mark.parametrize(
    "able", [(), ("is_empty",), ("delete",), ("delete", "known"), ("would_blank",), OPTIONAL]
)
def test_a_faulty_sink_can_do_what_the_real_one_can_and_does_not_claim_more(able: tuple[str, ...]) -> None:
    async def method(_self: object, *_: object) -> int:
        return 7

    real = type("Able", (Plain,), dict.fromkeys(able, method))()
    sink = faulty_sink(real, no_faults(), Told())
    claimed, there = (
        [name for name, part in capabilities(each)._asdict().items() if part is not None]
        for each in (sink, real)
    )
    assert claimed == there
    assert able != OPTIONAL or claimed == list(Capabilities._fields)
    assert {name for name in OPTIONAL if hasattr(sink, name)} == set(able)
    assert not hasattr(sink, "path")


def test_what_a_sink_says_of_a_page_is_kept_where_a_record_is_refused_besides() -> None:
    async def play() -> UpsertResult | Failure:
        sink = faulty_sink(Plain(), struck_by("sink_refuses_one"), Told())
        return await sink.upsert([{"external_id": f"p{number}"} for number in range(3)])

    result = run_virtual(play())
    assert isinstance(result, UpsertResult)
    assert result.left_out == {"a number that is none": 2}
    assert [reject.reason for reject in result.rejects] == ["its own", REFUSED]
    assert result.unchanged + len(result.rejects) == 3


def test_a_failure_stays_one_whoever_is_refused_besides() -> None:
    assert with_refused(LOCKED, ["p1"]) is LOCKED


# ── a seed keeps its meaning ─────────────────────────────────────────────────────────────────

HOSTILE = load_scenario("hostile")
PLAIN = FaultTable(together=FAULTS.together)
"""The kinds that are drawn together, of which there will be no more."""

ADDED_GROUPS = {fault.group for fault in FAULTS.apart} - {fault.group for fault in FAULTS.together}
"""Groups that came later, each with a chance of its own."""


class MoreRates(FaultRates, frozen=True, kw_only=True):
    quake: float = 0.0


class MoreChanges(ChangeRates, frozen=True, kw_only=True):
    renamed: float = 0.0


MORE = FaultTable(
    together=FAULTS.together,
    apart=(
        *FAULTS.apart,
        fault("network_gone", "network", REQUEST, 3, crash),
        fault("row_quake", "quake", PAGE, 1, row_twice),
        fault("quake", "quake", REQUEST, 2, crash),
        fault("renamed", "renamed", WORLD, 1, created),
    ),
)
ADDED = {"network_gone", "row_quake", "quake", "renamed"}
PORTS = {fault.port.name: fault.port for fault in FAULTS}


def drawn(faults: Faults) -> list[tuple[tuple[Strike, ...], float]]:
    """Return what strikes at the first visits to every port, and their chance."""
    visits = [faults.visit(port) for port in PORTS.values() for _ in range(8)]
    return [(visit.strikes, visit.rng.random()) for visit in visits]


def test_the_seeds_strike_as_they_always_did() -> None:
    digest = blake2b(digest_size=8)
    for seed in range(50):
        day = concrete(HOSTILE, seed)
        faults = Faults(seed, day.faults, day.changes, table=PLAIN)
        ports = (REQUEST, PAGE, UPSERT, APPEND, SLEEP, WORLD)
        chance = [faults.visit(port).rng.random() for port in ports for _ in range(40)]
        said = msgspec.to_builtins(replace(day, about="", afterwards=()))
        for part in ("faults", "changes"):  # as it was before these groups
            said[part] = {name: rate for name, rate in said[part].items() if name not in ADDED_GROUPS}
        digest.update(msgspec.json.encode((said, faults.struck, chance)))
    assert digest.hexdigest() == "2cef6aae12be1f4f"


@given(st.integers(0, 10**6), st.sampled_from((0.0, 0.2, 1.0)))
def test_a_kind_that_is_added_leaves_the_strikes_of_all_others_as_they_are(seed: int, rate: float) -> None:
    day = concrete(HOSTILE, seed)
    rates = MoreRates(**asdict(day.faults), quake=rate)
    changes = MoreChanges(**asdict(day.changes), renamed=3 * rate)
    before = drawn(Faults(seed, day.faults, day.changes))
    after = drawn(Faults(seed, rates, changes, table=MORE))
    for (strikes, chance), (more, other) in zip(before, after, strict=True):
        assert other == chance
        assert [strike for strike in more if strike.kind not in ADDED] == list(strikes)


def test_a_kind_that_is_added_strikes_as_often_as_its_share_says_where_nothing_else_does() -> None:
    faults = Faults(1, MoreRates(network=0.3, quake=0.2), MoreChanges(renamed=1.5), table=MORE)
    for port in PORTS.values():
        for _ in range(2000):
            faults.visit(port)
    counts = faults.counts()
    assert counts["row_quake"] == pytest.approx(400, rel=0.15)
    assert counts["network_gone"] == pytest.approx(2000 * 0.7 * 0.1, rel=0.2)
    assert counts["quake"] == pytest.approx(2000 * 0.7 * 0.9 * 0.1, rel=0.2)
    assert counts["renamed"] == pytest.approx(3000, rel=0.05)


@given(st.integers(0, 10**6))
def test_a_group_that_is_added_leaves_the_day_that_a_swarm_draws_as_it_is(seed: int) -> None:
    faults = MoreRates(**asdict(HOSTILE.faults), quake=0.1)
    day, more = concrete(HOSTILE, seed), concrete(replace(HOSTILE, faults=faults), seed)
    assert isinstance(more.faults, MoreRates)
    assert asdict(more.faults) == {**asdict(day.faults), "quake": more.faults.quake}
    assert replace(more, faults=day.faults) == day


def test_the_days_of_a_swarm_have_a_group_that_is_added_at_many_rates_or_not_at_all() -> None:
    scenario = replace(HOSTILE, faults=MoreRates(quake=0.1))
    rates = [concrete(scenario, seed).faults.quake for seed in range(200)]
    assert rates.count(0.0) == pytest.approx(90, abs=25)
    assert len(set(rates)) > 90
    assert max(rates) <= 0.2

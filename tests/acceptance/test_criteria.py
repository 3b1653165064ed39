"""The success criteria of the plan that this project grew from, over real HTTP and in virtual time.

Progress is tracked, all people arrive, nobody twice, totals grow page by page, 5,000 people within twenty
minutes, no 429 at the default rates, an error rate under 1%. The scenario `seed-5000` judges a simulated
sync by the same (simulator/criteria.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from syncfsm.core.machine import State
from syncfsm.core.state import Progress
from syncfsm.engine.engine import Engine
from syncfsm.history.replay import moments
from syncfsm.log import open_log
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.runs.criteria import ERROR_RATE_MAX, MINUTES_MAX
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World
from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import Cli, Server
from tests.effort import tries
from tests.quo import Quo

Serve = Callable[..., Server]
PAGES = ("--page-size", 50)


class Into(msgspec.Struct, frozen=True):
    """One sink to sync into over real HTTP, and how many people that is worth a test's time.

    Attributes:
        people: How many.
        args: The options of the command.
        arrived: The record ids that are there, one for each contact.
    """

    people: int
    args: Callable[[Server], tuple[str, ...]]
    arrived: Callable[[Server, Path], list[str]]


def in_table(_server: Server, folder: Path) -> list[str]:
    return [external_id for (external_id,) in contacts_in(folder / "contacts.db", "external_id")]


def in_quo(server: Server, _folder: Path) -> list[str]:
    return [str(contact.external_id) for contact in server.quo.contacts.by_id.values()]


SINKS = {
    "sqlite": Into(5000, lambda _: ("--sink", "sqlite:contacts.db"), in_table),
    "quo": Into(
        tries(300, 998),  # ten requests a second are real ones here; all 5,000 below, in virtual time
        lambda server: ("--sink", f"quo:{server.url}", "--quo-bulk", "--page-size", "150"),
        in_quo,
    ),
}


@pytest.mark.parametrize("name", SINKS)
def test_every_criterion_is_met_over_real_http(serve: Serve, cli: Cli, name: str) -> None:
    into = SINKS[name]
    server = serve(into.people, quo_requests_per_s=1000)  # a busy machine is slow to hear, then hears many
    cli.env |= {"QUO_API_KEY": "any", "QUO_PARTNER_KEY": "any"}
    args = ("sync", "--source", "attio", "--base-url", server.url, *into.args(server))
    out, _ = cli(*args, "--json")
    done = json.loads(out)
    arrived = into.arrived(server, cli.folder)
    assert done["state"] == "COMPLETED"
    assert len(arrived) == len(set(arrived)) == into.people
    assert set(arrived) == set(server.world.entities("people"))
    judge_pages(cli.json("log", "show", "sync.db")["events"], into.people, done["pages"])
    took_minutes = minutes_between(done["started_at"], done["updated_at"])
    assert took_minutes < MINUTES_MAX
    assert len(server.quo.arrivals) <= 10 * (took_minutes * 60 + 1), "ten a second, over the whole sync"
    asked = {*server.fake.requests, *server.quo.requests}
    refused = [route for route in asked if route[2] not in {200, 201, 202}]
    assert refused == [], "no 429, nor any other error"
    assert done["retries"] == done["rate_limited"] == 0
    assert done["rejected"] / done["fetched"] < ERROR_RATE_MAX


def judge_pages(events: list[dict[str, Any]], people: int, pages: int) -> None:
    """The totals grow with each page, up to all people."""
    delivered = [event["event"] for event in events if event["type"] == "PageDelivered"]
    counts = [page["created"] + page["updated"] + page["unchanged"] + page["rejected"] for page in delivered]
    assert len(counts) == pages > 1
    assert min(counts) > 0
    assert sum(counts) == people


def minutes_between(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds() / 60


def test_progress_can_be_seen_from_outside_while_a_sync_runs(serve: Serve, cli: Cli) -> None:
    server = serve(1000)
    server.hold_after(16)
    process = cli.start(*cli.sync_args(server.url), *PAGES, "--no-companies", "--read-ahead", "1")
    seen = []
    for _ in range(3):
        assert server.is_holding.wait(30)
        replay = cli.json("replay", "sync.db")
        (running,) = cli.json("top", "sync.db", "--once")["processes"]
        assert (replay["state"], running["fetched"]) == ("FETCHING", replay["fetched"])
        seen.append((replay["pages"], replay["fetched"]))
        server.hold_after(0)
    server.hold_after(None)
    process.communicate(timeout=60)
    assert seen == [(16, 800), (17, 850), (18, 900)]


def test_into_quo_go_5000_people_at_its_ten_requests_a_second_within_twenty_minutes() -> None:
    state, totals, arrived, there, statuses, took_s = run_virtual(_into_quo(5000))
    assert state is State.COMPLETED
    assert arrived == there
    assert len(there) == 5000
    fetched = [progress.fetched for progress in totals]
    assert all(before <= after for before, after in pairwise(fetched))
    assert sorted(set(fetched)) == list(range(0, 5001, 50))
    assert not statuses & {429}
    assert totals[-1].rejected / totals[-1].fetched < ERROR_RATE_MAX
    assert 5000 / 10 < took_s < MINUTES_MAX * 60


async def _into_quo(
    people: int,
) -> tuple[State, list[Progress], set[str], set[str], set[int], float]:
    """Sync into a fake Quo that allows ten requests a second, in virtual time; answers take some of it."""
    clock = VirtualClock()
    world = World(1, people=people, now=EPOCH)
    attio = FakeAttio(world, clock, latency_s=0.2)
    quo = Quo(clock, latency_ms=(80, 400))
    source = AttioSource(
        "any", base_url="http://attio.simulated", clock=clock, transport=httpx.ASGITransport(attio)
    )
    with open_log(":memory:") as log:
        async with Engine(log, source, quo.sink(), AttioPeople(source), clock=clock) as engine:
            process = await engine.sync()
        totals = [moment.after.progress for moment in moments(log, process.id)]
    statuses = {status for _, _, status in (*attio.requests, *quo.fake.requests)}
    took_s = (process.updated_at - process.started_at).total_seconds()
    arrived = {contact.external_id for contact in quo.stored()}
    return process.state, totals, arrived, set(world.entities("people")), statuses, took_s


# ── companies ────────────────────────────────────────────────────────────────────────────────


def test_5000_people_of_97_companies_cost_at_most_one_company_request_a_page(serve: Serve, cli: Cli) -> None:
    server = serve(5000, companies=97)
    done = cli.sync(server.url, *PAGES, "--read-ahead", 4)
    assert done["pages"] == 100
    assert 100 <= server.queries["people"] < 100 + 4, "none but beyond the end is asked for in vain"
    assert 0 < server.queries["companies"] <= done["pages"]
    names = {company_name(company) for company in server.world.entities("companies").values()}
    assert len(server.world.entities("companies")) == 97
    seen = {name for (name,) in contacts_in(cli.folder / "contacts.db", "company")}
    assert seen == {*names, None}


def company_name(company: Any) -> str | None:
    return next((value["value"] for value in company.values["name"] if value["active_until"] is None), None)


def test_a_company_that_is_known_costs_no_request(serve: Serve, cli: Cli) -> None:
    server = serve(500, companies=1)
    assert cli.sync(server.url, *PAGES, "--read-ahead", 1)["pages"] == 10
    assert server.queries == {"people": 10, "companies": 1}
    server.queries.clear()
    cli.sync(server.url, *PAGES, "--no-companies", "--read-ahead", 1)
    assert server.queries == {"people": 10}


def test_with_large_pages_all_companies_cost_a_single_request(serve: Serve, cli: Cli) -> None:
    server = serve(1200, companies=97)
    assert cli.sync(server.url, "--page-size", 499)["pages"] == 3
    assert 1 <= server.queries["companies"] <= 2, "the first page knows nearly all of them"

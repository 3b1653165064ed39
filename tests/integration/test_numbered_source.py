"""The source for APIs whose pages have numbers: the contract, and answers that are no page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import msgspec
import pytest

from simulator.clock import EPOCH
from simulator.numbered import API, FakeNumbered
from simulator.world import World
from syncfsm.contact import Contact
from syncfsm.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.events import PageFetched
from syncfsm.failure import Failure, FailureKind
from syncfsm.log import open_log
from syncfsm.machine import State
from syncfsm.options import Options
from syncfsm.pages import PageRequest
from syncfsm.sources.numbered import NumberedSource
from syncfsm.sources.protocol import Page, Record, Transform, Transformed
from tests.contracts.source import NumberedContract
from tests.fakes import DictSink, TestClock, to_items

FIRST = PageRequest(cursor=None, offset=0, limit=3, order="newest")


def source_over(transport: httpx.AsyncBaseTransport, **settings: object) -> NumberedSource:
    return NumberedSource(
        API,
        "key",
        base_url="http://numbered.test",
        clock=TestClock(),
        transport=transport,
        **settings,  # type: ignore[arg-type]
    )


def fetched(response: httpx.Response, request: PageRequest = FIRST) -> Page | Failure:
    return asyncio.run(source_over(httpx.MockTransport(lambda _: response)).fetch(request))


class TestNumberedSource(NumberedContract):
    @pytest.fixture
    def source(self) -> NumberedSource:
        return source_over(httpx.ASGITransport(FakeNumbered(World(1, people=30, now=EPOCH))))

    @pytest.fixture
    def transform(self) -> Transform[Contact]:
        return to_contacts


async def to_contacts(records: Sequence[Record]) -> Transformed[Contact]:
    return Transformed(
        items=tuple(Contact(external_id=record.id, source=API.kind) for record in records),
    )


@pytest.mark.parametrize("order", ["newest", "oldest", "id"])
def test_everybody_is_synced_and_the_total_is_known_from_the_first_page_on(order: str) -> None:
    world = World(1, people=1250, now=EPOCH)
    sink = DictSink()
    totals: list[tuple[int, int | None]] = []
    with open_log(":memory:") as log:
        engine = Engine(
            log,
            source_over(httpx.ASGITransport(FakeNumbered(world))),
            sink,
            to_items,
            clock=TestClock(),
            read_ahead=4,
            hooks=[lambda process, _: totals.append((process.progress.fetched, process.progress.total))],
        )
        process = asyncio.run(engine.sync(page_size=50, order=order))  # type: ignore[arg-type]
        fetched = [r.event for r in log.read(process.id) if isinstance(r.event, PageFetched)]
    assert process.state is State.COMPLETED
    assert set(sink.items) == set(world.entities("people"))
    assert len(fetched) == 25
    assert {event.total for event in fetched} == {1250}
    assert (0, 1250) in totals


def person(number: int) -> dict[str, object]:
    return {"id": f"p{number}", "created_at": f"2026-01-01T00:00:0{9 - number}Z"}


def answer(people: list[dict[str, object]], total: object) -> httpx.Response:
    return httpx.Response(200, json={"people": people, "total": total})


@pytest.mark.parametrize(
    "response",
    [
        answer([person(1)], 3),
        answer([person(number) for number in range(4)], 9),
        answer([person(1)], None),
        httpx.Response(200, json={"people": [person(1)]}),
        httpx.Response(200, json={"total": 1}),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b"\xff"),
    ],
)
def test_a_page_that_is_cut_short_or_has_no_total_is_tried_again_and_never_an_end(
    response: httpx.Response,
) -> None:
    failure = fetched(response)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MALFORMED


def test_an_api_that_cuts_pages_in_silence_loses_nobody_but_fails_the_sync() -> None:
    fake = FakeNumbered(World(1, people=300, now=EPOCH), per_page_max=30)
    with open_log(":memory:") as log:
        engine = Engine(log, source_over(httpx.ASGITransport(fake)), DictSink(), to_items, clock=TestClock())
        process = asyncio.run(engine.sync(page_size=50))
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("attempts_max", True)
    assert "does it take no more in a page than that?" in process.failure.error


def test_with_its_real_limit_such_an_api_is_read_to_its_end() -> None:
    fake = FakeNumbered(World(1, people=300, now=EPOCH), per_page_max=30)
    source = source_over(httpx.ASGITransport(fake), options=Options(pagination="page", limit_max=30))
    with open_log(":memory:") as log:
        process = asyncio.run(Engine(log, source, DictSink(), to_items, clock=TestClock()).sync(page_size=20))
    assert (process.state, process.progress.fetched) == (State.COMPLETED, 300)


def test_a_row_that_has_no_place_is_a_reject_and_the_others_come() -> None:
    rows = [person(1), {"created_at": "2026-01-01T00:00:00Z"}, {"id": 3, "created_at": "soon"}]
    page = fetched(answer(rows, 3))
    assert isinstance(page, Page)
    assert [(record.id, bool(record.problem)) for record in page.records] == [
        ("p1", False),
        ("", True),
        ("3", True),
    ]


def test_ids_that_are_numbers_are_in_order_as_numbers() -> None:
    request = msgspec.structs.replace(FIRST, order="id")
    page = fetched(answer([{"id": 9}, {"id": 10}, {"id": 100}], 3), request)
    assert isinstance(page, Page)
    keys = [record.key for record in page.records]
    assert keys == sorted(keys)
    assert [record.id for record in page.records] == ["9", "10", "100"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(pagination="page", limit_max=19), "limit_max=19 cannot work"),
        (Options(pagination="page", limit_max=90, termination="short_page"), "goes with offsets"),
    ],
)
def test_rules_that_could_lose_people_are_refused_at_the_start(options: Options, words: str) -> None:
    source = source_over(httpx.MockTransport(lambda _: httpx.Response(500)), options=options)
    with open_log(":memory:") as log, pytest.raises(ConfigurationError, match=words):
        Engine(log, source, DictSink(), to_items).start(page_size=10)


@pytest.mark.parametrize("options", [Options(attempts_max=20), Options(pagination="page", limit_max=101)])
def test_options_that_do_not_fit_the_api_are_refused_with_those_that_would(options: Options) -> None:
    with pytest.raises(ConfigurationError, match="gives limit_max=100"):
        source_over(httpx.MockTransport(lambda _: httpx.Response(500)), options=options)


def test_without_a_key_it_says_so() -> None:
    with pytest.raises(ConfigurationError, match="there is no key for the numbered fake"):
        NumberedSource(API, "", base_url="http://numbered.test")

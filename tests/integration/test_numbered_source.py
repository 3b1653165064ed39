"""The source for APIs whose pages have numbers: the contract, and answers that are no page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from syncfsm.core.events import PageFetched, SyncCompleted
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest
from syncfsm.engine.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.numbered import NumberedSource
from syncfsm.sources.protocol import Page, Record, Transform, Transformed
from syncfsm_simulator.fakes.numbered import API, FakeNumbered
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
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


def test_contacts_that_call_their_source_something_else_are_not_looked_for_in_vain_and_in_silence() -> None:
    async def misnamed(records: Sequence[Record]) -> Transformed[Contact]:
        return Transformed(items=tuple(Contact(external_id=record.id, source="else") for record in records))

    source = source_over(httpx.ASGITransport(FakeNumbered(World(1, people=30, now=EPOCH))))
    with open_log(":memory:") as log:
        engine = Engine(log, source, SqliteSink(":memory:"), misnamed, clock=TestClock())
        process = asyncio.run(engine.sync(deletes_missing=True))
        (*_, last) = log.read(process.id)
    assert isinstance(last.event, SyncCompleted)
    assert last.event.kept == "the sink has nothing that calls its source 'numbered'"


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


@pytest.mark.parametrize(
    ("cap", "people", "reason"),
    [(30, 300, "bad_request"), (60, 125, "bad_request"), (99, 101, "bad_request"), (60, 80, "attempts_max")],
)
def test_an_api_that_cuts_pages_in_silence_is_told_before_anything_is_fetched(
    cap: int, people: int, reason: str
) -> None:
    fake = FakeNumbered(World(1, people=people, now=EPOCH), per_page_max=cap)
    with open_log(":memory:") as log:
        engine = Engine(log, source_over(httpx.ASGITransport(fake)), DictSink(), to_items, clock=TestClock())
        process = asyncio.run(engine.sync(page_size=50))
    assert process.failure is not None
    assert (process.failure.action, process.failure.reason, process.is_resumable) == ("check", reason, True)
    assert "does it take no more in a page than that?" in process.failure.error
    assert (f"let limit_max be {cap}" in process.failure.error) is (reason == "bad_request")


@pytest.mark.parametrize("cap", [21, 30, 49, 60, 77])
def test_an_api_that_begins_to_cut_pages_while_it_is_read_brings_everybody_or_fails(cap: int) -> None:
    for people in range(55, 140, 5):
        world = World(1, people=people, now=EPOCH)
        source = source_over(httpx.ASGITransport(FakeNumbered(world, per_page_max=cap)))
        sink = DictSink()
        with open_log(":memory:") as log:
            engine = Engine(log, NoCheck(source), sink, to_items, clock=TestClock())
            process = asyncio.run(engine.sync(page_size=50))
        assert process.state is State.FAILED or len(sink.items) == people, (cap, people)


class NoCheck:
    """A source whose checks find all in order."""

    def __init__(self, source: NumberedSource) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def check(self) -> dict[str, str]:
        return {"object": "people"}


def test_a_page_that_the_api_does_not_have_is_no_end_and_no_failure_but_the_first() -> None:
    missing = httpx.Response(404, json={"detail": "Invalid page."})
    third = fetched(missing, PageRequest(cursor=6, offset=6, limit=3, order="newest"))
    assert isinstance(third, Page)
    assert (third.records, third.total) == ((), None)
    first = fetched(missing)
    assert isinstance(first, Failure)
    assert first.kind is FailureKind.NOT_FOUND


@pytest.mark.parametrize("read_ahead", [1, 4, 16])
def test_where_a_page_past_the_end_is_not_found_rows_may_still_go_while_they_are_read(
    read_ahead: int,
) -> None:
    ids, asked = list(range(1, 601)), 0

    def respond(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        number, size = (int(request.url.params[name]) for name in ("page", "per_page"))
        rows, total = ids[(number - 1) * size : number * size], len(ids)
        if asked == 5:
            ids[:] = [id_ for id_ in ids if id_ % 9 and id_ <= 300]
        if number > 1 and not rows:
            return httpx.Response(404)
        return httpx.Response(200, json={"people": [{"id": id_} for id_ in rows], "total": total})

    source, sink = source_over(httpx.MockTransport(respond)), DictSink()
    with open_log(":memory:") as log:
        engine = Engine(log, source, sink, to_items, clock=TestClock(), read_ahead=read_ahead)
        process = asyncio.run(engine.sync(order="id"))
    assert process.state is State.COMPLETED
    assert set(map(str, ids)) <= set(sink.items)


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


@pytest.mark.parametrize("total", [b"-1", b"9223372036854775808", b"1" * 5000, b'"caf\xe9"'], ids=len)
def test_a_total_that_nothing_can_hold_is_no_answer(total: bytes) -> None:
    failure = fetched(httpx.Response(200, content=b'{"people":[],"total":' + total + b"}"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MALFORMED


def test_a_byte_that_is_no_text_costs_one_record_and_not_the_page() -> None:
    rows = b'[{"id":"caf\xe9"},{"id":2,"created_at":"2026-01-01T00:00:00Z"},{"id":3,"created_at":"caf\xe9"}]'
    page = fetched(httpx.Response(200, content=b'{"people":' + rows + b',"total":3}'))
    assert isinstance(page, Page)
    assert [(record.id, bool(record.problem)) for record in page.records] == [
        ("", True),
        ("2", False),
        ("3", True),
    ]

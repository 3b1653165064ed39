"""The AxisCare source: the contract against the fake, and which next pages are not followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import httpx
import msgspec
import pytest

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.engine.preflight import FirstPage, preflight
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_dry_run, open_log
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.axiscare import AxisCareClients, AxisCareSource
from syncfsm.sources.protocol import Page, Record
from syncfsm_simulator.fakes.axiscare import FakeAxisCare, number_of
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.contracts.source import CursorContract
from tests.fakes import DictSink, TestClock, to_items

KEY = "a-secret-key-of-an-agency"
BASE_URL = "https://agency.axiscare.test"
FIRST = PageRequest(cursor=None, offset=0, limit=10, order="id")


def source_over(transport: httpx.AsyncBaseTransport, base_url: str = BASE_URL) -> AxisCareSource:
    return AxisCareSource(KEY, base_url=base_url, clock=TestClock(), transport=transport)


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> AxisCareSource:
    return source_over(httpx.MockTransport(answer))


def page_of(clients: list[dict[str, object]], next_page: str | None, errors: object = None) -> httpx.Response:
    return httpx.Response(
        200, json={"results": {"clients": clients, "nextPage": next_page}, "errors": errors}
    )


def fetched(response: httpx.Response, request: PageRequest = FIRST) -> Page | Failure:
    return asyncio.run(answering(lambda _: response).fetch(request))


def failed(response: httpx.Response, request: PageRequest = FIRST) -> Failure:
    failure = fetched(response, request)
    assert isinstance(failure, Failure), failure
    return failure


class TestAxisCareSource(CursorContract):
    @pytest.fixture
    def source(self) -> AxisCareSource:
        return source_over(httpx.ASGITransport(FakeAxisCare(World(1, people=30, now=EPOCH))))

    @pytest.fixture
    def transform(self, source: AxisCareSource) -> AxisCareClients:
        return AxisCareClients(source)


def synced(
    source: AxisCareSource, log: EventLog, sink: DictSink | None = None, page_size: int = 20
) -> tuple[Process, DictSink]:
    sink = sink or DictSink()
    engine = Engine(log, source, sink, to_items, clock=TestClock(), read_ahead=4)
    return asyncio.run(engine.sync(page_size=page_size, order="id")), sink


def test_every_client_is_synced_though_pages_end_early_among_other_people() -> None:
    world = World(1, people=300, now=EPOCH)
    fake = FakeAxisCare(world, others_every=3)
    clients = {number_of(id_) for id_ in world.entities("people") if number_of(id_) % 3}
    with open_log(":memory:") as log:
        process, sink = synced(source_over(httpx.ASGITransport(fake)), log)
    assert process.state is State.COMPLETED
    assert set(sink.items) == {f"client-{number}" for number in clients}
    assert process.progress.pages == 15


def asked_after(token: str | None) -> tuple[list[httpx.Request], Page | Failure]:
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return page_of([], None)

    return asked, asyncio.run(answering(respond).fetch(msgspec.structs.replace(FIRST, token=token)))


def test_a_next_page_is_asked_for_by_its_client_with_the_key_the_version_and_todays_page_size() -> None:
    ((request,), _) = asked_after("17")
    assert str(request.url) == f"{BASE_URL}/api/clients?startAfterId=17&limit=10"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["X-AxisCare-Api-Version"] == "2023-10-01"


@pytest.mark.parametrize(
    "token", ["https://elsewhere.test/x", "//elsewhere.test", "17&limit=9", "", "-1", "\u0661", "9" * 21]
)
def test_whatever_a_log_says_the_key_goes_to_no_other_place(token: str) -> None:
    asked, failure = asked_after(token)
    assert asked == []
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CURSOR_LOST


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/api/clients?startAfterId=1",
        "http://agency.axiscare.test/api/clients?startAfterId=1",
        "https://agency.axiscare.test:8443/api/clients?startAfterId=1",
        "https://agency.axiscare.test@elsewhere.test/api/clients?startAfterId=1",
        "https://ada:pass@agency.axiscare.test/api/clients?startAfterId=1",
        "//elsewhere.test/api/clients?startAfterId=1",
        "/api/clients?startAfterId=1",
        "https://[elsewhere/api/clients",
        f" {BASE_URL}/api/clients?startAfterId=1",
        f"{BASE_URL}/api/caregivers?startAfterId=1",
        f"{BASE_URL}/api/clients",
        f"{BASE_URL}/api/clients?startAfterId=1#elsewhere",
        f"{BASE_URL}/api/clients?startAfterId=1&startAfterId=2",
        f"{BASE_URL}/api/clients?startAfterId={KEY}",
        f"{BASE_URL}/api/clients?startAfterId=1&key={KEY}",
        f"{BASE_URL}/api/clients?startAfterId=1&key={KEY.replace('-', '%2d')}",
        f"{BASE_URL}/api/clients?startAfterId=1&key=short",
        f"{BASE_URL}/api/clients?startAfterId=1&mail=elsewhere@example.test",
        f"{BASE_URL}/api/clients?startAfterId={'1' * 3000}",
        f"{BASE_URL}/api/clients?startAfterId=1&name=Zoë",
        f"{BASE_URL}/api/clients\n?startAfterId=1",
    ],
)
def test_a_next_page_that_leads_elsewhere_or_says_more_than_a_place_is_not_followed(url: str) -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return page_of([{"id": 1}], url)

    with open_log(":memory:") as log:
        process, sink = synced(answering(respond), log)
        rows = "".join(row.data for row in log.stored_events())
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("misdirected", True)
    assert set(asked) == {"agency.axiscare.test"}
    assert sink.items == {}
    assert KEY not in rows
    assert KEY.replace("-", "%2d") not in rows
    assert "elsewhere" not in rows


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://AGENCY.axiscare.test", "https://agency.axiscare.test/api/clients?startAfterId=7&limit=10"),
        ("https://agency.axiscare.test:443", f"{BASE_URL}/api/clients?limit=10&startAfterId=7"),
        ("https://agency.axiscare.test/", "https://Agency.AxisCare.test:443/api/clients?startAfterId=7"),
    ],
)
def test_one_host_is_known_however_it_is_written(base_url: str, url: str) -> None:
    transport = httpx.MockTransport(lambda _: page_of([{"id": 1}], url))
    page = asyncio.run(source_over(transport, base_url).fetch(FIRST))
    assert isinstance(page, Page), page
    assert page.next_token == "7"


@pytest.mark.parametrize("status", [400, 404])
def test_a_next_page_that_is_refused_is_a_place_that_is_lost_and_no_end(status: int) -> None:
    failure = failed(httpx.Response(status), msgspec.structs.replace(FIRST, token="7"))
    assert (failure.kind, failure.status) == (FailureKind.CURSOR_LOST, status)
    assert failure.message.startswith(f"AxisCare answered {status}: ")
    assert failure.message.endswith("the next page that it named is lost.")
    assert failed(httpx.Response(status)).kind is not FailureKind.CURSOR_LOST


@pytest.mark.parametrize(
    "response",
    [
        page_of([{"id": 1}], None, errors=[{"message": "Ada could not be read"}]),
        httpx.Response(200, json={"results": {"clients": [{"id": 1}]}, "errors": None}),
        httpx.Response(200, json={"results": None, "errors": None}),
        httpx.Response(200, content=b"<html>"),
    ],
)
def test_an_answer_that_may_be_no_whole_page_is_tried_again_and_never_an_end(
    response: httpx.Response,
) -> None:
    failure = failed(response)
    assert failure.kind is FailureKind.MALFORMED
    assert "Ada" not in failure.message


def test_a_client_without_a_number_is_rejected_and_the_others_come() -> None:
    page = fetched(page_of([{"id": 1}, {"name": "x"}, {"id": 3}], None))
    assert isinstance(page, Page)
    assert [record.id for record in page.records] == ["client-1", "", "client-3"]
    assert "id" in page.records[1].problem


def test_numbers_are_in_order_as_numbers() -> None:
    page = fetched(page_of([{"id": 9}, {"id": 10}, {"id": 100}], None))
    assert isinstance(page, Page)
    keys = [record.key for record in page.records]
    assert keys == sorted(keys)


def test_it_goes_on_after_a_crash_where_the_last_cursor_led() -> None:
    world = World(1, people=100, now=EPOCH)
    source = source_over(httpx.ASGITransport(FakeAxisCare(world)))
    with open_log(":memory:") as log:
        engine = Engine(log, source, DictSink(), to_items, clock=TestClock())
        process = engine.start(page_size=20, order="id")
        for _ in range(4):
            process = asyncio.run(engine.step(process.id))
        assert process.paging.token is not None
        sink = DictSink()
        process = asyncio.run(Engine(log, source, sink, to_items, clock=TestClock()).run(process.id))
    assert (process.state, process.progress.fetched) == (State.COMPLETED, 100)
    assert len(sink.items) <= 60


def test_an_order_that_it_does_not_have_is_refused_before_anything_is_asked() -> None:
    source = answering(lambda _: httpx.Response(500))
    with open_log(":memory:") as log, pytest.raises(ConfigurationError, match="'newest': choose id"):
        Engine(log, source, DictSink(), to_items).start(order="newest")


def test_where_pages_are_too_large_the_sync_goes_on_with_smaller_ones() -> None:
    fake = httpx.ASGITransport(FakeAxisCare(World(1, people=60, now=EPOCH)))

    async def respond(request: httpx.Request) -> httpx.Response:
        is_later = "startAfterId" in request.url.params
        if is_later and int(request.url.params["limit"]) > 10:
            return httpx.Response(413)
        return await fake.handle_async_request(request)

    source, sink = source_over(httpx.MockTransport(respond)), DictSink()
    with open_log(":memory:") as log:
        failed, _ = synced(source, log, sink)
        assert failed.failure is not None
        assert failed.failure.reason == "too_large"
        process, _ = synced(source, log, sink, page_size=10)
    assert (process.id, process.state, len(sink.items)) == (failed.id, State.COMPLETED, 60)


def test_what_is_new_cannot_be_asked_for_and_no_sync_says_that_it_was() -> None:
    source = source_over(httpx.ASGITransport(FakeAxisCare(World(1, people=30, now=EPOCH))))
    with open_log(":memory:") as log:
        engine = Engine(log, source, DictSink(), to_items)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="cannot be asked for what is new: every sync of it"):
                engine.take_up(mode="ongoing")
            asyncio.run(engine.sync())


def test_limits_can_be_chosen_and_the_way_of_its_pages_cannot() -> None:
    source = source_over(httpx.ASGITransport(FakeAxisCare(World(1, people=60, now=EPOCH), others_every=5)))
    with open_log(":memory:") as log:
        engine = Engine(log, source, DictSink(), to_items, clock=TestClock())
        with pytest.raises(
            ConfigurationError, match="say pagination='offset', and the rule here is 'cursor'"
        ):
            engine.start(options=Options(attempts_max=20))
        lenient = msgspec.structs.replace(source.options, attempts_max=20)
        process = asyncio.run(engine.sync(options=lenient, page_size=10))
    assert (process.state, process.options.attempts_max) == (State.COMPLETED, 20)
    with pytest.raises(ConfigurationError, match=r"pages by pagination='cursor'.*open it without options"):
        AxisCareSource(KEY, base_url=BASE_URL, options=Options(attempts_max=20))


def test_a_look_before_the_first_sync_sees_that_there_are_more_pages() -> None:
    source = source_over(httpx.ASGITransport(FakeAxisCare(World(1, people=60, now=EPOCH))))

    async def look(page_size: int) -> FirstPage | None:
        with open_dry_run(":memory:") as log:
            engine = Engine(log, source, DictSink(), to_items)
            begin = partial(Engine.take_up, page_size=page_size)
            return (await preflight(engine, begin, page_size=page_size)).first_page

    assert asyncio.run(look(50)) == FirstPage(rows=50, has_more=True)
    assert asyncio.run(look(100)) == FirstPage(rows=60, has_more=False)


def test_without_a_key_it_says_which_variable_to_set() -> None:
    with pytest.raises(ConfigurationError, match="AXISCARE_API_KEY"):
        AxisCareSource(" ", base_url=BASE_URL)


def contacts(*clients: dict[str, object]) -> tuple[tuple[Contact, ...], int]:
    source = answering(lambda _: httpx.Response(500))
    records = [Record(id=f"client-{c.get('id')}", key="", raw=msgspec.json.encode(c)) for c in clients]
    ready = asyncio.run(AxisCareClients(source)(records))
    return ready.items, len(ready.rejects)


def test_a_client_becomes_a_contact_by_the_name_that_they_go_by() -> None:
    full = {
        "id": 17,
        "firstName": "Augusta",
        "goesBy": "Ada",
        "lastName": "Lovelace",
        "homePhone": "+15550100",
        "mobilePhone": None,
        "otherPhone": "+15550102",
        "personalEmail": "ada@example.test",
    }
    (one, two), rejected = contacts(
        full, {"id": 18, "firstName": "Mary", "goesBy": ""}, {"id": 19, "goesBy": 5}
    )
    assert (one.external_id, one.source, one.first_name, one.last_name) == (
        "client-17",
        "axiscare",
        "Ada",
        "Lovelace",
    )
    assert one.phone_numbers == ("+15550100", "+15550102")
    assert one.emails == ("ada@example.test",)
    assert (two.first_name, two.last_name, two.emails) == ("Mary", None, ())
    assert rejected == 1


def test_clients_come_into_a_real_sink() -> None:
    world = World(1, people=60, now=EPOCH)
    source = source_over(httpx.ASGITransport(FakeAxisCare(world)))
    sink = SqliteSink(":memory:", clock=TestClock())
    with open_log(":memory:") as log:
        engine = Engine(log, source, sink, AxisCareClients(source), clock=TestClock())
        process = asyncio.run(engine.sync())
    assert process.state is State.COMPLETED
    assert sink.connection().execute("SELECT count(*) FROM contacts").fetchone() == (60,)


def test_a_byte_that_is_no_text_costs_one_client_and_not_the_page() -> None:
    clients = b'[{"id":1,"firstName":"caf\xe9"},{"id":2},{"id":-3},{"id":1' + b"0" * 5000 + b"}]"
    body = b'{"results":{"clients":' + clients + b',"nextPage":null},"errors":null}'
    source = answering(lambda _: httpx.Response(200, content=body))
    page = asyncio.run(source.fetch(FIRST))
    assert isinstance(page, Page)
    assert [bool(record.problem) for record in page.records] == [False, False, True, True]
    made = asyncio.run(AxisCareClients(source)(page.records[:2]))
    assert [contact.external_id for contact in made.items] == ["client-2"]
    assert [(reject.record_id, reject.reason) for reject in made.rejects] == [
        ("client-1", "not a client: a byte in it is no UTF-8")
    ]

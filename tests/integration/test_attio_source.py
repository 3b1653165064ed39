"""The Attio source: the contract against the fake, and what becomes of every answer that is no page."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from syncfsm.core.events import RetryScheduled
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.paging.pages import PageRequest
from syncfsm.engine.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.log import open_log
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.attio.wire import normal_timestamp
from syncfsm.sources.protocol import Page
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World
from tests.contracts.source import SourceContract
from tests.fakes import DictSink, TestClock, to_items

REQUEST = PageRequest(cursor=None, offset=0, limit=10, order="newest")
BASE_URL = "http://attio.test"


def source_over(transport: httpx.AsyncBaseTransport, **settings: object) -> AttioSource:
    return AttioSource("key", base_url=BASE_URL, clock=TestClock(), transport=transport, **settings)  # type: ignore[arg-type]


def page_of(source: AttioSource, request: PageRequest, **changed: object) -> Page:
    page = asyncio.run(source.fetch(replace(request, **changed)))
    assert isinstance(page, Page), page
    return page


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> AttioSource:
    return source_over(httpx.MockTransport(answer))


def fetched(answer: httpx.Response | Exception) -> Page | Failure:
    """Return what a source makes of one answer."""

    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return asyncio.run(answering(respond).fetch(REQUEST))


@pytest.mark.parametrize(
    ("said", "as_of"),
    [
        ("2026-05-16T12:00:00.123456+02:00", datetime(2026, 5, 16, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-05-16T12:00:00.123456789-01:00", datetime(2026, 5, 16, 13, 0, 0, 123456, tzinfo=UTC)),
        ("2026-05-16T12:00:00.123Z", datetime(2026, 5, 16, 12, 0, 0, 123000, tzinfo=UTC)),
        ("2026-05-16T12:00:00", datetime(2026, 5, 16, 12, tzinfo=UTC)),
    ],
)
def test_the_moment_of_an_answer_is_read_with_its_zone(said: str, as_of: datetime) -> None:
    page = fetched(httpx.Response(200, json={"data": []}, headers={"x-accurate-at": said}))
    assert isinstance(page, Page)
    assert page.as_of == as_of


class TestAttioSource(SourceContract):
    @pytest.fixture
    def source(self) -> AttioSource:
        fake = FakeAttio(World(1, people=30, now=EPOCH), TestClock())
        return source_over(httpx.ASGITransport(fake))

    @pytest.fixture
    def transform(self, source: AttioSource) -> AttioPeople:
        return AttioPeople(source)


def test_with_a_since_only_records_created_since_then_come() -> None:
    source = source_over(httpx.ASGITransport(FakeAttio(World(1, people=30, now=EPOCH), TestClock())))
    whole = page_of(source, REQUEST, limit=100).records
    since = datetime.fromisoformat(whole[11].key[:23] + "Z")
    came = page_of(source, REQUEST, limit=100, since=since).records
    assert came == tuple(record for record in whole if record.key >= whole[11].key)
    assert page_of(source, REQUEST, cursor=3, offset=3, limit=4, since=since).records == whole[3:7]
    assert {record.id for record in page_of(source, REQUEST, limit=100, since=since, order="id").records} == {
        record.id for record in came
    }


def test_what_is_asked_for_since_the_last_change_is_in_the_order_of_that_too() -> None:
    asked: list[dict[str, object]] = []
    values = {
        "edited": [
            {"value": "2026-01-01T00:00:00.000000000Z", "active_until": "2026-02-03T04:05:06.789000000Z"},
            {"value": "2026-02-03T04:05:06.789000000Z", "active_until": None},
        ]
    }
    rows = [{"id": {"record_id": "r1"}, "values": values}, {"id": {"record_id": "r2"}, "values": {}}]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(msgspec.json.decode(request.content))
        return httpx.Response(200, json={"data": rows})

    since = datetime(2026, 2, 3, 4, 5, 6, 789_999, tzinfo=UTC)
    first, second = page_of(answering(answer), REQUEST, since=since, changed_by="edited").records
    assert (first.id, first.key, first.problem) == ("r1", "2026-02-03T04:05:06.789000000Z", "")
    assert (second.id, second.key, second.problem) == ("r2", "", "cannot be placed: values.edited is empty")
    assert asked == [
        {
            "limit": 10,
            "offset": 0,
            "filter": {"edited": {"$gte": "2026-02-03T04:05:06.789Z"}},
            "sorts": [
                {"direction": "desc", "attribute": "edited"},
                {"direction": "asc", "attribute": "record_id"},
            ],
        }
    ]


@pytest.mark.parametrize("slug", ["", "Ada Lovelace", "a.b"])
def test_what_changed_records_go_by_must_be_a_slug(slug: str) -> None:
    with pytest.raises(ConfigurationError, match="an attribute's slug"):
        AttioSource("key", changed_by=slug)


def test_the_id_of_the_object_is_told_and_a_wrong_object_says_which_there_are() -> None:
    world = World(1, people=1, now=EPOCH)
    transport = httpx.ASGITransport(FakeAttio(world, TestClock()))
    assert asyncio.run(source_over(transport).object_id()) == world.object_ids["people"]
    wrong = asyncio.run(source_over(transport, object="persons").object_id())
    assert isinstance(wrong, Failure)
    assert "there are: companies, people" in wrong.message


ERROR = {"status_code": 400, "type": "invalid_request_error", "code": "filter_error", "message": "Bad."}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(429), FailureKind.RATE_LIMITED),
        (httpx.Response(500, json={"message": "no"}), FailureKind.UNAVAILABLE),
        (httpx.Response(502, html="<h1>Bad Gateway</h1>"), FailureKind.UNAVAILABLE),
        (httpx.Response(503, text="Service Unavailable"), FailureKind.UNAVAILABLE),
        (httpx.Response(504, content=b"\xff\xfe"), FailureKind.UNAVAILABLE),
        (httpx.Response(400, json=ERROR), FailureKind.BAD_REQUEST),
        (httpx.Response(302, headers={"Location": "/"}), FailureKind.BAD_REQUEST),
        (httpx.Response(401, json={"code": "unauthorized"}), FailureKind.UNAUTHORIZED),
        (httpx.Response(403, json={"code": "billing_error"}), FailureKind.FORBIDDEN),
        (httpx.Response(404, json={"code": "not_found"}), FailureKind.NOT_FOUND),
        (httpx.Response(404, json={"code": "merge_in_progress"}), FailureKind.UNAVAILABLE),
        (httpx.Response(408), FailureKind.TIMEOUT),
        (httpx.Response(200, content=b""), FailureKind.MALFORMED),
        (httpx.Response(200, content=b'{"data": [{"id"'), FailureKind.MALFORMED),
        (httpx.Response(200, json={"data": None}), FailureKind.MALFORMED),
        (httpx.Response(200, json={"rows": []}), FailureKind.MALFORMED),
        (httpx.Response(200, json=[]), FailureKind.MALFORMED),
        (httpx.Response(200, html="<h1>Hello</h1>"), FailureKind.MALFORMED),
        (httpx.ConnectError("refused"), FailureKind.UNAVAILABLE),
        (httpx.ConnectTimeout("slow"), FailureKind.TIMEOUT),
        (httpx.ReadTimeout("slow"), FailureKind.TIMEOUT),
        (httpx.PoolTimeout("busy"), FailureKind.TIMEOUT),
        (httpx.ReadError("reset"), FailureKind.UNAVAILABLE),
        (httpx.RemoteProtocolError("peer closed"), FailureKind.UNAVAILABLE),
    ],
)
def test_every_answer_that_is_no_page_becomes_a_failure_of_its_kind(
    answer: httpx.Response | Exception, kind: FailureKind
) -> None:
    failure = fetched(answer)
    assert isinstance(failure, Failure)
    assert failure.kind is kind
    assert failure.message.startswith("Attio")
    assert "key" not in failure.message or kind is FailureKind.UNAUTHORIZED


def test_a_body_cut_short_inside_its_compression_is_malformed() -> None:
    def cut(_request: httpx.Request) -> httpx.Response:
        body = gzip.compress(b'{"data": []}' * 100)
        return httpx.Response(
            200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(body[:-4] + b"zz")
        )

    failure = asyncio.run(answering(cut).fetch(REQUEST))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MALFORMED


def test_a_body_past_the_limit_is_refused_before_it_is_read_to_its_end() -> None:
    read = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                read.append(1)
                yield b"x" * 1_000_000

    source = answering(lambda _request: httpx.Response(200, stream=Endless()))
    source._api._body_bytes_max = 3_000_000
    failure = asyncio.run(source.fetch(REQUEST))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TOO_LARGE
    assert len(read) == 4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sat, 23 May 2026 14:42:05 GMT", "Date": "Sat, 23 May 2026 14:42:01 GMT"}, 4.0),
        ({"Retry-After": "Sat, 23 May 2020 14:42:05 GMT", "Date": "Sat, 23 May 2026 14:42:01 GMT"}, 0.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT", "Date": "yesterday"}, 9.0),
        ({"Retry-After": "whenever"}, None),
        ({"Retry-After": "Sat, 23 May 2026 14:42:05 GMT", "Date": "Sat, 23 May 2026 14:42:01 -0000"}, 4.0),
        ({}, None),
    ],
)
def test_retry_after_is_measured_against_the_servers_own_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    failure = fetched(httpx.Response(429, headers=headers))
    assert isinstance(failure, Failure)
    assert failure.retry_after_s == pytest.approx(seconds, abs=0.001)


def test_of_two_dates_the_first_counts() -> None:
    """A proxy, or a server behind one, adds its own."""
    dates = [("Date", "Sat, 23 May 2026 14:42:01 GMT"), ("Date", "Sat, 23 May 2026 14:42:03 GMT")]
    until = ("Retry-After", "Sat, 23 May 2026 14:42:05 GMT")
    failure = fetched(httpx.Response(429, headers=[*dates, until]))
    assert isinstance(failure, Failure)
    assert failure.retry_after_s == pytest.approx(4.0, abs=0.001)


def person(**changes: object) -> dict[str, object]:
    values = {"created_at": [{"value": "2026-01-01T00:00:00.000000000Z"}]}
    return {"id": {"record_id": "r1"}, "values": values, **changes}


@pytest.mark.parametrize(
    ("row", "record_id", "problem"),
    [
        (person(), "r1", ""),
        (person(id={}), "", "missing required field `record_id`"),
        (person(id={"record_id": ""}), "", "has no record id"),
        (person(id=None), "", "Expected `object`"),
        (person(values={}), "r1", "missing required field `created_at`"),
        (person(values={"created_at": []}), "r1", "values.created_at is empty"),
        (person(values={"created_at": [{"value": "soon"}]}), "r1", "is not a timestamp"),
        ("a text", "", "Expected `object`"),
        (None, "", "Expected `object`"),
    ],
)
def test_a_row_without_place_or_id_is_a_record_with_a_problem_and_no_failure(
    row: object, record_id: str, problem: str
) -> None:
    page = fetched(httpx.Response(200, json={"data": [row]}))
    assert isinstance(page, Page)
    (record,) = page.records
    assert record.id == record_id
    assert problem in record.problem
    assert bool(record.problem) is bool(problem)
    assert msgspec.json.decode(record.raw) == row


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\ude00 cut", "\ufffd cut"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\uD83D\uDE00", "\U0001f600"),
    ],
)
def test_half_a_character_in_a_name_does_not_keep_the_page_from_being_read(name: bytes, kept: str) -> None:
    row = msgspec.json.encode(person(note="NAME")).replace(b"NAME", name)
    broken = msgspec.json.encode(person(note="HALF")).replace(b"HALF", rb"\udc00")
    page = fetched(httpx.Response(200, content=b'{"data": [' + row + b"," + broken + b"]}"))
    assert isinstance(page, Page)
    assert msgspec.json.decode(page.records[0].raw)["note"] == kept
    assert [record.problem for record in page.records] == ["", ""]


def test_a_second_sort_that_is_refused_is_left_out_from_then_on() -> None:
    bodies = []

    def refuse(request: httpx.Request) -> httpx.Response:
        body = msgspec.json.decode(request.content)
        bodies.append(body)
        refused = len(body["sorts"]) > 1
        return httpx.Response(400, json=ERROR) if refused else httpx.Response(200, json={"data": []})

    async def twice() -> None:
        source = answering(refuse)
        for _ in range(2):
            page = await source.fetch(REQUEST)
            assert isinstance(page, Page)
            assert not page.is_total

    asyncio.run(twice())
    assert [len(body["sorts"]) for body in bodies] == [2, 1, 1]


def test_parameters_go_into_the_body_and_the_default_order_asks_for_no_sort() -> None:
    seen = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"data": []})

    by_id = PageRequest(cursor=50, offset=44, limit=57, order="id")
    asyncio.run(answering(keep).fetch(by_id))
    assert str(seen[0].url) == f"{BASE_URL}/v2/objects/people/records/query"
    assert msgspec.json.decode(seen[0].content) == {"limit": 57, "offset": 44}
    assert seen[0].headers["Authorization"] == "Bearer key"


def test_records_are_asked_for_by_id_with_a_filter_and_neither_order_nor_offset() -> None:
    seen = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(msgspec.json.decode(request.content))
        return httpx.Response(200, json={"data": []})

    listed = PageRequest(cursor=50, offset=50, limit=2, order="newest", record_ids=("r2", "r1"))
    asyncio.run(answering(keep).fetch(listed))
    assert seen == [{"filter": {"record_id": {"$in": ["r2", "r1"]}}, "limit": 2, "offset": 0}]


def test_in_the_order_of_ids_a_record_needs_no_more_than_an_id() -> None:
    row = person(values={})
    source = answering(lambda _request: httpx.Response(200, json={"data": [row]}))
    page = asyncio.run(source.fetch(PageRequest(cursor=None, offset=0, limit=10, order="id")))
    assert isinstance(page, Page)
    assert [(record.id, record.key, record.problem) for record in page.records] == [("r1", "r1", "")]


def test_the_page_is_as_of_what_the_server_says() -> None:
    headers = {"x-accurate-at": "2026-05-16T01:33:20.038000000Z"}
    page = fetched(httpx.Response(200, headers=headers, json={"data": []}))
    assert isinstance(page, Page)
    assert page.as_of.isoformat() == "2026-05-16T01:33:20.038000+00:00"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-02-03T09:14:26.871000000Z", "2026-02-03T09:14:26.871000000Z"),
        ("2026-02-03T09:14:26.871Z", "2026-02-03T09:14:26.871000000Z"),
        ("2026-02-03T09:14:26Z", "2026-02-03T09:14:26.000000000Z"),
        ("2026-02-03T10:14:26+01:00", "2026-02-03T09:14:26.000000000Z"),
        ("2026-02-03T09:14:26", "2026-02-03T09:14:26.000000000Z"),
    ],
)
def test_timestamps_are_brought_to_one_form_so_that_text_order_is_time_order(text: str, normal: str) -> None:
    assert normal_timestamp(text) == normal


@pytest.mark.parametrize(
    ("key", "base_url", "words"),
    [
        ("", BASE_URL, "set ATTIO_API_KEY"),
        ("  ", BASE_URL, "set ATTIO_API_KEY"),
        ("kéy", BASE_URL, "copy it again"),
        ("key\nkey", BASE_URL, "copy it again"),
        ("key", "api.attio.com", "must start with https://"),
        ("key", "ftp://api.attio.com", "must start with https://"),
        ("key", "http://", "must start with https://"),
        ("key", "http://[", "must start with https://"),
    ],
)
def test_a_key_or_a_url_that_cannot_work_is_refused_without_showing_the_key(
    key: str, base_url: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        AttioSource(key, base_url=base_url)
    assert "kéy" not in str(refused.value)


def test_the_name_of_a_source_is_its_kind_and_where_it_is_if_it_is_elsewhere() -> None:
    assert AttioSource("key", base_url="https://proxy.test/attio/").name == "attio:https://proxy.test/attio"
    assert AttioSource("key").name == "attio"


KEY = "planted-key-0123456789"
SAID = {"code": f"{KEY} ada@x.example", "message": f"{KEY} may not see ada@x.example", "type": KEY}


def texts_of(thing: object) -> str:
    """Return all that an object, or an error and those behind it, shows of itself."""
    shown = f"{thing} {thing!r}"
    if isinstance(thing, BaseException):
        shown += "".join(texts_of(behind) for behind in (thing.__cause__, thing.__context__) if behind)
    return shown


@pytest.mark.parametrize(
    "base_url",
    [
        f"https://{KEY}@api.test",
        f"https://me:{KEY}@api.test",
        f"https://me%3A{KEY}%40api.test",
        f"https://api.test/{KEY}",
        f"https://api.test/?key={KEY}",
        f"https://api.test/#{KEY}",
        f"{KEY}://api.test",
        f"https://{KEY}:port",
    ],
)
def test_a_url_that_holds_a_secret_is_refused_without_showing_it(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="the base URL") as refused:
        AttioSource(KEY, base_url=base_url)
    assert KEY not in texts_of(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(status, json=SAID) for status in (400, 401, 403, 404, 429, 500)),
        httpx.Response(302, headers={"Location": f"https://{KEY}@x.test"}),
        httpx.Response(429, headers={"Retry-After": KEY, "Date": KEY, "Content-Length": KEY}),
        httpx.Response(200, text=f'{{"data": ["{KEY}'),
        httpx.RemoteProtocolError(f"illegal header line: {KEY} ada@x.example"),
        httpx.ReadError(f"{KEY} ada@x.example"),
        httpx.DecodingError(KEY),
    ],
)
def test_nothing_that_a_server_says_is_repeated_but_a_code(answer: httpx.Response | Exception) -> None:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    source = AttioSource(KEY, base_url=BASE_URL, clock=TestClock(), transport=httpx.MockTransport(respond))
    failures = asyncio.run(source.fetch(REQUEST)), asyncio.run(source.check())
    shown = texts_of(failures) + texts_of(source) + texts_of(source._api)
    assert KEY not in shown
    assert "ada@" not in shown


def test_the_code_of_an_error_is_repeated_and_its_sentence_is_not() -> None:
    failure = fetched(httpx.Response(400, json=ERROR))
    assert isinstance(failure, Failure)
    assert failure.message == "Attio answered 400 filter_error: it refuses what was asked."


def test_a_key_that_a_record_repeats_is_taken_out_before_anybody_reads_it() -> None:
    row = person(web_url=f"https://x.test/{KEY}")
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"data": [row]}))
    source = AttioSource(KEY, base_url=BASE_URL, clock=TestClock(), transport=transport)
    page = asyncio.run(source.fetch(REQUEST))
    assert isinstance(page, Page)
    assert msgspec.json.decode(page.records[0].raw)["web_url"] == "https://x.test/[redacted]"


def test_requests_keep_the_rate_limit_in_the_clocks_own_time() -> None:
    clock = TestClock()
    times = []

    def keep(_request: httpx.Request) -> httpx.Response:
        times.append(clock.at)
        return httpx.Response(200, json={"data": []})

    async def many() -> None:
        source = AttioSource(
            "key", base_url=BASE_URL, clock=clock, transport=httpx.MockTransport(keep), reads_per_s=5
        )
        for _ in range(23):
            await source.fetch(REQUEST)

    asyncio.run(many())
    gaps = [(last - first).total_seconds() for first, last in zip(times, times[5:], strict=False)]
    assert min(gaps) >= 1.0
    assert clock.slept_s < 5.0


def test_a_query_whose_score_is_too_high_ends_the_sync_after_so_many_attempts_and_can_be_taken_up() -> None:
    clock = TestClock()
    fake = FakeAttio(World(1, people=1500, now=EPOCH), clock, score_query_max=1)
    source = AttioSource("key", base_url=BASE_URL, clock=clock, transport=httpx.ASGITransport(fake))
    with open_log(":memory:") as log:
        engine = Engine(log, source, DictSink(), to_items, clock=clock)
        process = asyncio.run(engine.sync())
    assert (process.state, process.is_resumable) == (State.FAILED, True)
    queries = fake.requests["POST", "/v2/objects/{object}/records/query", 429]
    assert 1 < queries <= source.options.attempts_max + 1


DATE = "Sat, 16 May 2026 12:00:00 GMT"
SENT_AT = datetime(2026, 5, 16, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "as_of"),
    [
        ({"Date": DATE}, SENT_AT),
        ({"Date": DATE, "x-accurate-at": "2026-05-16T11:59:30Z"}, SENT_AT - timedelta(seconds=30)),
        ({"Date": DATE, "x-accurate-at": "2026-05-16T12:00:00.9Z"}, SENT_AT + timedelta(milliseconds=900)),
        ({"Date": DATE, "x-accurate-at": "2026-05-16T12:00:01Z"}, SENT_AT),
        ({"Date": DATE, "x-accurate-at": "2027-05-16T12:00:00Z"}, SENT_AT),
        ({"Date": DATE, "x-accurate-at": "0001-01-01T00:00:00+14:00"}, SENT_AT),  # before any calendar
        ({"Date": DATE, "x-accurate-at": "soon"}, SENT_AT),
        ([("Date", DATE), ("Date", "Sun, 17 May 2026 12:00:00 GMT")], SENT_AT),
    ],
)
def test_the_moment_of_an_answer_goes_by_the_servers_clock_and_is_never_ahead_of_it(
    headers: Any, as_of: datetime
) -> None:
    page = fetched(httpx.Response(200, json={"data": []}, headers=headers))
    assert isinstance(page, Page)
    assert (page.as_of, page.is_dated) == (as_of, True)


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}, {"Date": "Sat, 99 May 2026 12:00:00 GMT"}])
def test_only_where_the_server_says_no_time_at_all_ours_counts(headers: dict[str, str]) -> None:
    page = fetched(httpx.Response(200, json={"data": []}, headers=headers))
    assert isinstance(page, Page)
    assert not page.is_dated
    assert timedelta(0) < page.as_of - TestClock().at < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("off", "headers", "watermark"),
    [
        (timedelta(days=1), {"Date": DATE}, SENT_AT),
        (timedelta(days=-1), {"Date": DATE}, SENT_AT),
        (timedelta(days=-1), {"x-accurate-at": "2026-05-16T12:00:00Z"}, SENT_AT - timedelta(days=1)),
        (timedelta(days=-400), {"Date": DATE}, SENT_AT - timedelta(days=400)),  # who knows which is wrong
    ],
)
def test_a_watermark_goes_by_the_servers_date_and_not_by_a_clock_that_is_off(
    off: timedelta, headers: dict[str, str], watermark: datetime
) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"active": True, "data": {"id": {"object_id": "o"}}})
        return httpx.Response(200, json={"data": []}, headers=headers)

    clock = TestClock()
    clock.at = SENT_AT + off
    source = answering(respond)
    with open_log(":memory:") as log:
        engine = Engine(log, source, DictSink(), to_items, clock=clock)
        process = asyncio.run(engine.sync())
    assert process.watermark is not None
    assert abs(process.watermark - watermark) < timedelta(seconds=1)


class _Trickling(httpx.AsyncByteStream):
    """A body of which something always comes in time, and never all of it."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"data": ['
        while True:
            await VirtualClock().sleep(20)
            yield b" "


def test_an_answer_that_trickles_in_is_a_timeout_after_as_long_as_a_request_may_take() -> None:
    async def run() -> tuple[Page | Failure, float]:
        source = answering(lambda _request: httpx.Response(200, stream=_Trickling()))
        began_s = VirtualClock().monotonic()
        return await source.fetch(REQUEST), VirtualClock().monotonic() - began_s

    answer, took_s = run_virtual(run())
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.is_retryable, took_s) == (FailureKind.TIMEOUT, True, 120.0)
    assert answer.message == "Attio did not answer in full within 120 s (request_s_max)."


def test_a_sync_that_is_given_another_deadline_tells_its_source_of_it_and_tries_again() -> None:
    trickles = [True]

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"active": True, "data": {"id": {"object_id": "o"}}})
        if trickles:
            trickles.pop()
            return httpx.Response(200, stream=_Trickling())
        return httpx.Response(200, json={"data": []})

    async def run() -> tuple[list[Any], float]:
        source = answering(respond)
        with open_log(":memory:") as log:
            engine = Engine(log, source, DictSink(), to_items, clock=VirtualClock())
            began_s = VirtualClock().monotonic()
            process = await engine.sync(options=replace(source.options, request_s_max=7.0))
            events = [recorded.event for recorded in log.read(process.id)]
            assert process.state is State.COMPLETED
            return events, VirtualClock().monotonic() - began_s

    events, took_s = run_virtual(run())
    (retry,) = (event for event in events if isinstance(event, RetryScheduled))
    assert (retry.cause, retry.error) == (
        "timeout",
        "Attio did not answer in full within 7 s (request_s_max).",
    )
    assert 7.5 <= took_s < 8


def test_a_client_that_was_told_to_wait_asks_nothing_before_and_says_how_long_it_still_is() -> None:
    asked_at: list[float] = []

    def respond(_request: httpx.Request) -> httpx.Response:
        asked_at.append(asyncio.get_running_loop().time())
        if len(asked_at) == 1:
            return httpx.Response(429, headers={"Retry-After": "60"})
        return httpx.Response(200, json={"data": []})

    async def run() -> None:
        source = AttioSource(
            "key", base_url=BASE_URL, clock=VirtualClock(), transport=httpx.MockTransport(respond)
        )
        for after_s, left_s in ((0, 60.0), (20, 40.0), (30, 10.0)):
            await asyncio.sleep(after_s)
            names = await source.company_names(["c1"])
            assert isinstance(names, Failure)
            assert names.kind is FailureKind.RATE_LIMITED
            assert names.retry_after_s == pytest.approx(left_s)
        await asyncio.sleep(10)
        assert isinstance(await source.fetch(REQUEST), Page)

    run_virtual(run())
    assert asked_at == [0, 60]

"""A JSON API whose pages have numbers, and which says how many records there are.

    GET /people?page=3&per_page=50  →  {"people": [...], "total": 1234}

Many such APIs are alike but for their names, so the names are data: `NumberedApi`. The key is a bearer
token, pages count from 1, and the records and their total are fields of the answer itself. Pages are asked
for in changing sizes (`windows.py` says why), so the API must take any size up to its limit and keep its
rows in the order asked for. An API that cuts a page shorter than it was asked for would shift every page
after it, so that is a failure, not an end.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import msgspec

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.limits import own_rules
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.source_name import named_source
from syncfsm.core.value import Value
from syncfsm.outside.authorization import Authorization, Key
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.decoding import COUNT_MAX, Decoder, NoTimestamp
from syncfsm.outside.safe_words import plain_url
from syncfsm.sources.attio.wire import normal_timestamp
from syncfsm.sources.protocol import Page, Record

if TYPE_CHECKING:
    import httpx

_DIGITS = 20

_Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
_fields = Decoder(dict[str, msgspec.Raw])
_rows = Decoder(list[msgspec.Raw])
_totals: Decoder[int] = Decoder(_Count)
_texts = Decoder(str)
_ids: Decoder[str | int] = Decoder(str | _Count)


class _Answer(msgspec.Struct, frozen=True):
    """The rows that came, not looked at yet, and how many the API says there are in all."""

    rows: list[msgspec.Raw]
    total: int
    sent_at: datetime | None

    @property
    def count(self) -> int:
        """How many rows came."""
        return len(self.rows)


class NumberedApi(Value, frozen=True):
    """What an API calls things.

    Attributes:
        service: The API's name, for messages.
        kind: What contacts and logs call it.
        path: Where its records are; one record is at `path/ID`.
        rows: The field of an answer that has the records.
        total: The field that says how many there are in all.
        page: The parameter for a page's number, counted from 1.
        size: The parameter for the records in a page.
        id: The field of a record that has its id: text or a number.
        created_at: The field that has its creation: a timestamp, which never changes.
        orders: The parameters that ask for an order, for each order that the API has. Ties in `created_at`
            must come by ascending id.
        limit_max: The most records in a page.
        reads_per_s: The most requests in any one second.
    """

    service: str
    kind: str
    path: str
    rows: str
    orders: dict[Order, dict[str, str]]
    total: str = "total"
    page: str = "page"
    size: str = "per_page"
    id: str = "id"
    created_at: str = "created_at"
    limit_max: int = 100
    reads_per_s: int = 10


class NumberedSource:
    """The records of a JSON API whose pages have numbers.

    Args:
        api: What the API calls things.
        api_key: Sent as a bearer token; or who provides it.
        base_url: Where the API is.
        clock: For the rate limit, and for the instant that a page is of.
        transport: Where requests go; the network if `None`.
        options: The limits of its syncs.
        account: The name of the account, where one log or sink has several; see `SourceName`.

    Raises:
        ConfigurationError: The key, the URL or the name of the account cannot be used.
    """

    heeds_since = False
    changed_by = None

    def __init__(
        self,
        api: NumberedApi,
        api_key: Key,
        *,
        base_url: str,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        options: Options | None = None,
        account: str = "",
    ) -> None:
        from syncfsm.outside.http import HttpClient  # noqa: PLC0415 - a client is loaded when it is used

        self._names = api
        self._clock = clock or SystemClock()
        self._api = HttpClient(
            api.service,
            base_url,
            Authorization(api.service, api_key, scheme="Bearer"),
            clock=self._clock,
            transport=transport,
            per_s=api.reads_per_s,
        )
        self.object = api.rows
        self.reads_per_s = api.reads_per_s
        self.orders = tuple(api.orders)
        self.options = own_rules(options, Options(pagination="page", limit_max=api.limit_max))
        self.heed(self.options)
        named = named_source(api.kind, account, plain_url(base_url))
        self.kind, self.name = named.items_source, str(named)

    async def check(self) -> dict[str, str] | Failure:
        """Check the key, the names, and that a page may be as large as any that will be asked for."""
        limit = self.options.limit_max
        answer = await self._asked(PageRequest(cursor=None, offset=0, limit=limit, order=self.orders[0]))
        if isinstance(answer, Failure):
            return answer
        if answer.count < min(limit, answer.total):
            return _cut(self._names, answer.count, min(limit, answer.total), is_sure=limit < answer.total)
        return {"object": self.object}

    async def fetch(self, request: PageRequest) -> Page | Failure:
        """Return the rows for one request. See `Source.fetch`."""
        as_of = self._clock.now()  # before it is asked: the page is of no earlier instant
        if request.record_ids:
            return await self._listed(request, as_of)
        answer = await self._asked(request)
        if isinstance(answer, Failure):
            return Page(records=(), as_of=as_of) if _is_past_the_end(request, answer) else answer
        left = max(0, answer.total - request.offset)
        if answer.count not in {request.limit, min(request.limit, left)}:
            return _cut(self._names, answer.count, min(request.limit, left))
        records = tuple(self._record(row, request.order) for row in answer.rows)
        is_dated = answer.sent_at is not None
        return Page(records=records, as_of=answer.sent_at or as_of, total=answer.total, is_dated=is_dated)

    def heed(self, options: Options) -> None:
        """See `Limited.heed`."""
        self._api.heed(options)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _asked(self, request: PageRequest) -> _Answer | Failure:
        """Ask for one page; return what came, however many rows that are."""
        names = self._names
        asked = {names.page: request.number, names.size: request.limit, **names.orders[request.order]}
        reply = await self._api.request("GET", f"{names.path}?{urlencode(asked)}")
        if isinstance(reply, Failure):
            return reply
        fields = _fields.decoded(reply.body)
        rows = _rows.decoded(fields.get(names.rows, b"")) if fields else None
        total = _totals.decoded(fields.get(names.total, b"")) if fields else None
        if rows is None or total is None:
            words = f"{names.service} answered without {names.rows!r} or {names.total!r}."
            return Failure(kind=FailureKind.MALFORMED, message=words)
        return _Answer(rows, total, reply.sent_at)

    async def _listed(self, request: PageRequest, as_of: datetime) -> Page | Failure:
        """Return records by their ids, one request for each."""
        records = []
        for record_id in request.record_ids:
            path = f"{self._names.path}/{quote(record_id, safe='')}"
            reply = await self._api.request("GET", path)
            if not isinstance(reply, Failure):
                records.append(self._record(reply.body, request.order))
            elif reply.kind is not FailureKind.NOT_FOUND:
                return reply
        return Page(records=tuple(records), as_of=as_of)

    def _record(self, row: Any, order: Order) -> Record:
        raw = bytes(row)
        fields = _fields.decoded(raw) or {}
        record_id, place = _id(fields.get(self._names.id, b""))
        created_at = _texts.decoded(fields.get(self._names.created_at, b"")) or ""
        if not record_id:
            return Record(id="", key="", raw=raw, problem=f"has no {self._names.id!r}")
        if order == "id":
            return Record(id=record_id, key=place, raw=raw)
        try:
            return Record(id=record_id, key=normal_timestamp(created_at), raw=raw)
        except NoTimestamp:
            problem = f"{self._names.created_at!r} is not a timestamp"
            return Record(id=record_id, key="", raw=raw, problem=problem)


def _id(body: Any) -> tuple[str, str]:
    """Return an id and its place in the order of ids; numbers are in order as numbers."""
    value = _ids.decoded(body)
    if isinstance(value, int):
        return str(value), f"{value:0{_DIGITS}}"
    return value or "", value or ""


def _is_past_the_end(request: PageRequest, failure: Failure) -> bool:
    """Whether a page is one that the API does not have, as many say by a 404; the first is always there.

    An empty page is not believed to be the end: the page rule steps back to a row that it knows.
    """
    return failure.kind is FailureKind.NOT_FOUND and request.number > 1


def _cut(names: NumberedApi, count: int, there: int, *, is_sure: bool = False) -> Failure:
    """Refuse a page that is not as long as it must be: the rows of all after it would be others.

    Args:
        names: Whose page.
        count: Rows that came.
        there: Rows that the API says it has there, as many as were asked for at most.
        is_sure: Whether that cannot come of rows that moved between the answer's rows and its total.
    """
    words = f"gave {count} records where it has {there}; does it take no more in a page than that?"
    mend = f" If so, let limit_max be {count}." if is_sure else ""
    kind = FailureKind.BAD_REQUEST if is_sure else FailureKind.MALFORMED
    return Failure(kind=kind, message=f"{names.service} {words}{mend}")

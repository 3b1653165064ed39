"""AxisCare: the clients of an agency by `GET /api/clients`, each page of which names the next one by a URL.

An answer is `{"results": {"clients": [...], "nextPage": URL or null}, "errors": null or [...]}`. An empty
page may name a next one, since clients share their numbers with other people. Clients come by ascending id,
and the next page begins after an id (`startAfterId`), so that nothing that comes or goes meanwhile moves
anybody past a page. That id is all that is taken of the URL, once it is seen to lead where the key may go,
and all that the log keeps: so no log can name a host, and nothing else that a URL may hold gets into one.
Nothing is documented about rate limits. A client's record id says what it is (`client-17`): AxisCare numbers
each kind of people by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs, urlencode

import msgspec

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.limits import own_rules
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Reject
from syncfsm.core.source_name import named_source
from syncfsm.items.contact import Contact
from syncfsm.outside.authorization import Authorization, Key
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.decoding import COUNT_MAX, Decoder, Undecodable
from syncfsm.outside.safe_words import plain_url
from syncfsm.sources.protocol import Page, Record, Transformed

if TYPE_CHECKING:
    import httpx

    from syncfsm.outside.http import Reply

KIND = "axiscare"
KEY_VARIABLE = "AXISCARE_API_KEY"
API_VERSION = "2023-10-01"
PATH = "/api/clients"
LIMIT_MAX = 500
READS_PER_S = 10
"""No limit is documented; this many a second disturb nobody."""

AFTER = "startAfterId"
_ASKED = {AFTER, "limit"}
"""What the URL of a next page says; with more than this, following it by its id could lead elsewhere."""

_ID = re.compile(r"[0-9]{1,20}")
_PREFIX = "client-"
_DIGITS = 20


class _Results(msgspec.Struct):
    clients: list[msgspec.Raw]
    nextPage: str | None  # noqa: N815 - AxisCare's word


class _Answer(msgspec.Struct):
    results: _Results
    errors: list[Any] | None = None


class _One(msgspec.Struct):
    results: msgspec.Raw
    errors: list[Any] | None = None


class _Numbered(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


_answers = Decoder(_Answer)
_ones = Decoder(_One)
_numbers = Decoder(_Numbered)


class AxisCareSource:
    """The clients of an AxisCare agency.

    Args:
        api_key: The agency's key, or who provides it.
        base_url: Where the agency is: `https://AGENCY.axiscare.com`.
        clock: For the rate limit, and for the instant that a page is of.
        transport: Where requests go; the network if `None`.
        reads_per_s: The most requests in any one second.
        options: The limits of its syncs.
        account: The name of the account, where one log or sink has several; see `SourceName`.

    Raises:
        ConfigurationError: The key, the URL or the name of the account cannot be used.
    """

    object = "clients"
    orders: tuple[Order, ...] = ("id",)
    heeds_since = False
    changed_by = None

    def __init__(
        self,
        api_key: Key,
        *,
        base_url: str,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        reads_per_s: int = READS_PER_S,
        options: Options | None = None,
        account: str = "",
    ) -> None:
        from syncfsm.outside.http import HttpClient  # noqa: PLC0415 - a client is loaded when it is used

        self._clock = clock or SystemClock()
        self._api = HttpClient(
            "AxisCare",
            base_url,
            Authorization(
                "AxisCare", api_key, missing=f"there is no AxisCare key: set {KEY_VARIABLE}", scheme="Bearer"
            ),
            clock=self._clock,
            transport=transport,
            per_s=reads_per_s,
        )
        self._clients_at = _place(f"{base_url.rstrip('/')}{PATH}")
        self.reads_per_s = reads_per_s
        self.options = own_rules(options, Options(pagination="cursor", limit_max=LIMIT_MAX))
        self.heed(self.options)
        named = named_source(KIND, account, plain_url(base_url))
        self.kind, self.name = named.items_source, str(named)

    async def check(self) -> dict[str, str] | Failure:
        """Check the key, by asking for one client."""
        reply = await self._get(f"{PATH}?limit=1")
        if isinstance(reply, Failure):
            return reply
        page = self._page(reply, self._clock.now())
        return page if isinstance(page, Failure) else {"object": self.object}

    async def fetch(self, request: PageRequest) -> Page | Failure:
        """Return the rows for one request. See `Source.fetch`."""
        as_of = self._clock.now()  # before it is asked: the page is of no earlier instant
        if request.record_ids:
            return await self._listed(request.record_ids, as_of)
        assert request.order == "id", "AxisCare gives its clients by id only"
        if request.token is not None and not _ID.fullmatch(request.token):
            return _lost("was to go on after something that is no client's number")
        after = {} if request.token is None else {AFTER: request.token}
        reply = await self._get(f"{PATH}?{urlencode({**after, 'limit': request.limit})}")
        if isinstance(reply, Failure):
            return _refused_to_go_on(reply) if request.token else reply
        return self._page(reply, as_of)

    def heed(self, options: Options) -> None:
        """See `Limited.heed`."""
        self._api.heed(options)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _get(self, url: str) -> Reply | Failure:
        return await self._api.request("GET", url, headers={"X-AxisCare-Api-Version": API_VERSION})

    def _page(self, reply: Reply, as_of: datetime) -> Page | Failure:
        answer = _answers.decoded(reply.body)
        if answer is None:
            return _not_promised("answered something else than clients and the next page")
        if answer.errors:
            return _not_promised("answered with errors beside its clients, so that some may be missing")
        rows, url = tuple(map(_to_record, answer.results.clients)), answer.results.nextPage
        sent_at = reply.sent_at
        page = Page(records=rows, as_of=sent_at or as_of, is_dated=sent_at is not None)
        if url is None:
            return page
        if _place(url) is None or _place(url) != self._clients_at:
            return _misdirected("that is not where it has its clients, so that the key must not go there")
        after = _named_after(url)
        if after is None:
            return _misdirected("by more, or something else, than the client after whom it begins")
        return msgspec.structs.replace(page, next_token=after)

    async def _listed(self, record_ids: Sequence[str], as_of: datetime) -> Page | Failure:
        """Return clients by their ids, one request for each."""
        records = []
        for record_id in record_ids:
            number = record_id.removeprefix(_PREFIX)
            if not number.isdecimal():
                continue  # nobody has such an id
            reply = await self._get(f"{PATH}/{number}")
            if isinstance(reply, Failure):
                if reply.kind is FailureKind.NOT_FOUND:
                    continue
                return reply
            one = _ones.decoded(reply.body)
            if one is None:
                return _not_promised("answered something else than a client")
            records.append(_to_record(one.results))
        return Page(records=tuple(records), as_of=as_of)


def _to_record(row: msgspec.Raw) -> Record:
    raw = bytes(row)
    try:
        number = str(_numbers.decode(raw).id)
    except Undecodable as error:
        return Record(id="", key="", raw=raw, problem=f"cannot be placed: {error}")
    return Record(id=f"{_PREFIX}{number}", key=number.zfill(_DIGITS), raw=raw)


def _place(url: str) -> tuple[str, str, int | None, str] | None:
    """Return where a URL leads: scheme, host, port and path, in one way of writing; `None` if to nowhere."""
    from httpx import URL, InvalidURL  # noqa: PLC0415 - a client is loaded when it is used

    try:
        named = URL(url)
    except (InvalidURL, ValueError):
        return None
    if not url.isascii() or not url.isprintable() or named.userinfo or named.fragment or not named.host:
        return None
    return named.scheme, named.host, named.port, named.path


def _named_after(url: str) -> str | None:
    """Return the number of the client after whom a next page begins; `None` if the URL says anything else."""
    asked = parse_qs(url.partition("?")[2], keep_blank_values=True)
    after = asked.get(AFTER, [])
    is_plain = len(after) == 1 and _ID.fullmatch(after[0]) and asked.keys() <= _ASKED
    return after[0] if is_plain else None


def _misdirected(words: str) -> Failure:
    """Refuse a next page, in words that do not repeat it."""
    return Failure(kind=FailureKind.MISDIRECTED, message=f"AxisCare named a next page {words}.")


def _refused_to_go_on(failure: Failure) -> Failure:
    """Say what a next page means that is refused: no end, and no wrong request, but a place that is lost."""
    if failure.kind not in {FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST}:
        return failure
    said = failure.message.removeprefix("AxisCare ").rstrip(".")
    return msgspec.structs.replace(
        _lost(f"{said}: the next page that it named is lost"), status=failure.status
    )


def _lost(words: str) -> Failure:
    return Failure(kind=FailureKind.CURSOR_LOST, message=f"AxisCare {words}.")


def _not_promised(words: str) -> Failure:
    return Failure(kind=FailureKind.MALFORMED, message=f"AxisCare {words}.")


# ── client → contact ─────────────────────────────────────────────────────────────────────────


class _Client(msgspec.Struct, rename="camel"):
    """What is read of a client; what is missing or null is left out."""

    id: int
    first_name: str | None = None
    goes_by: str | None = None
    last_name: str | None = None
    home_phone: str | None = None
    mobile_phone: str | None = None
    other_phone: str | None = None
    personal_email: str | None = None


_clients = Decoder(_Client)


class AxisCareClients:
    """The transform for AxisCare clients; the first name is the one that a client goes by."""

    def __init__(self, source: AxisCareSource) -> None:
        self._kind = source.kind

    async def __call__(self, records: Sequence[Record]) -> Transformed[Contact]:
        """Return the contacts of a page."""
        contacts, rejects = [], []
        for record in records:
            try:
                contacts.append(self._contact(record.id, _clients.decode(record.raw)))
            except Undecodable as error:
                rejects.append(Reject(record_id=record.id, reason=f"not a client: {error}"))
        return Transformed(items=tuple(contacts), rejects=tuple(rejects))

    def _contact(self, record_id: str, client: _Client) -> Contact:
        phones = (client.home_phone, client.mobile_phone, client.other_phone)
        return Contact(
            external_id=record_id,
            source=self._kind,
            first_name=client.goes_by or client.first_name or None,
            last_name=client.last_name or None,
            phone_numbers=tuple(filter(None, phones)),
            emails=tuple(filter(None, (client.personal_email,))),
        )

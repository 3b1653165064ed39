"""AxisCare: the clients of an agency by `GET /api/clients`, page after page by whole URLs.

An answer is `{"results": {"clients": [...], "nextPage": URL or null}, "errors": null or [...]}`. The URL
is followed as it is; an empty page may have one, since clients share their numbers with other people.
Clients come by ascending id, and the next page begins after an id (`startAfterId`), so that nothing that
comes or goes meanwhile moves anybody past a page. Nothing is documented about rate limits. A client's record
id says what it is (`client-17`): AxisCare numbers each kind of people by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from syncfsm.clock import Clock, SystemClock
from syncfsm.contact import Contact
from syncfsm.errors import ConfigurationError
from syncfsm.events import Reject
from syncfsm.failure import Failure, FailureKind
from syncfsm.options import Options, Order
from syncfsm.outside import REDACTED, holds
from syncfsm.pages import PageRequest
from syncfsm.sources.protocol import Page, Record, Transformed

if TYPE_CHECKING:
    import httpx

    from syncfsm.http import Reply

KIND = "axiscare"
KEY_VARIABLE = "AXISCARE_API_KEY"
API_VERSION = "2023-10-01"
PATH = "/api/clients"
LIMIT_MAX = 500
READS_PER_S = 10
"""No limit is documented; this many a second disturb nobody."""

URL_CHARS_MAX = 2048
"""A longer URL is no cursor; it is written into the log with every page."""

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
    id: int


class AxisCareSource:
    """The clients of an AxisCare agency.

    Args:
        api_key: The agency's key.
        base_url: Where the agency is: `https://AGENCY.axiscare.com`.
        clock: For the rate limit, and for the instant that a page is of.
        transport: Where requests go; the network if `None`.
        reads_per_s: The most requests in any one second.
        options: The limits of its syncs.

    Raises:
        ConfigurationError: The key or the URL cannot be used.
    """

    object = "clients"
    orders: tuple[Order, ...] = ("id",)

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        reads_per_s: int = READS_PER_S,
        options: Options | None = None,
    ) -> None:
        from syncfsm.http import HttpClient  # noqa: PLC0415 - a client is loaded when it is used

        if not api_key.strip():
            raise ConfigurationError(f"there is no AxisCare key: set {KEY_VARIABLE}")
        self._clock = clock or SystemClock()
        self._key = api_key.strip()
        self._base = urlsplit(base_url)
        self._api = HttpClient(
            "AxisCare",
            base_url,
            f"Bearer {self._key}",
            clock=self._clock,
            transport=transport,
            per_s=reads_per_s,
        )
        self.options = options or Options(pagination="cursor", limit_max=LIMIT_MAX)
        self.name = f"{KIND}:{base_url.rstrip('/')}"

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
        reply = await self._get(request.token or f"{PATH}?limit={request.limit}")
        if isinstance(reply, Failure):
            return _lost(reply) if request.token else reply
        return self._page(reply, as_of)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _get(self, url: str) -> Reply | Failure:
        return await self._api.request("GET", url, headers={"X-AxisCare-Api-Version": API_VERSION})

    def _page(self, reply: Reply, as_of: datetime) -> Page | Failure:
        try:
            answer = msgspec.json.decode(reply.body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _not_promised("answered something else than clients and the next page")
        if answer.errors:
            return _not_promised("answered with errors beside its clients, so that some may be missing")
        url = answer.results.nextPage
        if url is not None and (why := self._distrust(url)):
            return Failure(kind=FailureKind.MISDIRECTED, message=f"AxisCare named a next page {why}.")
        return Page(records=tuple(map(_to_record, answer.results.clients)), as_of=as_of, next_token=url)

    def _distrust(self, url: str) -> str:
        """Return why a URL is not followed, or nothing; the words do not repeat it."""
        if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable():
            return f"that is no URL, or has more than {URL_CHARS_MAX} characters"
        try:
            named = urlsplit(url)
        except ValueError:
            return "that is no URL"
        if (named.scheme, named.netloc) != (self._base.scheme, self._base.netloc):
            return "on another host, where the key must not go"
        if holds(url, self._key) or REDACTED in url:
            return "that holds the key, which must not be in the log"
        return ""

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
            try:
                records.append(_to_record(msgspec.json.decode(reply.body, type=_One).results))
            except (msgspec.DecodeError, UnicodeDecodeError):
                return _not_promised("answered something else than a client")
        return Page(records=tuple(records), as_of=as_of)


def _to_record(row: msgspec.Raw) -> Record:
    raw = bytes(row)
    try:
        number = str(msgspec.json.decode(raw, type=_Numbered).id)
    except msgspec.DecodeError as error:
        return Record(id="", key="", raw=raw, problem=f"cannot be placed: {error}")
    return Record(id=f"{_PREFIX}{number}", key=number.zfill(_DIGITS), raw=raw)


def _lost(failure: Failure) -> Failure:
    """Say what a page that cannot be found means: no end, but a cursor that leads nowhere any more."""
    if failure.kind not in {FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST}:
        return failure
    words = "the next page that it named is not there any more. Run again; if that fails too, start anew"
    return msgspec.structs.replace(failure, message=f"{failure.message.rstrip('.')}: {words}.")


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


_clients = msgspec.json.Decoder(_Client)


class AxisCareClients:
    """The transform for AxisCare clients; the first name is the one that a client goes by."""

    def __init__(self, source: AxisCareSource) -> None:
        self._kind = KIND
        self._source = source

    async def __call__(self, records: Sequence[Record]) -> Transformed[Contact]:
        """Return the contacts of a page."""
        contacts, rejects = [], []
        for record in records:
            try:
                contacts.append(self._contact(record.id, _clients.decode(record.raw)))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
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

"""Attio: pages of records by `POST /v2/objects/{object}/records/query`.

The API pages by limit and offset, gives no total and answers exactly `{"data": [...]}`. Sorting and
filtering see the attribute `values.created_at[0].value`, which differs from the record's own `created_at`
by seconds, so the attribute is the sort key here too. Nothing in a record says when it last changed, unless
the workspace keeps an attribute that does (`changed_by`). Only what paging needs is decoded; a record stays
as the bytes it came in. Source of the rules: https://docs.attio.com/rest-api (records, pagination, rate
limits).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from syncfsm.core.capture import Exchange, Recorder
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.limits import own_rules
from syncfsm.core.options import Options, Order, heed
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.source_name import named_source
from syncfsm.core.times import format_time
from syncfsm.errors import ConfigurationError
from syncfsm.outside.authorization import Authorization, Key
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.decoding import Decoder
from syncfsm.outside.safe_words import plain_url, uuid, word
from syncfsm.sources.attio.companies import look_up
from syncfsm.sources.attio.queries import listed_body, page_body, sorts_of
from syncfsm.sources.attio.singly import with_single_records
from syncfsm.sources.attio.wire import (
    Found,
    Objects,
    Token,
    accurate_at,
    decode_rows,
    to_record,
)
from syncfsm.sources.protocol import Page

if TYPE_CHECKING:
    import httpx

    from syncfsm.outside.http import Api, Reply

T = TypeVar("T")

KIND = "attio"
"""What contacts and logs call this source."""

BASE_URL = "https://api.attio.com"
READS_PER_S = 90
"""Attio allows 100 reads in a second; a tenth is left for requests that bunch up on the way."""

LIMIT_MAX = 500
"""Attio's default limit; no higher maximum is documented, so never more."""

KEY_VARIABLE = "ATTIO_API_KEY"
SCOPES = ("record_permission", "object_configuration")

_NO_KEY = f"there is no Attio key: set {KEY_VARIABLE}"

_UNKNOWN_ATTRIBUTE = "unknown_filter_attribute_slug"


class AttioSource:
    """The records of one object of an Attio workspace.

    Args:
        api_key: A workspace's access token, or who provides it; needs `record_permission:read` and
            `object_configuration:read`.
        object: The object's slug or id.
        base_url: Where the API is.
        clock: For the rate limit and for what the server does not date.
        transport: Where requests go; the network if `None`.
        reads_per_s: The most requests in any one second.
        options: The rules and limits of its syncs.
        changed_by: The slug of a timestamp attribute that the workspace sets whenever a record is created or
            changed. Ongoing syncs then bring changed records too; without it, new ones only.
        api: What answers in the place of the network: `attio_captured.CapturedApi`.
        account: The name of the account, where one log or sink has several; see `SourceName`.

    Raises:
        ConfigurationError: The key, the URL or the name of the account cannot be used.
    """

    orders: tuple[Order, ...] = ("newest", "oldest", "id")
    heeds_since = True
    heeds_from_key: tuple[Order, ...] = ("newest", "oldest")
    best_page_size = LIMIT_MAX - 1  # a request costs the same for any number of rows; one is the peek

    def __init__(
        self,
        api_key: Key,
        object: str = "people",  # noqa: A002 - Attio's word
        *,
        base_url: str = BASE_URL,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        reads_per_s: int = READS_PER_S,
        options: Options | None = None,
        changed_by: str | None = None,
        api: Api | None = None,
        account: str = "",
    ) -> None:
        from syncfsm.outside.http import HttpClient  # noqa: PLC0415 - a client is loaded when it is used

        if changed_by is not None and not word(changed_by):
            raise ConfigurationError("what records were changed by must be an attribute's slug: `updated_at`")
        self._clock = clock or SystemClock()
        self._has_lone_sort: set[Order] = set()
        self._recorder: Recorder | None = None
        self._api = api or HttpClient(
            "Attio",
            base_url,
            Authorization("Attio", api_key, missing=_NO_KEY, scheme="Bearer"),
            clock=self._clock,
            transport=transport,
            per_s=reads_per_s,
        )
        self.object = object
        self.reads_per_s = reads_per_s
        self.options = own_rules(options, Options(limit_max=LIMIT_MAX))
        self.heed(self.options)
        self.changed_by = changed_by
        self.ids_are_unique = True  # UUIDs
        url = plain_url(base_url)
        named = named_source(KIND, account, "" if url == BASE_URL else url)
        self.kind, self.name = named.items_source, str(named)

    async def check(self) -> dict[str, str] | Failure:
        """Check the key, its scopes and the object."""
        token = await self._get("/v2/self", Token)
        if isinstance(token, Failure):
            return _key_refused() if token.status == 400 else token
        if not token.active:
            return _key_refused()
        missing = [scope for scope in SCOPES if token.scope and f"{scope}:read" not in token.scope]
        if missing:
            return _scopes_missing(missing)
        reply = await self.ask("GET", f"/v2/objects/{quote(self.object, safe='')}")
        if isinstance(reply, Failure):
            return await self._which_objects(reply) if reply.kind is FailureKind.NOT_FOUND else reply
        return {
            "workspace": word(token.slug) or uuid(token.workspace_id),
            "workspace_id": uuid(token.workspace_id),
            "object": self.object,
            **({"token_level": "user"} if token.is_of_user else {}),
        }

    async def fetch(self, request: PageRequest) -> Page | Failure:
        """Return the rows for one request. See `Source.fetch`."""
        if request.record_ids:
            page = self._page(request, await self._query(self.object, listed_body(request)))
            return await with_single_records(page, request, self.ask, self.object)
        sorts = sorts_of(request)
        if request.order in self._has_lone_sort:
            return self._page(request, await self._query(self.object, page_body(request, sorts[:1])))
        reply = await self._query(self.object, page_body(request, sorts))
        if _is_bad_request(reply) and sorts:
            # The second sort makes the order total, but is a courtesy: do without it if it is refused.
            reply = await self._query(self.object, page_body(request, sorts[:1]))
            if not _is_bad_request(reply):
                self._has_lone_sort.add(request.order)
        return self._page(request, reply)

    def _page(self, request: PageRequest, reply: Reply | Failure) -> Page | Failure:
        if isinstance(reply, Failure):
            return _unknown_attribute(reply, self.object, request.changed_by) or reply
        rows = decode_rows(reply.body)
        if rows is None:
            return _not_promised(self.object)
        records = tuple(to_record(row, request.order, request.changed_by) for row in rows)
        is_total = request.order not in self._has_lone_sort
        is_dated = reply.sent_at is not None
        as_of, took_ms = self._as_of(reply), reply.took_ms
        return Page(records=records, as_of=as_of, is_total=is_total, is_dated=is_dated, took_ms=took_ms)

    async def company_names(self, record_ids: Collection[str]) -> dict[str, str | None] | Failure:
        """Return the names of companies; what is gone has none, what did not come is left out."""
        return await look_up(self.ask, record_ids)

    def heed(self, options: Options) -> None:
        """See `Limited.heed`."""
        heed(self._api, options)

    def record(self) -> Recorder:
        """Keep every answer from now on, those of look-ups too. See `capture`."""
        self._recorder = self._recorder or Recorder()
        return self._recorder

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _query(self, object_: str, body: dict[str, Any]) -> Reply | Failure:
        return await self.ask("POST", f"/v2/objects/{quote(object_, safe='')}/records/query", body)

    async def ask(self, method: str, path: str, body: Any = None) -> Reply | Failure:
        """Ask once, for anything: what a transform looks up comes this way too."""
        reply = await self._api.request(method, path, body)
        if isinstance(reply, Failure):
            return _key_refused(reply.status) if reply.kind is FailureKind.UNAUTHORIZED else reply
        if self._recorder is not None:
            self._recorder.keep(
                Exchange(request=request_text(method, path, body), as_of=_said_as_of(reply), body=reply.body)
            )
        return reply

    async def _get(self, path: str, type_: type[T]) -> T | Failure:
        reply = await self.ask("GET", path)
        if isinstance(reply, Failure):
            return reply
        found = Decoder(type_).decoded(reply.body)
        return _not_promised(path) if found is None else found

    async def object_id(self) -> str | Failure:
        """Return the id of the object, by which webhooks name it."""
        path = f"/v2/objects/{quote(self.object, safe='')}"
        found = await self._get(path, Found)
        if isinstance(found, Failure):
            return await self._which_objects(found) if found.kind is FailureKind.NOT_FOUND else found
        return found.data.id.object_id

    async def _which_objects(self, refused: Failure) -> Failure:
        """Say which objects there are, where the one asked for is none of them."""
        reply = await self.ask("GET", "/v2/objects")
        if isinstance(reply, Failure):
            return refused
        objects = Decoder(Objects).decoded(reply.body)
        if objects is None:
            return refused
        slugs = sorted(filter(None, (word(entry.api_slug) for entry in objects.data)))
        return Failure(
            kind=FailureKind.NOT_FOUND,
            message=f"Attio has no object {self.object!r}; there are: {', '.join(slugs)}.",
            status=refused.status,
        )

    def _as_of(self, reply: Reply) -> datetime:
        """Return the instant the answer reflects, by the server where it says so."""
        said = _said_as_of(reply)
        return datetime.fromisoformat(said) if said else self._clock.now()


def _said_as_of(reply: Reply) -> str:
    """Return the instant that an answer reflects by the server's own clock, UTC, as text, or nothing."""
    at = accurate_at(reply.headers.get("x-accurate-at", ""), reply.sent_at)
    return format_time(at) if at else ""


def request_text(method: str, path: str, body: Any = None) -> str:
    """Return a request as text, the same for the same request."""
    return f"{method} {path}" + ("" if body is None else f" {msgspec.json.encode(body).decode()}")


def _is_bad_request(reply: Reply | Failure) -> bool:
    return isinstance(reply, Failure) and reply.kind is FailureKind.BAD_REQUEST


def _unknown_attribute(refused: Failure, object_: str, changed_by: str | None) -> Failure | None:
    """Name the attribute that records do not have, where that is what a refusal is about."""
    if changed_by is None or _UNKNOWN_ATTRIBUTE not in refused.message:
        return None
    words = f"Attio's {object_} have no attribute {changed_by}, which --changed-by / changed_by names."
    return msgspec.structs.replace(refused, message=words)


def _key_refused(status: int | None = None) -> Failure:
    return Failure(
        kind=FailureKind.UNAUTHORIZED,
        message=f"Attio does not accept the key: set {KEY_VARIABLE} to an access token of the workspace "
        "(Workspace settings, Developers).",
        status=status,
    )


def _scopes_missing(scopes: Collection[str]) -> Failure:
    wanted = ", ".join(f"{scope}:read" for scope in scopes)
    return Failure(
        kind=FailureKind.FORBIDDEN,
        message=f"the Attio key lacks the scopes {wanted}: add them to the token behind {KEY_VARIABLE}.",
    )


def _not_promised(what: str) -> Failure:
    return Failure(
        kind=FailureKind.MALFORMED,
        message=f"Attio's answer for {what} is not what it promises: cut short, or of another shape.",
    )

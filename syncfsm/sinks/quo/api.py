"""The requests that the sink makes of Quo, each once; every failure a value, in our own words.

Source of the rules: the published OpenAPI document of API v1, https://www.quo.com/docs (rate limits: 10
requests a second for a key, 429 beyond, and no `Retry-After` documented). More than 20 external ids in one
query break the server's parser. The bulk route is for partners: it answers 202 without a body, and the
contacts come later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.outside.authorization import Authorization, Key
from syncfsm.outside.clock import Clock
from syncfsm.outside.decoding import Decoder
from syncfsm.sinks.quo.wire import Listing, Stored, to_create

if TYPE_CHECKING:
    import httpx

    from syncfsm.outside.http import Reply

BASE_URL = "https://api.openphone.com"
KEY_VARIABLE = "QUO_API_KEY"
PARTNER_KEY_VARIABLE = "QUO_PARTNER_KEY"

REQUESTS_PER_S = 10
WINDOW_S = 1.05
"""Requests may bunch up by 50 ms on the way before Quo sees more than 10 in a second; it costs 5%."""

EXTERNAL_IDS_MAX = 20
RESULTS_MAX = 50
BULK_MAX = 50
PAGES_MAX = 50
"""Pages of one look-up of 20 ids before it is taken for endless."""
ALL_PAGES_MAX = 10_000
"""Pages of all contacts of a source, half a million of them, before they are taken for endless."""

CONTACTS = "/v1/contacts"

_listing = Decoder(Listing)


class QuoApi:
    """The contacts of one workspace.

    Args:
        api_key: The workspace's key; sent as it is, without `Bearer`.
        partner_key: The further key that the bulk route asks for; empty where there is none.
        base_url: Where the API is.
        clock: For the rate limit.
        transport: Where requests go; the network if `None`.
        per_s: The most requests in any one second.

    Raises:
        ConfigurationError: A key or the URL cannot be used.
    """

    def __init__(
        self,
        api_key: Key,
        *,
        partner_key: str,
        base_url: str,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None,
        per_s: int,
    ) -> None:
        from syncfsm.outside.http import HttpClient  # noqa: PLC0415 - a client is loaded when it is used

        if not partner_key.isascii() or not partner_key.isprintable():
            raise ConfigurationError("the Quo partner key has characters that no key has: copy it again")
        self._partner = {"x-frigg-api-key": partner_key} if partner_key else {}
        self._http = HttpClient(
            "Quo",
            base_url,
            Authorization("Quo", api_key, missing=f"there is no Quo key: set {KEY_VARIABLE}"),
            clock=clock,
            transport=transport,
            per_s=per_s,
            window_s=WINDOW_S,
            refusal_words=refusal_words,
        )

    async def has_any(self, source: str) -> bool | Failure:
        """Return whether there is any contact of a source."""
        listing = await self._list(("sources", source), ("maxResults", "1"))
        return listing if isinstance(listing, Failure) else bool(listing.data)

    async def look_up(self, source: str, external_ids: Sequence[str]) -> list[Stored] | Failure:
        """Return the contacts of a source with these external ids, at most 20; unknown ids are absent."""
        assert len(external_ids) <= EXTERNAL_IDS_MAX, "more of them break the server's parser"
        ids = [("externalIds", id_) for id_ in external_ids]
        return await self._pages([("sources", source), *ids], PAGES_MAX)

    async def list_all(self, source: str) -> list[Stored] | Failure:
        """Return all contacts of a source, by pages of 50, one after the other: each names the next."""
        return await self._pages([("sources", source)], ALL_PAGES_MAX)

    async def create(self, contact: Contact) -> Reply | Failure:
        """Create a contact. Status 409: there is one with its source and external id."""
        return await self._request("POST", CONTACTS, to_create(contact))

    async def patch(self, contact_id: str, body: Mapping[str, Any]) -> Reply | Failure:
        """Change a contact."""
        return await self._request("PATCH", f"{CONTACTS}/{quote(contact_id, safe='')}", body)

    async def delete(self, contact_id: str) -> Reply | Failure:
        """Delete a contact for good. Status 404: there is none with this id, or no longer."""
        return await self._request("DELETE", f"{CONTACTS}/{quote(contact_id, safe='')}")

    async def create_in_bulk(self, contacts: Sequence[Contact]) -> Reply | Failure:
        """Have contacts created later, at most 50; which ones were, only a look-up tells."""
        assert len(contacts) <= BULK_MAX, "a call takes no more"
        body = {"contacts": [to_create(contact) for contact in contacts]}
        reply = await self._request("POST", f"{CONTACTS}/bulk", body, headers=self._partner)
        return _bulk_advised(reply) if isinstance(reply, Failure) else reply

    def heed(self, options: Options) -> None:
        """See `Limited.heed`."""
        self._http.heed(options)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _pages(self, query: Sequence[tuple[str, str]], pages_max: int) -> list[Stored] | Failure:
        """Return the contacts of all pages of a listing; one that never ends is a failure."""
        found: list[Stored] = []
        token, tokens = "", {""}
        for _ in range(pages_max):
            page = [("pageToken", token)] if token else []
            listing = await self._list(*query, ("maxResults", str(RESULTS_MAX)), *page)
            if isinstance(listing, Failure):
                return listing
            found += listing.data
            token = listing.next_page_token or ""
            if not token:
                return found
            if token in tokens:
                return Failure(kind=FailureKind.MALFORMED, message="Quo gave a page of contacts twice.")
            tokens.add(token)
        words = f"Quo gave {pages_max:,} pages of contacts, and no last one."
        return Failure(kind=FailureKind.MALFORMED, message=words)

    async def _list(self, *query: tuple[str, str]) -> Listing | Failure:
        reply = await self._request("GET", f"{CONTACTS}?{urlencode(query)}")
        if isinstance(reply, Failure):
            return reply
        words = "Quo answered with something that is no list of contacts."
        return _listing.decoded(reply.body) or Failure(kind=FailureKind.MALFORMED, message=words)

    async def _request(
        self, method: str, path: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply | Failure:
        reply = await self._http.request(method, path, json, headers=headers)
        return _advised(reply) if isinstance(reply, Failure) else reply


# ── failures, in our own words ───────────────────────────────────────────────────────────────

_ADVICE = {
    FailureKind.UNAUTHORIZED: (
        f"Quo does not accept the key: set {KEY_VARIABLE} to an API key of the workspace. A new key takes "
        "about half a minute to become valid: if it is new, wait and run the same command again."
    ),
    FailureKind.FORBIDDEN: (
        f"Quo does not let this key use contacts: set {KEY_VARIABLE} to a key made by an owner or admin of "
        "the workspace. A new key takes about half a minute to become valid."
    ),
}

_BULK_ADVICE = {
    FailureKind.UNAUTHORIZED: f"Quo's bulk route accepts no such keys: set {PARTNER_KEY_VARIABLE}, "
    "or do without --quo-bulk.",
    FailureKind.FORBIDDEN: f"Quo's bulk route is for partners: set {PARTNER_KEY_VARIABLE}, "
    "or do without --quo-bulk.",
    FailureKind.NOT_FOUND: f"Quo has no bulk route for this key: set {PARTNER_KEY_VARIABLE}, "
    "or do without --quo-bulk.",
}


def _advised(failure: Failure) -> Failure:
    return replace(failure, message=_ADVICE.get(failure.kind, failure.message))


def _bulk_advised(failure: Failure) -> Failure:
    if failure.kind not in _BULK_ADVICE:
        return failure
    kind = FailureKind.FORBIDDEN if failure.kind is FailureKind.NOT_FOUND else failure.kind
    return replace(failure, kind=kind, message=_BULK_ADVICE[failure.kind])


class _Refused(msgspec.Struct):
    path: str = ""


class _Refusal(msgspec.Struct):
    code: str = ""
    errors: list[_Refused] = []


_refusals = Decoder(_Refusal)

_FIELDS = frozenset(
    (
        *("defaultFields", "firstName", "lastName", "company", "role", "emails", "phoneNumbers"),
        *("name", "value", "key", "id", "customFields", "createdByUserId", "contacts"),
        *("source", "sourceUrl", "externalId", "externalIds", "sources", "maxResults", "pageToken"),
    )
)


def refusal_words(body: bytes) -> str:
    """Return what may be repeated of a refusal: its code and the names of the fields at fault.

    Its sentences are left out, since they may quote a person.
    """
    said = _refusals.decoded(body)
    if said is None:
        return ""
    code = f" {said.code}" if re.fullmatch(r"\d{1,10}", said.code) else ""
    fields = dict.fromkeys(filter(None, (_field(refused.path) for refused in said.errors)))
    return code + (f" at {', '.join(list(fields)[:5])}" if fields else "")


def _field(path: str) -> str:
    """Return a path such as `/defaultFields/emails/0/value` with no more than what we know for names."""
    parts = re.findall(r"\w+", path)
    known = [part for part in parts if part in _FIELDS or re.fullmatch(r"\d{1,3}", part)]
    return ".".join(known) if known == parts else ""

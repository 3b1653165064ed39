"""The fake Quo: an ASGI app over its contacts, so that the same code answers in process and over real HTTP.

It answers as API v1 was documented: bodies, errors, the key without `Bearer`, 10 requests in any second, and
a query parser that breaks at more than 20 external ids. The bulk route is as partners know it: 202, no body,
applied later. The body of a 429 is not documented; it has the envelope of the others.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec

from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.asgi import (
    App,
    BodyTooLarge,
    Receive,
    Reply,
    Scope,
    Send,
    header,
    http_date,
    lifespan,
    read_body,
    send_reply,
)
from syncfsm_simulator.fakes.quo.bodies import Bulk, ContactPatch, NewContact, Refused, parsed
from syncfsm_simulator.fakes.quo.contacts import Conflict, Contact, Contacts, Settings

EXTERNAL_IDS_MAX = 20
CONTACTS = "/v1/contacts"
BULK = f"{CONTACTS}/bulk"

_TITLES = {
    # status: code, title
    400: ("0801400", "Invalid Custom Field Item"),
    401: ("0800401", "Unauthorized"),
    403: ("0801403", "Not Phone Number User"),
    404: ("0800404", "Not Found"),
    409: ("0800409", "Conflict"),
    413: ("0800413", "Payload Too Large"),
    429: ("0800429", "Too Many Requests"),
    500: ("0801500", "Unknown"),
}


def _json(status: int, value: Any) -> Reply:
    body = msgspec.json.encode(value)
    return Reply(status, body, {"content-type": "application/json; charset=utf-8"})


class QuoError(Exception):
    """An answer that is no 2xx."""

    def __init__(self, status: int, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors

    def reply(self) -> Reply:
        """Return it in Quo's envelope."""
        code, title = _TITLES[self.status]
        body: dict[str, Any] = {
            "message": str(self),
            "code": code,
            "status": self.status,
            "docs": "https://openphone.com/docs",
            "title": title,
            "trace": "0",
        }
        if self.status in {400, 403}:
            body["description"] = title
        if self.errors:
            body["errors"] = self.errors
        return _json(self.status, body)


TOO_LARGE = QuoError(413, "The body is too large.").reply()


class FakeQuo:
    """The app.

    Args:
        clock: For dates, the rate limit, and what is done later.
        api_key: The one key accepted; any that is not empty if `None`.
        partner_key: The key of the bulk route; any that is not empty if `None`.
        requests_per_s: Requests allowed in any one second.
        latency_ms: The least and the most that an answer takes.
        settings: What is not documented.

    Attributes:
        contacts: What it keeps.
        requests: How often each (method, route, status) was answered.
        arrivals: When each request came.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        api_key: str | None = None,
        partner_key: str | None = None,
        requests_per_s: int = 10,
        latency_ms: tuple[int, int] = (0, 0),
        settings: Settings | None = None,
    ) -> None:
        self.contacts = Contacts(settings or Settings())
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.arrivals: list[datetime] = []
        self._clock = clock
        self._api_key = api_key
        self._partner_key = partner_key
        self._recent: deque[datetime] = deque(maxlen=requests_per_s)
        self._latency_ms = latency_ms
        self._rng = random.Random("quo latency")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] != "http":
            return None
        try:
            body: bytes | None = await read_body(receive)
        except BodyTooLarge:
            body = None
        reply = self._answer(scope, body)
        self.requests[scope["method"], _route(scope["path"]), reply.status] += 1
        if self._latency_ms[1]:
            await self._clock.sleep(self._rng.uniform(*self._latency_ms) / 1000)
        await send_reply(send, reply)
        return None

    def _answer(self, scope: Scope, body: bytes | None) -> Reply:
        now = self._clock.now()
        try:
            self._admit(scope, now)
            self.contacts.settle(now)
            reply = TOO_LARGE if body is None else self._routed(scope, body, now)
        except QuoError as error:
            reply = error.reply()
        except Refused as refused:
            reply = QuoError(400, "The request is not valid.", refused.errors).reply()
        except Conflict:
            reply = QuoError(409, "The contact exists already.").reply()
        return Reply(reply.status, reply.body, {**reply.headers, "date": http_date(now)})

    def _admit(self, scope: Scope, now: datetime) -> None:
        """Refuse what comes too fast, or without the key."""
        self.arrivals.append(now)
        if len(self._recent) == self._recent.maxlen and now - self._recent[0] < timedelta(seconds=1):
            raise QuoError(429, "Too many requests.")
        self._recent.append(now)
        if not _is_key(header(scope, b"authorization"), self._api_key):
            raise QuoError(401, "The API key is not valid.")
        if scope["path"] == BULK and not _is_key(header(scope, b"x-frigg-api-key"), self._partner_key):
            raise QuoError(403, "This route is for partners.")

    def _routed(self, scope: Scope, body: bytes, now: datetime) -> Reply:
        method, path = scope["method"], scope["path"]
        match method, _route(path):
            case "GET", "/v1/contacts":
                return self._list(scope, now)
            case "POST", "/v1/contacts":
                contact = self.contacts.create(parsed(body, NewContact), now)
                return _json(201, {"data": contact})
            case "POST", "/v1/contacts/bulk":
                self.contacts.create_later(parsed(body, Bulk).contacts, now)
                return Reply(202, b"")
            case _, "/v1/contacts/{id}":
                return self._one(method, self._contact(path.rpartition("/")[2]), body, now)
        raise QuoError(404, "There is no such route.")

    def _one(self, method: str, contact: Contact, body: bytes, now: datetime) -> Reply:
        match method:
            case "GET":
                return _json(200, {"data": contact})
            case "PATCH":
                self.contacts.change(contact, parsed(body, ContactPatch), now)
                return _json(200, {"data": contact})
            case "DELETE":
                self.contacts.delete(contact)
                return Reply(204, b"")
        raise QuoError(404, "There is no such route.")

    def _contact(self, contact_id: str) -> Contact:
        contact = self.contacts.by_id.get(contact_id)
        if contact is None:
            raise QuoError(404, "There is no such contact.")
        return contact

    def _list(self, scope: Scope, now: datetime) -> Reply:
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        external_ids, sources = query.get("externalIds", []), query.get("sources", [])
        if len(external_ids) > EXTERNAL_IDS_MAX:  # the parser makes an object of a longer list
            raise Refused("/externalIds", "Expected array", "array")
        size = _number(query, "maxResults", 1, 50)
        start = _number(query, "pageToken", 0, 10**9, default="0")
        found = self.contacts.listed(now, sources, external_ids)
        more = str(start + size) if start + size < len(found) else None
        page = {"data": found[start : start + size], "totalItems": len(found), "nextPageToken": more}
        return _json(200, page)


def beside(quo: FakeQuo, attio: App) -> App:
    """Return one app that is both: what begins with `/v1/` is Quo's, all else Attio's."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_quo = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (quo if is_quo else attio)(scope, receive, send)

    return app


def _number(query: dict[str, list[str]], name: str, least: int, most: int, default: str = "") -> int:
    text = query.get(name, [default])[0]
    if not text.isdecimal() or not least <= int(text) <= most:
        raise Refused(f"/{name}", f"Expected a number from {least} to {most}", "integer")
    return int(text)


def _route(path: str) -> str:
    """Return the pattern of a path; itself if it is none of ours."""
    if path in {CONTACTS, BULK} or not path.startswith(f"{CONTACTS}/"):
        return path
    return f"{CONTACTS}/{{id}}"


def _is_key(sent: str | None, wanted: str | None) -> bool:
    return bool(sent) and wanted in {None, sent}

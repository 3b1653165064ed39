"""One HTTP request, with everything that can go wrong turned into a `Failure`.

The client is the real httpx; its transport is passed in, so that tests and the simulator enter by the same
door as production. Bodies have a limit, waits have a timeout. The key is taken out of every answer before
anybody reads it, and of what a server says of an error only its code is repeated: its sentences may quote
a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx
import msgspec

from syncfsm.core.backoff import parse_retry_after
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options
from syncfsm.outside.access import checked_url
from syncfsm.outside.authorization import Authorization
from syncfsm.outside.clock import Clock, SteadyClock
from syncfsm.outside.decoding import Decoder
from syncfsm.outside.environment import open_client, untrusted_words
from syncfsm.outside.inflating import ACCEPTED, Unreadable, body_of
from syncfsm.outside.limiter import WINDOW_S, RateLimiter
from syncfsm.outside.safe_words import without, word

BODY_BYTES_MAX = 64 * 1024 * 1024
"""500 people of 6 KB are 3 MB; a body twenty times that is no page of records."""

TIMEOUT_S = 30.0

PARTIAL = 206
"""Nobody asks for a part of anything: what follows it would be taken for not there."""

REQUEST_S_MAX = Options().request_s_max

_BY_STATUS = {
    401: FailureKind.UNAUTHORIZED,
    403: FailureKind.FORBIDDEN,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    413: FailureKind.TOO_LARGE,
    429: FailureKind.RATE_LIMITED,
}

_WORDS = {
    FailureKind.FORBIDDEN: "it does not allow this; check the token's scopes and the workspace's plan",
    FailureKind.NOT_FOUND: "it has nothing there",
    FailureKind.RATE_LIMITED: "it asks for patience",
    FailureKind.BAD_REQUEST: "it refuses what was asked",
    FailureKind.UNAVAILABLE: "it cannot answer now",
}
"""What a refusal means, in our own words."""

_PASSING_CODES = {"merge_in_progress"}
"""Error codes that say "not yet", whatever the status (Attio: a 404 for a record being merged)."""


class Reply(msgspec.Struct, frozen=True):
    """A 2xx answer: its body, the instant that the server says it reflects, and how long it took to come."""

    body: bytes
    headers: httpx.Headers
    took_ms: int | None = None

    @property
    def sent_at(self) -> datetime | None:
        """When it was sent, by the server's own clock; null if it does not say."""
        return date_of(self.headers)


class Api(Protocol):
    """What answers requests: `HttpClient`, or what was captured of one."""

    async def request(self, method: str, path: str, json: Any = None) -> Reply | Failure:
        """Ask once."""
        ...

    async def aclose(self) -> None:
        """Release what is held."""
        ...


class _ErrorBody(msgspec.Struct):
    """What is read of an error; optional, since edges answer with HTML."""

    code: str | int = ""


_errors = Decoder(_ErrorBody)


class HttpClient:
    """A client of one API, for one key.

    Args:
        service: The API's name, for messages.
        base_url: Where it is; http or https.
        authorization: The key that goes with each request. Never shown.
        clock: For rate limits and for `Retry-After` where the server sends no `Date`.
        transport: Where requests go; the network if `None`.
        per_s: The most requests in any one second.
        window_s: How long that second is taken to be, so that requests may bunch up on the way.
        refusal_words: What to say of the body of a refusal, instead of what the server says.
        timeout_s: For connecting, and for each wait while reading.
        request_s_max: For a whole request, from connecting to the last byte: an answer may trickle in.
        body_bytes_max: A body that is longer, or inflates to more, is refused, not read.

    Raises:
        ConfigurationError: The URL, or what the environment says of proxies and certificates, cannot be used
            in a request.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        authorization: Authorization,
        *,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
        per_s: int,
        window_s: float = WINDOW_S,
        refusal_words: Callable[[bytes], str] | None = None,
        timeout_s: float = TIMEOUT_S,
        request_s_max: float = REQUEST_S_MAX,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._service = service
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._told: tuple[Failure, datetime] | None = None
        self._limiter = RateLimiter(per_s, clock, window_s)
        self._refusal_words = refusal_words
        self._body_bytes_max = body_bytes_max
        self._request_s_max = request_s_max
        self._authorization = authorization
        self._client = open_client(
            transport,
            base_url=checked_url(base_url, authorization),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": ACCEPTED,
            },
            timeout=timeout_s,
        )

    async def request(
        self, method: str, path: str, json: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Reply | Failure:
        """Ask once, with further headers if given. Nothing is tried again here: the engine decides that.

        But a key that is refused may have expired: where one is provided, it is asked for anew, once.
        """
        header = await self._authorization.header()
        if isinstance(header, Failure):
            return header
        content = None if json is None else msgspec.json.encode(json)
        typed = {} if json is None else {"Content-Type": "application/json"}
        more = {**(headers or {}), **typed}
        reply = await self._asked(method, path, content, {**more, "Authorization": header})
        if not isinstance(reply, Failure) or reply.kind is not FailureKind.UNAUTHORIZED:
            return reply
        renewed = await self._authorization.renewed(header)
        if renewed is None or isinstance(renewed, Failure):
            return renewed or reply
        return await self._asked(method, path, content, {**more, "Authorization": renewed})

    async def _asked(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> Reply | Failure:
        call = await self._limiter.wait()
        began = self._steady.now()
        if (put_off := self._put_off()) is not None:
            return put_off

        async def sent(event: str, _details: Any) -> None:
            if event.endswith("send_request_headers.started"):  # after connecting, which takes a while
                self._limiter.count_from_now(call)

        try:
            async with (
                asyncio.timeout(self._request_s_max),
                self._client.stream(
                    method, path, content=content, headers=headers, extensions={"trace": sent}
                ) as response,
            ):
                return await self._read(response, began)
        except TimeoutError:
            words = f"did not answer in full within {self._request_s_max:.12g} s (request_s_max)."
            return self._failure(FailureKind.TIMEOUT, words)
        except Unreadable as error:
            return self._failure(FailureKind.MALFORMED, f"sent {error}")
        except (httpx.DecodingError, httpx.TransportError) as error:
            return self._broken_off(error)

    def _broken_off(self, error: httpx.RequestError) -> Failure:
        """Return what it means that a request did not end in an answer."""
        if isinstance(error, httpx.TimeoutException):
            return self._failure(FailureKind.TIMEOUT, f"did not answer in time ({type(error).__name__}).")
        if isinstance(error, httpx.DecodingError):
            return self._failure(FailureKind.MALFORMED, "sent a compressed body that cannot be read")
        untrusted = untrusted_words(error)
        if untrusted is not None:
            return self._failure(FailureKind.UNTRUSTED, untrusted)
        return self._failure(FailureKind.UNAVAILABLE, f"cannot be reached: {_reason(error)}.")

    def heed(self, options: Options) -> None:
        """See `Limited.heed`. Whoever goes on with a sync knows what it was told, and has a new key."""
        self._request_s_max = options.request_s_max
        self._told = None
        self._authorization.forget()

    def _put_off(self) -> Failure | None:
        """Return the refusal that said when to come again, as long as that is not yet: nobody asks before."""
        if self._told is None:
            return None
        refusal, until = self._told
        left_s = (until - self._steady.now()).total_seconds()
        return msgspec.structs.replace(refusal, retry_after_s=left_s) if left_s > 0 else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _read(self, response: httpx.Response, began: datetime) -> Reply | Failure:
        body = bytearray()
        if _declared_bytes(response) > self._body_bytes_max:
            return self._too_large(response)
        async for piece in body_of(response):
            body += piece
            if max(len(body), response.num_bytes_downloaded) > self._body_bytes_max:
                return self._too_large(response)
        told = without(
            bytes(body), self._authorization.secrets
        )  # a careless server repeats the key that it was sent
        if response.status_code == PARTIAL:
            return self._failure(
                FailureKind.MALFORMED, "answered 206, a part of what was asked for.", PARTIAL
            )
        if not response.is_success:
            return self._refused(response, told)
        took_ms = round((self._steady.now() - began).total_seconds() * 1000)
        return Reply(told, response.headers, took_ms)

    def _too_large(self, response: httpx.Response) -> Failure:
        words = f"sent more than {self._body_bytes_max} bytes in one answer; ask for smaller pages."
        return self._failure(FailureKind.TOO_LARGE, words, response.status_code)

    def _refused(self, response: httpx.Response, body: bytes) -> Failure:
        code = _code(body)
        kind = FailureKind.UNAVAILABLE if code in _PASSING_CODES else _kind(response.status_code)
        means = _WORDS.get(kind, "")
        if response.is_redirect:
            means = "a redirection, which is not followed: check the base URL"
        words = f"answered {response.status_code} {code}".rstrip() + (f": {means}" if means else "")
        if self._refusal_words is not None and not response.is_redirect:
            words = f"answered {response.status_code}{self._refusal_words(body)}"
        now = date_of(response.headers) or self._clock.now()
        retry_after_s = parse_retry_after(response.headers.get("Retry-After"), now)
        failure = self._failure(kind, words, response.status_code, retry_after_s)
        refusal = msgspec.structs.replace(failure, code=code)
        if retry_after_s and kind is FailureKind.RATE_LIMITED:
            self._told = (refusal, self._steady.now() + timedelta(seconds=retry_after_s))
        return refusal

    def _failure(
        self, kind: FailureKind, words: str, status: int | None = None, retry_after_s: float | None = None
    ) -> Failure:
        return Failure(
            kind=kind,
            message=f"{self._service} {words.rstrip('.')}.",
            status=status,
            retry_after_s=retry_after_s,
        )


def date_of(headers: httpx.Headers) -> datetime | None:
    """Return the server's own time, to the second, UTC; null if it does not say, or says no time.

    A proxy may have added a date of its own: the first one counts. One without a zone is UTC, as all are.
    """
    said = headers.get_list("Date")
    try:
        date = parsedate_to_datetime(said[0])
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (IndexError, ValueError, OverflowError):
        return None


def _declared_bytes(response: httpx.Response) -> int:
    declared = response.headers.get("Content-Length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0


def _kind(status: int) -> FailureKind:
    if status >= 500:
        return FailureKind.UNAVAILABLE
    return _BY_STATUS.get(status, FailureKind.BAD_REQUEST)


def _code(body: bytes) -> str:
    """Return the code of an error, if it has one that may be repeated."""
    error = _errors.decoded(body)
    return word(error.code) if error else ""


def _reason(error: httpx.RequestError) -> str:
    """Say why there is no answer; where one has begun, the client's words may quote it."""
    said = str(error) if isinstance(error, httpx.ConnectError) else ""
    return said or type(error).__name__

"""Bodies that are compressed: inflated with a bound, in one coding, to their end."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.outside.authorization import Authorization
from syncfsm.outside.http import HttpClient, Reply
from tests.fakes import TestClock

KIB = 1024
PLAIN = b'{"data": []}' * 500
ZIPPED = gzip.compress(PLAIN)


class Pieces(httpx.AsyncByteStream):
    """A body as it comes from a network; counts what was read of it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.read += len(piece)
            yield piece


def asked(body: Pieces, coding: str | None, bytes_max: int = 64 * KIB) -> Reply | Failure:
    async def ask() -> Reply | Failure:
        headers = {"Content-Encoding": coding} if coding is not None else {}
        api = HttpClient(
            "Attio",
            "https://api.test",
            Authorization("Attio", "key"),
            clock=TestClock(),
            per_s=10,
            transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=body)),
            body_bytes_max=bytes_max,
        )
        return await api.request("GET", "/")

    return asyncio.run(ask())


def in_pieces(body: bytes, size: int = 100) -> Pieces:
    return Pieces([body[at : at + size] for at in range(0, len(body), size)])


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (None, PLAIN),
        ("", PLAIN),
        ("identity", PLAIN),
        ("gzip", ZIPPED),
        ("X-GZIP", ZIPPED),
        ("identity, gzip", ZIPPED),
    ],
    ids=lambda part: part if isinstance(part, str) else "body",
)
def test_what_was_asked_for_is_read_however_it_comes(coding: str | None, body: bytes) -> None:
    reply = asked(in_pieces(body), coding)
    assert isinstance(reply, Reply)
    assert reply.body == PLAIN


@pytest.mark.parametrize(
    ("coding", "body", "words", "read"),
    [
        ("gzip, gzip", gzip.compress(ZIPPED), "more than one content coding", 0),
        ("gzip,deflate", ZIPPED, "more than one content coding", 0),
        ("br", b"brotli", "not asked for", 0),
        ("deflate", zlib.compress(PLAIN), "not asked for", 0),
        ("gzip", ZIPPED[:-20], "cut short", None),
        ("gzip", b"", "cut short", 0),
        ("gzip", PLAIN, "cannot be read", None),
    ],
    ids=lambda part: part if isinstance(part, str) else "body",
)
def test_what_was_not_asked_for_is_refused_and_where_that_can_be_seen_not_read(
    coding: str, body: bytes, words: str, read: int | None
) -> None:
    pieces = in_pieces(body)
    failure = asked(pieces, coding)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MALFORMED
    assert words in failure.message
    assert read is None or pieces.read == read


def test_what_inflates_to_more_than_the_limit_is_given_up_without_being_held() -> None:
    body = gzip.compress(b"\0" * (16 * KIB * KIB))  # 16 KiB on the wire
    pieces = in_pieces(body, 64 * KIB)
    tracemalloc.start()
    failure = asked(pieces, "gzip", 100 * KIB)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TOO_LARGE
    assert most < 4 * KIB * KIB


def test_a_compressed_body_that_never_comes_to_anything_is_given_up_too() -> None:
    def nothing() -> Iterable[bytes]:
        deflate = zlib.compressobj(wbits=31)
        yield deflate.compress(b"")
        for _ in range(100_000):
            yield deflate.flush(zlib.Z_SYNC_FLUSH) + deflate.flush(zlib.Z_FULL_FLUSH) + b""

    pieces = Pieces(nothing())
    failure = asked(pieces, "gzip", 2 * KIB)
    assert isinstance(failure, Failure)
    assert pieces.read < 4 * KIB

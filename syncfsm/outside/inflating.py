"""The body of an answer as it comes, inflated with a bound: a few bytes on the wire may stand for gigabytes.

One content coding at most, and only the one that was asked for (RFC 9110, section 8.4). What a piece inflates
to is handed on in pieces of its own, so that whoever counts them never holds much more than his limit.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

ACCEPTED = "gzip"
"""What requests say that they take."""

PIECE_BYTES_MAX = 256 * 1024

_NAMES = {"gzip", "x-gzip"}  # the second is its old name
NO_CONTENT = 204

_GZIP = 16 + zlib.MAX_WBITS


class Unreadable(ValueError):
    """A body in a coding that was not asked for, or that is not what its coding says; the words say which."""


async def body_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body of an answer, inflated, in pieces of `PIECE_BYTES_MAX` at most where it is compressed.

    Raises:
        Unreadable: It cannot be, and nothing more of it is read.
    """
    codings = [name.strip().lower() for name in response.headers.get("Content-Encoding", "").split(",")]
    codings = [name for name in codings if name not in {"", "identity"}]
    if response.is_stream_consumed:  # a transport within this process has read it, and inflated it too
        yield response.content
        return
    if len(codings) > 1:
        raise Unreadable("a body in more than one content coding")
    if not codings:
        async for piece in response.aiter_raw():
            yield piece
        return
    if codings[0] not in _NAMES:
        raise Unreadable("a body in a content coding that was not asked for")
    inflater = zlib.decompressobj(_GZIP)
    async for piece in response.aiter_raw():
        for inflated in _inflated(inflater, piece):
            yield inflated
    if not inflater.eof and response.status_code != NO_CONTENT:  # of which a proxy may name a coding too
        raise Unreadable("a compressed body that is cut short")


def _inflated(inflater: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    """Yield what a piece inflates to; at least once, so that a piece that inflates to nothing counts too."""
    try:
        yield inflater.decompress(piece, PIECE_BYTES_MAX)
        while inflater.unconsumed_tail:
            yield inflater.decompress(inflater.unconsumed_tail, PIECE_BYTES_MAX)
    except zlib.error as error:
        raise Unreadable("a compressed body that cannot be read") from error

"""A server with bounds: connections on which too little comes, or of which there are too many, end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from syncfsm.cli.shared.bounded import HEADERS_BYTES_MAX, Bounded, say_once
from syncfsm.webhooks.receiver import Receive, Scope, Send

ANSWER = b"HTTP/1.1 200 OK\r\n"
REQUEST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Stream]]


async def app(_scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def served(
    use: Callable[[Connect], Awaitable[Any]], *, connections_max: int = 100, request_s_max: float = 60.0
) -> Any:
    class Here(Bounded):
        pass

    Here.connections_max = connections_max
    Here.request_s_max = request_s_max

    async def serve() -> Any:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()  # who comes before the server has started waits
            config = uvicorn.Config(
                app, log_level="critical", lifespan="off", http=Here, ws="none",
                h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
            )  # fmt: skip
            server = uvicorn.Server(config)
            running = asyncio.create_task(server._serve([listener]))
            writers = []

            async def connect() -> Stream:
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writers.append(writer)
                return reader, writer

            try:
                return await use(connect)
            finally:
                for writer in writers:
                    writer.transport.abort()
                server.should_exit = True
                await running

    return asyncio.run(serve())


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection ends."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("began", [b"", b"POST / HT", REQUEST, REQUEST + b"12"])
def test_a_request_that_does_not_come_to_its_end_is_ended(began: bytes) -> None:
    async def use(connect: Connect) -> bytes:
        reader, writer = await connect()
        writer.write(began)
        return await ended(reader)

    assert served(use, request_s_max=0.05) == b""


def test_a_request_that_trickles_has_no_more_time_than_one_that_does_not_come() -> None:
    async def use(connect: Connect) -> int:
        reader, writer = await connect()
        for count, byte in enumerate(REQUEST):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
            if reader.at_eof() or reader.exception():
                return count
        return len(REQUEST)

    assert served(use, request_s_max=0.1) < len(REQUEST)


def test_one_connection_takes_one_request_after_the_other_each_with_its_own_time() -> None:
    async def use(connect: Connect) -> list[bytes]:
        reader, writer = await connect()
        answers = []
        for _ in range(4):
            writer.write(REQUEST + b"12345")
            answers.append(await reader.readuntil(b"ok"))
            await asyncio.sleep(0.1)
        return answers

    assert all(answer.startswith(ANSWER) for answer in served(use, request_s_max=0.3))


def test_more_connections_than_there_may_be_are_closed_and_the_others_are_answered() -> None:
    async def use(connect: Connect) -> list[bytes]:
        held = [await connect() for _ in range(3)]
        for _, writer in held:
            writer.write(b"POST / HT")
        await asyncio.sleep(0.05)
        over, _ = await connect()
        found = [await ended(over)]
        for reader, writer in held:
            writer.write(REQUEST[len(b"POST / HT") :] + b"12345")
            found.append(await reader.readuntil(b"ok"))
            writer.close()
            await writer.wait_closed()
        again, writer = await connect()
        writer.write(REQUEST + b"12345")
        return [*found, await again.readuntil(b"ok")]

    first, *others = served(use, connections_max=3)
    assert first == b""
    assert len(others) == 4
    assert all(answer.startswith(ANSWER) for answer in others)


def test_headers_without_an_end_are_refused() -> None:
    async def use(connect: Connect) -> bytes:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nX: " + b"x" * (HEADERS_BYTES_MAX + 1))
        return await ended(reader)

    assert served(use).startswith(b"HTTP/1.1 400")


def test_that_no_file_is_left_is_said_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.0, 1.0, 59.0, 61.0, 61.0])
    loop = asyncio.new_event_loop()
    handler = say_once(lambda: next(times))
    for _ in range(4):
        handler(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "")})
    loop.close()
    assert capsys.readouterr().err.count("no more files can be opened") == 2

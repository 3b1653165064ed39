"""The key that goes with each request: given, or provided, and then asked for when it is needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.errors import ConfigurationError
from syncfsm.log import open_log
from syncfsm.outside.authorization import PROVIDER_S_MAX, Authorization, Key
from syncfsm.outside.http import HttpClient, Reply
from syncfsm.sinks.quo.sink import QuoSink
from syncfsm.sources.attio import AttioPeople, AttioSource
from syncfsm.sources.axiscare import AxisCareSource
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World
from tests.fakes import DictSink

OLD, NEW = "old-planted-key-0123456789", "new-planted-key-0123456789"


class Provider:
    """Returns keys one after the other, the last for ever; raises what is to be raised."""

    def __init__(self, *keys: Any, takes_s: float = 0.0) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.takes_s = takes_s

    async def __call__(self) -> str:
        await asyncio.sleep(self.takes_s)
        return self.at_once()

    def at_once(self) -> str:
        key: Any = self.keys[min(self.asked, len(self.keys) - 1)]
        self.asked += 1
        if isinstance(key, Exception):
            raise key
        return key  # type: ignore[no-any-return]


class Door(httpx.AsyncBaseTransport):
    """An API behind a door that opens to one key, after half a second or more."""

    def __init__(self, opens_to: str) -> None:
        self.opens_to = opens_to
        self.tried: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        given = request.headers["Authorization"]
        self.tried.append(given)
        await asyncio.sleep(0.5 + 0.1 * len(self.tried))  # so that answers come one after the other
        is_open = given == f"Bearer {self.opens_to}"
        return httpx.Response(200 if is_open else 401, json={"echo": self.tried})


def client(door: Door, key: Key) -> HttpClient:
    authorization = Authorization("Attio", key, scheme="Bearer")
    return HttpClient(
        "Attio", "https://api.test", authorization, clock=VirtualClock(), transport=door, per_s=100
    )


def asked(door: Door, key: Key, *, at_once: int = 1, runs: int = 1) -> list[Reply | Failure]:
    """Return the answers to so many requests that are under way at once."""

    async def main() -> list[Reply | Failure]:
        api, replies = client(door, key), []
        for _ in range(runs):
            replies += await asyncio.gather(*(api.request("GET", "/") for _ in range(at_once)))
            api.heed(Options())  # as every run begins
        return replies

    return run_virtual(main())


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_provider_may_be_a_function_or_a_coroutine_function(how: str) -> None:
    provider = Provider(NEW)
    (reply,) = asked(Door(NEW), provider.at_once if how == "sync" else provider)
    assert isinstance(reply, Reply)
    assert provider.asked == 1


def test_it_is_asked_once_for_all_requests_of_a_run_and_anew_for_the_next() -> None:
    provider = Provider(NEW, takes_s=1)
    asked(Door(NEW), provider, at_once=4)
    assert provider.asked == 1
    asked(Door(NEW), provider, at_once=4, runs=3)
    assert provider.asked == 1 + 3


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("takes_s", [0, 3])
def test_a_key_that_expired_is_renewed_once_however_many_were_refused(at_once: int, takes_s: float) -> None:
    door, provider = Door(NEW), Provider(OLD, NEW, takes_s=takes_s)
    replies = asked(door, provider, at_once=at_once)
    assert provider.asked == 2
    assert all(isinstance(reply, Reply) for reply in replies)
    assert door.tried == [f"Bearer {OLD}"] * at_once + [f"Bearer {NEW}"] * at_once


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("takes_s", [0, 3])
def test_a_provider_that_has_nothing_else_is_asked_once_more_and_nothing_is_tried_again(
    at_once: int, takes_s: float
) -> None:
    door, provider = Door(NEW), Provider(OLD, takes_s=takes_s)
    replies = asked(door, provider, at_once=at_once)
    assert provider.asked == 2
    assert {reply.kind for reply in replies if isinstance(reply, Failure)} == {FailureKind.UNAUTHORIZED}
    assert len(door.tried) == at_once


def test_a_new_key_that_is_refused_too_is_no_reason_to_go_on_asking() -> None:
    door, provider = Door("another"), Provider(OLD, NEW, "third-key")
    asked(door, provider)
    assert (provider.asked, len(door.tried)) == (2, 2)


def test_a_key_that_is_given_is_tried_once() -> None:
    door = Door(NEW)
    (reply,) = asked(door, OLD)
    assert isinstance(reply, Failure)
    assert len(door.tried) == 1


@pytest.mark.parametrize("given", [None, 7, "", "  ", "schlüssel", "two\nlines", b"bytes"])
def test_a_provider_that_returns_no_key_is_told_so_and_nothing_is_sent(given: Any) -> None:
    door = Door(NEW)
    (failure,) = asked(door, Provider(given))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.UNAUTHORIZED
    assert failure.message.startswith("what provides the key for Attio returned none")
    assert door.tried == []


def test_a_provider_that_raises_is_one_that_cannot_be_reached_now_and_is_not_quoted() -> None:
    door, provider = Door(NEW), Provider(RuntimeError(f"token {OLD} of somebody@example.com"), NEW)
    failure, reply = asked(door, provider, runs=2)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.UNAVAILABLE
    assert "what provides the key for Attio raised RuntimeError" in failure.message
    assert OLD not in failure.message
    assert "somebody" not in failure.message
    assert isinstance(reply, Reply)


def test_a_provider_that_raises_is_asked_once_for_requests_that_wait_together() -> None:
    provider = Provider(RuntimeError(), takes_s=1)
    assert len(asked(Door(NEW), provider, at_once=4)) == 4
    assert provider.asked == 1


def test_a_provider_that_is_slow_is_waited_for_and_one_that_hangs_is_not() -> None:
    (reply,) = asked(Door(NEW), Provider(NEW, takes_s=PROVIDER_S_MAX - 1))
    assert isinstance(reply, Reply)
    (failure,) = asked(Door(NEW), Provider(NEW, takes_s=PROVIDER_S_MAX + 1))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TIMEOUT
    assert "did not answer within 30 s" in failure.message


def test_both_keys_are_taken_out_of_what_a_careless_server_repeats() -> None:
    (reply,) = asked(Door(NEW), Provider(OLD, NEW))
    assert isinstance(reply, Reply)
    assert reply.body == b'{"echo":["Bearer [redacted]","Bearer [redacted]"]}'


@pytest.mark.parametrize(
    "open_", [AttioSource, QuoSink, lambda key: AxisCareSource(key, base_url="https://a.test")]
)
@pytest.mark.parametrize("key", ["", "  ", "schlüssel"])
def test_a_key_that_is_none_is_refused_before_anything_is_asked(
    open_: Callable[[str], Any], key: str
) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        open_(key)


# ── a whole sync ─────────────────────────────────────────────────────────────────────────────────


class Tokens:
    """An Attio whose tokens expire: each is good for so many requests."""

    def __init__(self, good_for: int, people: int = 400) -> None:
        self.asked = 0
        self.keys = [f"planted-token-{number:04}" for number in range(100)]
        self.left = 0
        self.good_for = good_for
        self.fake = FakeAttio(World(1, people=people, now=EPOCH), VirtualClock())
        self.inner = httpx.ASGITransport(self.fake)  # type: ignore[arg-type]
        self.refused = 0

    async def provide(self) -> str:
        await asyncio.sleep(1)
        self.asked += 1
        self.left = self.good_for
        return self.keys[self.asked]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.left -= 1
        if request.headers["Authorization"] != f"Bearer {self.keys[self.asked]}" or self.left < 0:
            self.refused += 1
            return httpx.Response(401, json={"code": "unauthorized", "message": str(request.headers)})
        return await self.inner.handle_async_request(request)


def synced(tokens: Tokens, log: Any, provide: Callable[[], Awaitable[str]]) -> Process:
    async def main() -> Process:
        source = AttioSource(
            provide,
            base_url="http://attio.test",
            account="acme",
            clock=VirtualClock(),
            transport=httpx.MockTransport(tokens.handle),
        )
        sink: Any = DictSink()
        people = AttioPeople(source, companies=False)
        async with Engine(log, source, sink, people, clock=VirtualClock(), read_ahead=4) as engine:
            process = await engine.sync(page_size=50)
            if process.state is State.COMPLETED:
                assert len(sink.items) == 400
            return process

    return run_virtual(main())


def test_a_sync_goes_on_with_each_new_token_and_none_is_written_anywhere(
    tmp_path: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    tokens = Tokens(good_for=4)
    caplog.set_level(logging.DEBUG)
    with open_log(tmp_path / "sync.db") as log:
        process = synced(tokens, log, tokens.provide)
    assert process.state is State.COMPLETED
    assert process.progress.retries == 0
    assert tokens.refused > 0
    assert tokens.asked >= 3
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    out, err = capfd.readouterr()
    assert b"planted-token" not in written
    assert "planted-token" not in out + err + caplog.text


def test_a_provider_that_fails_is_waited_for_as_a_source_is_that_cannot_be_reached() -> None:
    tokens, calls = Tokens(good_for=1000), iter([True, True])

    async def sometimes() -> str:
        if next(calls, False):
            raise OSError("the vault is sealed")
        return await tokens.provide()

    with open_log(":memory:") as log:
        process = synced(tokens, log, sometimes)
        assert process.state is State.COMPLETED
        assert process.progress.retries == 2
        assert "vault" not in "".join(str(recorded.event) for recorded in log.read(process.id))


def test_a_provider_without_a_key_ends_the_sync_as_a_refused_key_does() -> None:
    async def nothing() -> str:
        return ""

    with open_log(":memory:") as log:
        process = synced(Tokens(good_for=9), log, nothing)
    assert process.state is State.FAILED
    assert process.failure is not None
    assert (process.failure.reason, process.is_resumable) == ("unauthorized", True)

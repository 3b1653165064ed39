"""The rate limit: so many calls in any second, counted from when they are really sent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from syncfsm.outside.authorization import Authorization
from syncfsm.outside.clock import SteadyClock, SystemClock
from syncfsm.outside.http import HttpClient, Reply
from syncfsm.outside.limiter import Call, RateLimiter
from syncfsm_simulator.fakes.quo.app import FakeQuo
from syncfsm_simulator.fakes.serve import served
from syncfsm_simulator.world.clock import VirtualClock, run_virtual


def most_within(times: list[datetime], seconds: float) -> int:
    window = timedelta(seconds=seconds)
    return max(sum(at <= other < at + window for other in times) for at in times)


@pytest.mark.parametrize("window_s", [1.0, 1.05])
def test_the_limit_is_used_to_the_full_and_never_passed(window_s: float) -> None:
    async def main() -> list[datetime]:
        clock = VirtualClock()
        limiter = RateLimiter(10, clock, window_s)
        return [(await limiter.wait()).at for _ in range(100)]

    times = run_virtual(main())
    assert most_within(times, window_s) == 10
    assert (times[-1] - times[0]).total_seconds() == pytest.approx(9 * window_s)


class _ColdNetwork(httpx.AsyncBaseTransport):
    """The first requests must connect, which takes half a second; the others find a connection."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.sent: list[datetime] = []
        self._cold = 10

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._cold -= 1
        if self._cold >= 0:
            await self.clock.sleep(0.5)
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        self.sent.append(self.clock.now())
        return httpx.Response(200)


def test_a_request_that_had_to_connect_first_counts_from_when_it_was_sent() -> None:
    async def main() -> list[datetime]:
        network = _ColdNetwork(VirtualClock())
        client = HttpClient(
            "X", "http://x.test", Authorization("X", "key"), clock=network.clock, transport=network, per_s=10
        )
        await asyncio.gather(*(client.request("GET", "/") for _ in range(40)))
        await client.aclose()
        return network.sent

    assert most_within(run_virtual(main()), 1.0) == 10


def test_the_real_client_tells_when_a_request_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    granted: list[tuple[Call, datetime]] = []
    wait = RateLimiter.wait

    async def noted(limiter: RateLimiter) -> Call:
        call = await wait(limiter)
        granted.append((call, call.at))
        return call

    monkeypatch.setattr(RateLimiter, "wait", noted)

    async def main(url: str) -> Any:
        client = HttpClient("Quo", url, Authorization("Quo", "key"), clock=SystemClock(), per_s=10)
        reply = await client.request("GET", "/v1/contacts?maxResults=1")
        await client.aclose()
        return reply

    with served(FakeQuo(SystemClock())) as url:
        assert isinstance(asyncio.run(main(url)), Reply)
    ((call, at),) = granted
    assert call.at > at


class _Jumping(SystemClock):
    """A clock of an embedder's, with its own time of day, as far off as it is told; it sleeps in no time."""

    def __init__(self) -> None:
        self.off = timedelta(0)
        self.asked_s: list[float] = []

    def now(self) -> datetime:
        return super().now() + self.off

    async def sleep(self, seconds: float) -> None:
        self.asked_s.append(seconds)


class _Plain:
    """A clock that can do no more than it must."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.asked_s: list[float] = []

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.asked_s.append(seconds)
        self.at += timedelta(seconds=seconds)


def test_a_clock_that_is_set_back_does_not_make_the_limiter_sleep_longer() -> None:
    async def main() -> list[float]:
        clock = _Jumping()
        limiter = RateLimiter(5, clock)
        for number in range(20):
            clock.off = -timedelta(hours=number)
            await limiter.wait()
        return clock.asked_s

    asked_s = asyncio.run(main())
    assert asked_s
    assert max(asked_s) <= 1.0


def test_a_clock_without_a_monotonic_time_that_is_set_back_costs_one_window_at_most() -> None:
    async def main() -> list[float]:
        clock = _Plain()
        limiter = RateLimiter(5, clock)
        for number in range(20):
            clock.at -= timedelta(hours=number % 3)
            await limiter.wait()
        return clock.asked_s

    asked_s = asyncio.run(main())
    assert max(asked_s) <= 1.0
    assert sum(asked_s) == pytest.approx(3.0)


def test_a_clock_that_is_set_ahead_does_not_let_more_calls_through() -> None:
    async def main() -> list[float]:
        clock = _Jumping()
        limiter = RateLimiter(5, clock)
        for number in range(20):
            clock.off = timedelta(hours=number)
            await limiter.wait()
        return clock.asked_s

    assert sum(asyncio.run(main())) == pytest.approx(3.0, abs=0.1)


def test_a_steady_clock_begins_at_the_time_of_day_and_counts_a_sleep_as_slept() -> None:
    async def main() -> None:
        plain = _Plain()
        steady = SteadyClock(plain)
        began = steady.now()
        assert began == plain.at
        plain.at -= timedelta(days=365)
        await steady.sleep(7)
        assert steady.now() - began == timedelta(seconds=7)

    asyncio.run(main())

"""Virtual time: it jumps where everybody waits, and passes as outside where somebody there is at work."""

from __future__ import annotations

import asyncio
import threading

import pytest

from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual


def after(*waits_s: float) -> float:
    async def main() -> float:
        for wait_s in waits_s:
            await asyncio.sleep(wait_s)
        return VirtualClock().monotonic()

    return run_virtual(main())


def test_every_loop_begins_at_the_epoch() -> None:
    async def now() -> object:
        return VirtualClock().now()

    assert [run_virtual(now()), run_virtual(now())] == [EPOCH, EPOCH]


def test_waits_add_up_without_drift() -> None:
    assert after(*[0.1] * 1000) == 100.0
    assert after(0.2, 0.21) == 0.41
    assert after(5e6) == 5e6


@pytest.mark.parametrize("wait_s", [1e-9, 4e-7])
def test_a_wait_too_short_to_be_counted_ends_all_the_same(wait_s: float) -> None:
    assert after(wait_s) == 1e-6


def test_who_waits_for_less_is_first() -> None:
    async def main() -> list[float]:
        done: list[float] = []

        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            done.append(seconds)

        await asyncio.gather(wait(3e5), wait(2), wait(70))
        return done

    assert run_virtual(main()) == [2, 70, 3e5]


def test_time_does_not_jump_over_a_thread_that_is_at_work() -> None:
    """Else whoever waits for a database with a timeout would see it pass before the answer came."""

    async def main() -> tuple[bool, float]:
        is_free = threading.Event()
        asyncio.get_running_loop().call_soon(is_free.set)
        async with asyncio.timeout(30):
            done = await asyncio.to_thread(is_free.wait, 20)
        return done, VirtualClock().monotonic()

    done, passed_s = run_virtual(main())
    assert done
    assert passed_s < 30


def test_time_jumps_again_when_threads_are_done() -> None:
    async def main() -> float:
        await asyncio.to_thread(int)
        await asyncio.sleep(86_400)
        return VirtualClock().monotonic()

    assert run_virtual(main()) >= 86_400

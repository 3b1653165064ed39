"""What may happen to a sink: it refuses, is locked, answers too late, or sees its caller die."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.sinks.protocol import UpsertResult
from syncfsm_simulator.stage.port import Beside, Crash, Port

LOCKED = Failure(kind=FailureKind.LOCKED, message="the simulated sink is locked.")
LATE = Failure(kind=FailureKind.TIMEOUT, message="the simulated sink did not answer in time.")

Upserted = Awaitable[UpsertResult | Failure]


class Upserting(msgspec.Struct, frozen=True):
    """A page on its way into a sink.

    Attributes:
        items: What is given to it.
        rng: Chance for the details.
        beside: What else may happen meanwhile.
        take: Lets the sink take all items but those that it is told to refuse.
    """

    items: Sequence[Any]
    rng: random.Random
    beside: Beside
    take: Callable[[Sequence[Any]], Upserted]


async def _usual(page: Upserting) -> UpsertResult | Failure:
    return await page.take(())


UPSERT: Port[Upserting, Upserted] = Port("upsert", _usual)


async def refuses_one(page: Upserting) -> UpsertResult | Failure:
    """Refuse one record of the page."""
    return await page.take([page.rng.choice(page.items)] if page.items else ())


async def refuses_all(page: Upserting) -> UpsertResult | Failure:
    """Refuse every record of the page."""
    return await page.take(page.items)


async def locked(_: object) -> Failure:
    """Be locked, and do nothing."""
    return LOCKED


async def late_upsert(page: Upserting) -> UpsertResult | Failure:
    """Take the page, and not answer in time."""
    await page.take(())
    return LATE


async def crash_before(_: object) -> Failure:
    """Let the engine die before the sink does anything."""
    raise Crash


async def crash_after_upsert(page: Upserting) -> UpsertResult | Failure:
    """Let the engine die when the sink has taken the page."""
    await page.take(())
    raise Crash


async def duplicated_step(page: Upserting) -> UpsertResult | Failure:
    """Let another worker take the same step before the sink takes the page."""
    await page.beside.another_step()
    return await page.take(())

"""What may happen to a sink: it refuses, is locked, answers too late, or its caller dies.

It may happen where it takes a page, where it deletes, and where it tells what it has.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Never

import msgspec
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.place import Reject
from syncfsm.sinks.protocol import UpsertResult
from syncfsm_simulator.stage.port import Beside, Crash, Port

LOCKED = Failure(kind=FailureKind.LOCKED, message="the simulated sink is locked.")
LATE = Failure(kind=FailureKind.TIMEOUT, message="the simulated sink did not answer in time.")

REFUSED = "refused by the simulated sink"

Upserted = Awaitable[UpsertResult | Failure]

Deletion = Callable[[], Awaitable[int | Failure]]
"""What comes to the port of deletions: the deletion itself, to be called."""

Listing = Callable[[], Awaitable[frozenset[str] | Failure]]
"""What comes to the port where a sink tells what it has: the question itself, to be called."""


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


DELETE: Port[Deletion, Awaitable[int | Failure]] = Port("delete", lambda delete: delete())
LISTING: Port[Listing, Awaitable[frozenset[str] | Failure]] = Port("listing", lambda tell: tell())


async def locked(_: object) -> Failure:
    """Be locked, and do nothing."""
    return LOCKED


# ── a page ───────────────────────────────────────────────────────────────────────────────────


async def refuses_one(page: Upserting) -> UpsertResult | Failure:
    """Refuse one record of the page."""
    return await page.take([page.rng.choice(page.items)] if page.items else ())


async def refuses_all(page: Upserting) -> UpsertResult | Failure:
    """Refuse every record of the page."""
    return await page.take(page.items)


async def late_upsert(page: Upserting) -> Failure:
    """Take the page, and not answer in time."""
    await page.take(())
    return LATE


async def crash_after_upsert(page: Upserting) -> Never:
    """Let the engine die when the sink has taken the page."""
    await page.take(())
    raise Crash


async def duplicated_step(page: Upserting) -> UpsertResult | Failure:
    """Let another worker take the same step before the sink takes the page."""
    await page.beside.another_step()
    return await page.take(())


async def backed_up(page: Upserting) -> UpsertResult | Failure:
    """Let somebody make a copy of the sink before it takes the page."""
    page.beside.backup.make()
    return await page.take(())


async def put_back(page: Upserting) -> UpsertResult | Failure:
    """Let the engine die when the sink has taken the page, and an older copy of the sink be put back."""
    result = await page.take(())
    if page.beside.backup.put_back():
        raise Crash
    return result


async def lost(page: Upserting) -> UpsertResult | Failure:
    """Let the engine die when the sink has taken the page, and the sink with it."""
    result = await page.take(())
    if await page.beside.backup.lose():
        raise Crash
    return result


def with_refused(result: UpsertResult | Failure, record_ids: Sequence[str]) -> UpsertResult | Failure:
    """Return what became of a page of which these records were refused besides; all else stays."""
    if isinstance(result, Failure):
        return result
    rejects = (Reject(record_id=record_id, reason=REFUSED) for record_id in record_ids)
    return replace(result, rejects=(*result.rejects, *rejects))


# ── a deletion ───────────────────────────────────────────────────────────────────────────────


async def late_delete(delete: Deletion) -> Failure:
    """Delete, and not answer in time."""
    await delete()
    return LATE


async def crash_after_delete(delete: Deletion) -> Never:
    """Let the engine die when the sink has deleted."""
    await delete()
    raise Crash

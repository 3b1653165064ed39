"""Several requests at once: as many as a rate limit lets through, until going on makes no sense."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from syncfsm.core.failure import Failure, FailureKind

T = TypeVar("T")

IN_FLIGHT_MAX = 20
"""At 10 requests a second, answers may take 2 s each before the limit is no longer used to the full."""

FAILURES_MAX = 10
"""So many of a page have failed: the server is ill, and is left alone."""

PASSING = frozenset({FailureKind.TIMEOUT, FailureKind.UNAVAILABLE, FailureKind.MALFORMED})
"""Failures of one request, which say little of the next: what can be delivered is."""


async def each(work: Iterable[T], do: Callable[[T], Awaitable[Failure | None]]) -> Failure | None:
    """Do all the work, some of it at once; return the first failure, the gravest first.

    A failure that concerns one request lets the rest go on; any other, such as a 429, lets nothing more
    begin. What has begun is always seen to its end.
    """
    left = iter(work)
    failures: list[Failure] = []
    tasks = [asyncio.ensure_future(_worker(left, do, failures)) for _ in range(IN_FLIGHT_MAX)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return min(failures, key=lambda failure: failure.kind in PASSING, default=None)


async def _worker(
    left: Iterator[T], do: Callable[[T], Awaitable[Failure | None]], failures: list[Failure]
) -> None:
    for piece in left:
        failure = await do(piece)
        if failure is not None:
            failures.append(failure)
        if _is_pointless(failures):
            return


def _is_pointless(failures: list[Failure]) -> bool:
    return len(failures) >= FAILURES_MAX or any(failure.kind not in PASSING for failure in failures)

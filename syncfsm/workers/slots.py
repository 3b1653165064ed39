"""Places to work at: so many at a time in one program, and one of an account."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from syncfsm.errors import ConfigurationError


class Slots:
    """Hands out places, in the order in which they were asked for.

    Args:
        at_once: How many there are.

    Raises:
        ConfigurationError: There are none.
    """

    def __init__(self, at_once: int) -> None:
        if at_once < 1:
            raise ConfigurationError(
                f"at_once={at_once} cannot work: nothing would ever run; choose 1 or more"
            )
        self._at_once = at_once
        self._queued = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether anybody waits for a place."""
        return self._queued > 0

    @asynccontextmanager
    async def taken(self, account: str) -> AsyncIterator[None]:
        """Hold a place while this lasts, and be the only one to work on the account."""
        self._begin()
        async with AsyncExitStack() as held:
            self._queued += 1
            try:
                await held.enter_async_context(self._accounts[account])  # first: others can use a place
                await held.enter_async_context(self._places)
            finally:
                self._queued -= 1
            yield

    def _begin(self) -> None:
        """Begin anew in another event loop: what waits in one is of no use in the next."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._queued = loop, 0
            self._places = asyncio.Semaphore(self._at_once)
            self._accounts: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
